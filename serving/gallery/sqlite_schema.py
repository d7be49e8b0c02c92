"""The tables of a gallery's file: made, told from others, and those of earlier versions widened."""

import sqlite3

from serving.errors import GalleryError

_APPLICATION_ID = 0x41524E47  # "ARNG"
_SCHEMA_VERSION = 1
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


def make(connection: sqlite3.Connection) -> None:
    """Makes the tables in an empty file. Needs `writing`."""
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    for statement in (*_SCHEMA.split(";\n"), CONTENT_INDEX, _TRACKLET_INDEX):
        connection.execute(statement)


def check(connection: sqlite3.Connection, path: str) -> None:
    """Raises a GalleryError if a file isn't one of a gallery, or of a newer version."""
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
