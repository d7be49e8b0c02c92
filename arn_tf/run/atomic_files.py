"""Small files that are either the old one or the new one, whenever the machine stops."""

import contextlib
import os


def replace_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a file beside its place and renames it there.

    Raises:
        OSError: it can't be written; whatever was there before still is.
    """
    partial = f"{path}.new"
    try:
        with open(partial, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.remove(partial)
        raise
