"""A gallery's file, open: its transactions and queries, whose errors name it."""

import dataclasses
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from serving.errors import GalleryError
from serving.gallery import sqlite_errors, sqlite_transactions


@dataclasses.dataclass(frozen=True)
class OpenFile:
    """A gallery's file and the connection to it."""

    path: str
    connection: sqlite3.Connection

    def writing(self) -> AbstractContextManager[None]:
        """A transaction, see `sqlite_transactions.writing`."""
        return sqlite_transactions.writing(self.connection, self.path)

    def reading(self) -> AbstractContextManager[None]:
        """A view of one moment, see `sqlite_transactions.reading`."""
        return sqlite_transactions.reading(self.connection, self.path)

    def errors(self) -> AbstractContextManager[None]:
        """A context in which SQLite's errors become GalleryErrors."""
        return sqlite_errors.gallery_errors(self.path)

    def one(self, query: str, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
        """Returns the first row of a query; a GalleryError if there is none."""
        with self.errors():
            row = self.connection.execute(query, parameters).fetchone()
        if row is None:
            raise self.damaged("a row is missing")
        return row

    def all(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Returns the rows of a query."""
        with self.errors():
            return self.connection.execute(query, parameters).fetchall()

    def damaged(self, what: str) -> GalleryError:
        """Returns the error of a file that holds what no gallery does."""
        return GalleryError(
            f"is damaged: {what}; restore a copy, or build a new one in another folder", self.path
        )
