"""Files that are either the old one or the new one, whenever the machine stops."""

import contextlib
import errno
import os
import secrets
import tempfile
from collections.abc import Iterator

# A read-only disk, somebody else's folder.
_REFUSALS = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextlib.contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[str]:
    """Renames what the block writes to a file's place, when it ends well.

    Args:
        path: of the file.

    Yields:
        a name beside it, of this call alone, as another process may write the same file; it ends
        as `path` does.

    Raises:
        OSError: it can't be written; whatever was there before still is.
    """
    folder, name = os.path.split(os.fspath(path))
    partial = os.path.join(folder, f".{os.getpid()}-{secrets.token_hex(4)}.new.{name}")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(partial)
        raise


def replace_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a file, in UTF-8, as `replaced` does; raises what it raises.

    What isn't UTF-8 in the names of files is written escaped.
    """
    with (
        replaced(path) as partial,
        open(partial, "w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.write(text)


def check_writable(folder: str) -> None:
    """Makes a file in a folder and removes it.

    Raises:
        OSError: there is no such folder, or no file can be made there.
    """
    with tempfile.TemporaryFile(dir=folder):
        pass


def is_refusal(error: OSError) -> bool:
    """Returns whether files there are to be read alone: a read-only disk, another user's folder."""
    return error.errno in _REFUSALS
