"""Small files that are either the old one or the new one, whenever the machine stops."""

import contextlib
import os


def replace_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a file, in UTF-8, beside its place and renames it there.

    What isn't UTF-8 in the names of files is written escaped.

    Raises:
        OSError: it can't be written; whatever was there before still is.
    """
    partial = f"{path}.new"
    try:
        with open(partial, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.remove(partial)
        raise
