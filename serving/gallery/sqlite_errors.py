"""What SQLite's errors mean for a gallery, and what to do about them."""

import contextlib
import sqlite3
from collections.abc import Iterator

from serving.errors import GalleryError
from serving.gallery import disk

WAIT_FOR_LOCK = 60  # seconds
# What SQLite says of a lock that was refused, unless it takes it for another process.
_LOCK_ERRORS = frozenset(
    f"SQLITE_IOERR_{step}" for step in ("LOCK", "RDLOCK", "UNLOCK", "CHECKRESERVEDLOCK")
)


@contextlib.contextmanager
def gallery_errors(path: str) -> Iterator[None]:
    """A context in which SQLite's errors, and want of memory, become GalleryErrors."""
    try:
        yield
    except MemoryError as error:
        raise GalleryError(
            "there isn't enough memory for this; what was committed is kept. Free some, or go to "
            "a machine with more, and give the same command again",
            path,
        ) from error
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        raise GalleryError(f"{_advice(name)} (SQLite: {error})", path) from error


def _advice(name: str) -> str:
    if name in _LOCK_ERRORS:
        return disk.NO_LOCKS
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return (
            f"another process has been reading or writing for {WAIT_FOR_LOCK} s; wait until it is "
            "done and give the same command again. If there is none, this disk has no locks: copy "
            "the gallery to a local one"
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return "can't be opened or written; check the rights of the file and of its folder"
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_TOOBIG")):
        return (
            "the disk is full or failing. What was committed is kept: make room and give the "
            "same command again"
        )
    return "is damaged, or no gallery; restore a copy, or build a new one in another folder"
