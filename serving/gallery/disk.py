"""What a gallery needs of the disk that its folder is on: locks on parts of a file, and rights.

SQLite guards its file with POSIX locks on ranges of bytes (LockFileEx on Windows). Where a disk has
none (some FUSE, VirtualBox and NFS mounts), SQLite takes the refusal for another process and waits
a minute, or for a failed disk. So they are tried first, on a file of our own: whoever closes any
descriptor of a locked file loses all locks of his process on it, so never on the gallery's.

A gallery isn't read without locks, either: another machine, for which the same disk has them, may
be writing, and what was read would be torn.
"""

import contextlib
import errno
import os
import sys
import tempfile
from typing import IO

from serving.errors import GalleryError

NO_LOCKS = (
    "this disk can't lock parts of files, and without that processes would damage each other's "
    "work. Keep the gallery in a folder on a local disk; copy one that is here to there"
)
_AT = 2**30  # where SQLite's own locks begin


def check_new(folder: str) -> None:
    """Checks the place of a gallery that is to be made.

    Args:
        folder: of the gallery; need not be there.

    Raises:
        GalleryError: it can't be written there, or the disk has no locks.
    """
    there = os.path.abspath(folder)
    while not os.path.isdir(there) and os.path.dirname(there) != there:
        there = os.path.dirname(there)
    try:
        _probe(there, folder)
    except OSError as error:
        raise GalleryError(f"can't be written: {error.strerror}", folder) from error


def check_readable(folder: str) -> None:
    """Checks the disk of a gallery that is to be opened.

    Where no file can be made to try it on, only SQLite can tell.

    Raises:
        GalleryError: it has no locks.
    """
    with contextlib.suppress(OSError):
        _probe(folder, folder)


def check_writable(folder: str, file: str) -> None:
    """Checks a gallery that is to be changed.

    Args:
        folder: of the gallery.
        file: SQLite's in it.

    Raises:
        GalleryError: no right to, a read-only disk, or one without locks.
    """
    try:
        _probe(folder, folder)
        if not os.access(file, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise GalleryError(
            f"can be searched, but not changed: {error.strerror}. Check whose file and folder it "
            "is and how its disk is mounted, or copy the folder to a place of your own",
            folder,
        ) from error


def _probe(folder: str, gallery: str) -> None:
    """Makes a file in a folder and locks it.

    Args:
        folder: that exists.
        gallery: its folder, for the message.

    Raises:
        GalleryError: it can't be locked.
        OSError: it can't be made.
    """
    with tempfile.TemporaryFile(dir=folder, prefix=".locks.") as file:
        try:
            _lock(file)
        except OSError as error:
            raise GalleryError(f"{NO_LOCKS} ({error.strerror})", gallery) from error


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        return  # Its disks all have locks.
    try:
        import fcntl
    except ImportError:  # a Python built without it
        return
    for kind in (fcntl.LOCK_SH, fcntl.LOCK_EX):
        fcntl.lockf(file, kind | fcntl.LOCK_NB, 1, _AT)
