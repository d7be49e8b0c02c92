"""Small files that are either the old one or the new one, whenever the machine stops."""

import os


def replace_text(path, text):
    """Writes a file beside its place and renames it there.

    Raises:
        OSError: it can't be written; whatever was there before still is.
    """
    partial = f"{path}.new"
    with open(partial, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
