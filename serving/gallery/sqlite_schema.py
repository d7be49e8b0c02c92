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
    tracklet_source TEXT,         -- absolute path of the folder or table that names it
    taken_at REAL                 -- seconds
);
CREATE INDEX pictures_by_camera ON pictures (camera, inserted_at);
"""
# Not of the first galleries, which get it when pictures are added. Programs that don't know it
# read and write such a file all the same: SQLite itself keeps an index.
CONTENT_INDEX = "CREATE INDEX IF NOT EXISTS pictures_by_content ON pictures (content_hash)"
# The same goes for these columns: programs that don't know them name the columns that they write.
_LATER_COLUMNS = {"tracklet": "TEXT", "tracklet_source": "TEXT", "taken_at": "REAL"}
_LATER_INDEXES = (
    "CREATE INDEX IF NOT EXISTS pictures_by_tracklet"
    " ON pictures (tracklet_source, camera, tracklet) WHERE tracklet IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS pictures_by_time ON pictures (taken_at) WHERE taken_at IS NOT NULL",
)


def make(connection: sqlite3.Connection) -> None:
    """Makes the tables in an empty file. Needs `writing`."""
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    for statement in (*_SCHEMA.split(";\n"), CONTENT_INDEX, *_LATER_INDEXES):
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


def lacking(connection: sqlite3.Connection) -> list[str]:
    """Returns the columns of pictures that a gallery of an earlier version doesn't have."""
    query = "SELECT name FROM pragma_table_info('pictures')"
    there = {row[0] for row in connection.execute(query)}
    return [column for column in _LATER_COLUMNS if column not in there]


def widen(connection: sqlite3.Connection) -> None:
    """Gives a gallery of an earlier version the columns that it lacks. Needs `writing`."""
    if missing := lacking(connection):
        for column in missing:
            connection.execute(f"ALTER TABLE pictures ADD COLUMN {column} {_LATER_COLUMNS[column]}")
        for statement in _LATER_INDEXES:
            connection.execute(statement)
