"""Names of files and cameras, as a terminal and a reader can take them."""


def printable(text: str) -> str:
    """Returns text without what would steer a terminal, hide something, or can't be encoded."""
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def told(name: str) -> str:
    """Returns a name as it is printed: in quotes where it begins or ends with a blank."""
    return repr(name) if name != name.strip() else printable(name)


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # Python's stand-in for a byte that isn't UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()
