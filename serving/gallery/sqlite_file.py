"""The file behind a gallery: how it is made, and opened.

SQLite, because it keeps whole transactions through a crash, lets one process write while
others read, and comes with Python. How it is used here:

- The rollback journal, not a write-ahead log: a log keeps erased rows until no reader is
  left, and can't be read from a folder without write access. The price is that a commit
  waits for the readers of the moment, who take as long as the file is large.
- `secure_delete` writes zeros over what is deleted. By itself it is not enough: SQLite
  moves rows between pages and can leave the old copy in a page's free space (measured: of
  1000 erased embeddings 1 or 2 were still there, whole). So `GalleryStore` also rewrites the file,
  with VACUUM, after anything was erased; see `sqlite_transactions.vacuum`.
- The first file is written beside its place and renamed there with its first pictures in
  it, so there is never an empty gallery.

What the file system, its snapshots and the disk below keep of erased blocks is out of reach.
"""

import contextlib
import os
import pathlib
import sqlite3
import sys
import urllib.parse
from collections.abc import Callable, Iterator

from datasets.files import durable, locks
from serving.command import printable
from serving.errors import GalleryError
from serving.gallery import disk, sqlite_errors, sqlite_schema
from serving.gallery.sqlite_errors import gallery_errors
from serving.gallery.sqlite_transactions import writing

FILE = "gallery.sqlite"
# Rows of 512 numbers leave half of SQLite's usual pages, of 4096 bytes, empty.
_PAGE_SIZE = 32768


def exists(folder: str) -> bool:
    """Whether there is a gallery, or what looks like one, in the folder."""
    return os.path.lexists(os.path.join(folder, FILE))


def check_new(folder: str) -> None:
    """Checks that a gallery can be made in a folder, before anything is done for it.

    Raises:
        GalleryError: there is one already, it can't be written there, or its disk has no locks.
    """
    if exists(folder):
        raise GalleryError("is a gallery already; use add to put more pictures in", folder)
    disk.check_new(folder)


def create(folder: str, fill: Callable[[sqlite3.Connection], object]) -> None:
    """Makes a gallery; it is there as a whole or not at all.

    Args:
        folder: made if it isn't there.
        fill: called with the connection, inside the first transaction; inserts the first rows.

    Raises:
        GalleryError: there is one already, or it can't be written. Whatever `fill` raises
            passes through. Either way nothing of the new gallery stays.
    """
    missing = _missing(folder)
    try:
        with _making(folder):
            for each in missing:
                durable.sync_folder(os.path.dirname(each))
            check_new(folder)
            _make(os.path.join(folder, FILE), fill)
    except BaseException as error:
        for each in missing:
            # Another process may have begun one there.
            with contextlib.suppress(OSError):
                os.rmdir(each)
        if isinstance(error, OSError):
            raise GalleryError(f"can't be written: {error.strerror}", folder) from error
        raise


def connect(folder: str) -> sqlite3.Connection:
    """Returns a connection, in autocommit mode, to the gallery in a folder.

    Raises:
        GalleryError: there is none, it is damaged, not a gallery, or of a newer version.
    """
    path = os.path.join(folder, FILE)
    if not exists(folder):
        raise GalleryError("is no gallery; make one with: python -m serving.gallery build", folder)
    disk.check_readable(folder)
    with gallery_errors(path):
        # Not "ro": who reads first after a crash must be able to roll back what was half done.
        connection = _connect(path, "rw")
        try:
            sqlite_schema.check(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _missing(folder: str) -> list[str]:
    """Returns the folder, if it isn't there, and those above that aren't, the innermost first."""
    missing = []
    folder = os.path.abspath(folder)
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    return missing


@contextlib.contextmanager
def _making(folder: str) -> Iterator[None]:
    """A context in which the folder is there, and no other process makes a gallery in it."""

    def say(holder: str) -> None:
        print(f"{printable(folder)}: waiting for {printable(holder)}", file=sys.stderr)

    with contextlib.ExitStack() as stack:
        held = False
        while not held:
            os.makedirs(folder, exist_ok=True)
            try:
                stack.enter_context(locks.held(os.path.join(folder, f"{FILE}.lock"), say))
                held = True
            except FileNotFoundError:
                # Another process, which failed, may have taken the folder away.
                if os.path.isdir(folder):
                    raise
        yield


def _make(path: str, fill: Callable[[sqlite3.Connection], object]) -> None:
    """Makes the file of a gallery beside its place, and renames it there."""
    written = fresh = path + ".new"
    _discard(fresh)  # left by a process that was killed
    try:
        with gallery_errors(fresh):
            connection = _connect(fresh, "rwc")
            with contextlib.closing(connection):
                connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
                with writing(connection, fresh):
                    sqlite_schema.make(connection)
                    fill(connection)
        os.replace(fresh, path)
        written = path
        durable.sync_folder(os.path.dirname(os.path.abspath(path)))
    except BaseException:
        with contextlib.suppress(OSError):
            _discard(written)
        raise


def _connect(path: str, mode: str) -> sqlite3.Connection:
    address = f"{_uri(pathlib.Path(os.path.abspath(path)))}?mode={mode}"
    connection = sqlite3.connect(
        address, uri=True, timeout=sqlite_errors.WAIT_FOR_LOCK, isolation_level=None
    )
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _uri(path: pathlib.PurePath) -> str:
    """Returns an absolute path as SQLite takes it.

    `PurePath.as_uri` makes the server of a Windows share the host, which SQLite refuses.
    """
    text = path.as_posix()
    begins = "file://" if text.startswith("/") else "file:///"  # a drive's letter
    return begins + urllib.parse.quote(os.fsencode(text), safe="/:")


def _discard(path: str) -> None:
    for name in (path, path + "-journal"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(name)
