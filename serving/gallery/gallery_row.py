"""The one row that a gallery's file has of the gallery: its binding, its revision, its traces."""

import dataclasses
import secrets
import sqlite3
import time

from serving.gallery.open_file import OpenFile
from serving.gallery.records import Binding


def insert(connection: sqlite3.Connection, binding: Binding) -> None:
    """Inserts the row of a new gallery."""
    connection.execute(
        "INSERT INTO gallery VALUES (?, ?, ?, ?, ?, ?, NULL)",
        (*dataclasses.astuple(binding), int(time.time()), _new_revision()),
    )


def binding(file: OpenFile) -> tuple[Binding, int]:
    """Returns the binding, and when the gallery was made, in seconds since 1970."""
    *values, created_at = file.one(
        "SELECT embedding_space, model, version, dim, created_at FROM gallery"
    )
    return Binding(*values), created_at


def revision(file: OpenFile) -> str:
    """Returns 16 hex digits, other ones after every change."""
    return file.one("SELECT revision FROM gallery")[0]


def note_change(file: OpenFile) -> None:
    """Gives the gallery another revision. Needs `writing`."""
    file.connection.execute("UPDATE gallery SET revision = ?", (_new_revision(),))


def unerased(file: OpenFile) -> str | None:
    """Returns the mark of rows that were removed and not yet erased; None where there are none."""
    return file.one("SELECT unerased FROM gallery")[0]


def note_erased(file: OpenFile) -> None:
    """Notes that removed rows have to be erased. Needs `writing`."""
    file.connection.execute("UPDATE gallery SET unerased = ?", (_new_revision(),))


def forget_erased(file: OpenFile, mark: str) -> None:
    """Notes that the rows of a mark are erased; others' marks stay. Needs `writing`."""
    file.connection.execute("UPDATE gallery SET unerased = NULL WHERE unerased = ?", (mark,))


def _new_revision() -> str:
    # Random, not a count: a gallery that was deleted and built again must not repeat one.
    return secrets.token_hex(8)
