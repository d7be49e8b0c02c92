"""Lists of names, and long ones."""

from collections.abc import Sequence

SHOWN = 3


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
