"""Names of files and cameras, as a terminal and a reader can take them."""

from collections.abc import Sequence

SHOWN = 3


def printable(text: str) -> str:
    """Returns text without what would steer a terminal, hide something, or can't be encoded."""
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def shortened(text: str, most: int) -> str:
    """Returns text of `most` letters or fewer, its middle left out."""
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def listed(names: Sequence[str], count: int) -> str:
    """Returns a line of the first names, and how many more there are.

    Args:
        names: the first of them.
        count: of all.
    """
    more = count - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # Python's stand-in for a byte that isn't UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()
