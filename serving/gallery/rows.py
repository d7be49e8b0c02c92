"""Rows of pictures in a gallery's file: found by name or content, inserted, renamed, deleted.

Callers hold the transaction where they write. Rows are changed only as they were read: another
process may have come between.
"""

import sqlite3
import time
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from datasets.own_cameras.cameras import Tracklet
from serving.gallery import sqlite_schema
from serving.gallery.records import Picture

_COLUMNS = "id, file, camera, inserted_at, content_hash"
# Asked for at once; SQLite takes 32766 at most.
_BATCH = 500


def columns(connection: sqlite3.Connection) -> str:
    """Returns the columns that `picture` takes, for SQL."""
    # Nobody takes them away: a gallery that gets them just now had nothing in them before.
    missing = sqlite_schema.lacking(connection)
    later = ("tracklet", "tracklet_source", "taken_at")
    return ", ".join([_COLUMNS, *("NULL" if each in missing else each for each in later)])


def picture(row: Sequence[Any]) -> Picture:
    """Returns the picture of a row of `columns`."""
    identity, file, camera, inserted_at, content_hash, name, source, taken_at = row
    tracklet = None if name is None else Tracklet(name, source)
    return Picture(file, camera, content_hash, inserted_at, identity, tracklet, taken_at)


def by_file(connection: sqlite3.Connection, files: Collection[str]) -> dict[str, Picture]:
    """Returns {file: picture} of the rows that have one of these names."""
    return {each.file: each for each in _where(connection, "file", files)}


def by_content(
    connection: sqlite3.Connection, hashes: Collection[bytes]
) -> dict[bytes, list[Picture]]:
    """Returns {content_hash: pictures, the oldest row first} of the rows with such content."""
    found: dict[bytes, list[Picture]] = {}
    for each in _where(connection, "content_hash", hashes):
        found.setdefault(each.content_hash, []).append(each)
    return found


def insert(connection: sqlite3.Connection, pictures: Sequence[Picture], vectors: np.ndarray) -> int:
    """Inserts rows; returns how many of the pictures were there before."""
    files = [(picture.file,) for picture in pictures]
    # Another camera doesn't make a picture younger: retention counts from when it came.
    old = by_file(connection, [picture.file for picture in pictures])
    settled = [
        picture.keeping(old[picture.file])
        if picture.file in old and old[picture.file].content_hash == picture.content_hash
        else picture
        for picture in pictures
    ]
    connection.executemany("DELETE FROM pictures WHERE file = ?", files)
    now = int(time.time())
    connection.executemany(
        "INSERT INTO pictures (file, camera, inserted_at, content_hash, embedding, tracklet,"
        " tracklet_source, taken_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                picture.file,
                picture.camera,
                picture.inserted_at or now,
                picture.content_hash,
                vector.astype("<f4").tobytes(),
                *(picture.tracklet or (None, None)),
                picture.taken_at,
            )
            for picture, vector in zip(settled, vectors, strict=True)
        ),
    )
    return len(old)


def copies(connection: sqlite3.Connection, pictures: Sequence[Picture]) -> dict[str, str]:
    """Returns {file: name there} of new files whose picture is there under another name."""
    files = {each.file for each in pictures}
    known = by_file(connection, files)
    found = {}
    for each in pictures:
        old = known.get(each.file)
        if old is None or old.content_hash != each.content_hash:
            there = _same_picture(connection, each)
            # One of these themselves is just about to change.
            if there is not None and there not in files:
                found[each.file] = there
    return found


def move(
    connection: sqlite3.Connection, moves: Sequence[tuple[Picture, Picture]]
) -> list[tuple[Picture, Picture]]:
    """Gives rows new names, cameras, tracklets and times; others that have such a name are deleted.

    Args:
        connection: to the gallery.
        moves: (the picture as its row was read, what it is now).

    Returns:
        The moves whose rows were still as they were read; only these are done.
    """
    # First aside, for two pictures may exchange their names, and names are unique. No picture
    # has such a name, as all are absolute.
    query = "UPDATE pictures SET file = ? WHERE id = ? AND file = ? AND content_hash = ?"
    done = [
        (old, new)
        for old, new in moves
        if connection.execute(
            query, (f"moving/{old.id}", old.id, old.file, old.content_hash)
        ).rowcount
    ]
    connection.executemany("DELETE FROM pictures WHERE file = ?", [(new.file,) for _, new in done])
    # Where no tracklet or time is told, that of before stays.
    connection.executemany(
        "UPDATE pictures SET file = ?, camera = ?, tracklet = coalesce(?, tracklet),"
        " tracklet_source = coalesce(?, tracklet_source), taken_at = coalesce(?, taken_at)"
        " WHERE id = ?",
        [
            (new.file, new.camera, *(new.tracklet or (None, None)), new.taken_at, old.id)
            for old, new in done
        ],
    )
    return done


def delete(connection: sqlite3.Connection, pictures: Sequence[Picture]) -> int:
    """Deletes the rows that are still as they were read; returns how many."""
    query = "DELETE FROM pictures WHERE id = ? AND file = ? AND content_hash = ?"
    parameters = [(each.id, each.file, each.content_hash) for each in pictures]
    return connection.executemany(query, parameters).rowcount if parameters else 0


def _where(
    connection: sqlite3.Connection, column: str, values: Collection[str] | Collection[bytes]
) -> list[Picture]:
    found, wanted, selected = [], list(values), columns(connection)
    for start in range(0, len(wanted), _BATCH):
        some = wanted[start : start + _BATCH]
        places = ", ".join("?" * len(some))
        query = f"SELECT {selected} FROM pictures WHERE {column} IN ({places})"
        found += [picture(row) for row in connection.execute(query, some)]
    return sorted(found, key=lambda each: each.id)


def _same_picture(connection: sqlite3.Connection, picture: Picture) -> str | None:
    """Returns the name of another row with the content and camera of a picture, or None."""
    row = connection.execute(
        "SELECT file FROM pictures WHERE content_hash = ? AND camera IS ? AND file != ?",
        (picture.content_hash, picture.camera, picture.file),
    ).fetchone()
    return row[0] if row else None
