"""Whether the file of a gallery's row still holds that picture."""

import enum
import errno
import hashlib
import os
import stat
import sys

from serving.errors import BadInputError

# Other errors, of rights or of a disk that fails, don't say that a file is gone.
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class FileState(enum.Enum):
    """What is under a name: the picture, something else, nothing, or nobody can tell."""

    THERE = "there"
    CHANGED = "changed"
    GONE = "gone"
    UNREADABLE = "unreadable"


def check_encoding(text: str) -> None:
    """Checks that a name means the same file to this process and to the gallery.

    Where the locale has another encoding than UTF-8, the letters of a name would be other bytes
    here than in the gallery, and a file that is there would look gone.

    Args:
        text: a path, or another text that a gallery holds.

    Raises:
        BadInputError: it doesn't.
    """
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8" and not text.isascii():
        raise BadInputError(
            f"names of files are {encoding} in this terminal, and UTF-8 in a gallery; set "
            "PYTHONUTF8=1 and give the same command again",
            text,
        )


def gone(file: str) -> bool:
    """Whether there is no file of this name; a link that leads nowhere is none.

    Raises:
        BadInputError: see `check_encoding`.
    """
    check_encoding(file)
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

    Raises:
        BadInputError: see `check_encoding`.
    """
    check_encoding(file)
    try:
        # Asked before opening, for a pipe would make us wait.
        if not stat.S_ISREG(os.stat(file).st_mode):
            return FileState.CHANGED
        with open(file, "rb") as opened:
            same = hashlib.file_digest(opened, "sha256").digest() == content_hash
    except OSError as error:
        return FileState.GONE if error.errno in _NO_FILE else FileState.UNREADABLE
    return FileState.THERE if same else FileState.CHANGED
