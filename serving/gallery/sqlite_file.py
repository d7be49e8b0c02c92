"""The file behind a gallery: how it is made, opened, written, and what SQLite's errors mean.

SQLite, because it keeps whole transactions through a crash, lets one process write while
others read, and comes with Python. How it is used here:

- The rollback journal, not a write-ahead log: a log keeps erased rows until no reader is
  left, and can't be read from a folder without write access. The price is that a commit
  waits for the readers of the moment, who take as long as the file is large.
- `secure_delete` writes zeros over what is deleted. By itself it is not enough: SQLite
  moves rows between pages and can leave the old copy in a page's free space (measured: of
  1000 erased embeddings 1 or 2 were still there, whole). So `GalleryStore` also rewrites the file,
  with VACUUM, after anything was erased; see `vacuum`.
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
from serving.gallery import disk

FILE = "gallery.sqlite"
_APPLICATION_ID = 0x41524E47  # "ARNG"
_SCHEMA_VERSION = 1
_WAIT_FOR_LOCK = 60  # seconds
# What SQLite says of a lock that was refused, unless it takes it for another process.
_LOCK_ERRORS = frozenset(
    f"SQLITE_IOERR_{step}" for step in ("LOCK", "RDLOCK", "UNLOCK", "CHECKRESERVEDLOCK")
)
# Rows of 512 numbers leave half of SQLite's usual pages, of 4096 bytes, empty.
_PAGE_SIZE = 32768
_SCHEMA = """
CREATE TABLE gallery (
    embedding_space TEXT NOT NULL,
    model TEXT NOT NULL,
    version INTEGER NOT NULL,
    dim INTEGER NOT NULL,
    created_at INTEGER NOT NULL,  -- seconds since 1970, UTC
    revision TEXT NOT NULL,       -- another one after every change
    unerased TEXT                 -- revision whose erased rows may still leave traces
);
CREATE TABLE pictures (
    id INTEGER PRIMARY KEY,
    file TEXT NOT NULL UNIQUE,    -- absolute path
    camera TEXT,
    inserted_at INTEGER NOT NULL, -- seconds since 1970, UTC
    content_hash BLOB NOT NULL,   -- SHA-256
    embedding BLOB NOT NULL,      -- float32, little-endian
    tracklet TEXT,                -- with its source and the camera it is one
    tracklet_source TEXT          -- absolute path of the folder or table that names it
);
CREATE INDEX pictures_by_camera ON pictures (camera, inserted_at);
"""
# Not of the first galleries, which get it when pictures are added. Programs that don't know it
# read and write such a file all the same: SQLite itself keeps an index.
CONTENT_INDEX = "CREATE INDEX IF NOT EXISTS pictures_by_content ON pictures (content_hash)"
# The same goes for tracklets: programs that don't know them name the columns that they write.
_TRACKLET_INDEX = (
    "CREATE INDEX IF NOT EXISTS pictures_by_tracklet"
    " ON pictures (tracklet_source, camera, tracklet) WHERE tracklet IS NOT NULL"
)


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
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if application != _APPLICATION_ID:
                raise GalleryError("is not the file of a gallery; name the folder of one", path)
            if version != _SCHEMA_VERSION:
                raise GalleryError(
                    f"has layout {version}, and this program knows layout {_SCHEMA_VERSION}; "
                    "use the program that wrote it, or build the gallery anew",
                    path,
                )
        except BaseException:
            connection.close()
            raise
    return connection


def has_tracklets(connection: sqlite3.Connection) -> bool:
    """Whether there are columns for tracklets; galleries of earlier versions have none."""
    query = "SELECT 1 FROM pragma_table_info('pictures') WHERE name = 'tracklet_source'"
    return connection.execute(query).fetchone() is not None


def add_tracklets(connection: sqlite3.Connection) -> None:
    """Gives a gallery of an earlier version its columns for tracklets. Needs `writing`."""
    if not has_tracklets(connection):
        for column in ("tracklet", "tracklet_source"):
            connection.execute(f"ALTER TABLE pictures ADD COLUMN {column} TEXT")
        connection.execute(_TRACKLET_INDEX)


@contextlib.contextmanager
def writing(connection: sqlite3.Connection, path: str) -> Iterator[None]:
    """A transaction that no other writer's can cross; all of it is kept, or nothing."""
    with gallery_errors(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            # SQLite itself has rolled back after some errors, a full disk for one.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def reading(connection: sqlite3.Connection, path: str) -> Iterator[None]:
    """A view of one moment, whatever others commit meanwhile. They wait, so keep it short."""
    with gallery_errors(path):
        connection.execute("BEGIN")
        try:
            yield
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def vacuum(connection: sqlite3.Connection, path: str) -> None:
    """Rewrites the file from its living rows; needs free disk of twice its size, at most.

    SQLite makes a copy first. It goes to the gallery's own folder, as a file without a name, so
    that it is gone when the process is, and holds living rows only: by default it would lie in
    /var/tmp, which may be small or shared. In memory it would take as much of that.
    """
    folder = os.path.dirname(os.path.abspath(path))
    with gallery_errors(path):
        # A name that isn't UTF-8 can't be given to SQLite, and it may be built without this
        # pragma: then the copy is made in memory after all.
        with contextlib.suppress(UnicodeEncodeError):
            name = folder.replace("'", "''")
            connection.execute(f"PRAGMA temp_store_directory = '{name}'")
        if connection.execute("PRAGMA temp_store_directory").fetchone() == (folder,):
            connection.execute("PRAGMA temp_store = FILE")
        try:
            connection.execute("VACUUM")
        finally:
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA temp_store_directory = ''")


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
                    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                    connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
                    for statement in (*_SCHEMA.split(";\n"), CONTENT_INDEX, _TRACKLET_INDEX):
                        connection.execute(statement)
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
    connection = sqlite3.connect(address, uri=True, timeout=_WAIT_FOR_LOCK, isolation_level=None)
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


def _advice(name: str) -> str:
    if name in _LOCK_ERRORS:
        return disk.NO_LOCKS
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return (
            f"another process has been reading or writing for {_WAIT_FOR_LOCK} s; wait until it is "
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
