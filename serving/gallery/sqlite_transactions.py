"""Transactions on a gallery's file, and its rewriting without what was erased."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator

from serving.gallery.sqlite_errors import gallery_errors


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
