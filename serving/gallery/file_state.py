"""Whether the file of a gallery's row still holds that picture."""

import enum
import errno
import hashlib
import os
import stat

# Other errors, of rights or of a disk that fails, don't say that a file is gone.
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class FileState(enum.Enum):
    """What is under a name: the picture, something else, nothing, or nobody can tell."""

    THERE = "there"
    CHANGED = "changed"
    GONE = "gone"
    UNREADABLE = "unreadable"


def gone(file: str) -> bool:
    """Whether there is no file of this name; a link that leads nowhere is none."""
    try:
        os.stat(file)
    except OSError as error:
        return error.errno in _NO_FILE
    return False


def state(file: str, content_hash: bytes) -> FileState:
    """Returns what is under a name, by its content.

    Args:
        file: path.
        content_hash: SHA-256 of the picture that should be there, 32 bytes.
    """
    try:
        # Asked before opening, for a pipe would make us wait.
        if not stat.S_ISREG(os.stat(file).st_mode):
            return FileState.CHANGED
        with open(file, "rb") as opened:
            same = hashlib.file_digest(opened, "sha256").digest() == content_hash
    except OSError as error:
        return FileState.GONE if error.errno in _NO_FILE else FileState.UNREADABLE
    return FileState.THERE if same else FileState.CHANGED
