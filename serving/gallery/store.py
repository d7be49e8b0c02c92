"""A gallery in a folder: pictures, their cameras and embeddings, and the space these lie in.

A gallery is bound to one embedding space, the fingerprint that the server sends with every
embedding: cosines between two spaces mean nothing, and look as if they did.
"""

import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

import numpy as np

from serving.errors import GalleryError
from serving.gallery import (
    disk,
    gallery_row,
    rows,
    selected_rows,
    sqlite_file,
    sqlite_schema,
    sqlite_transactions,
)
from serving.gallery.gallery import Gallery
from serving.gallery.inner_products import as_hits, nearest
from serving.gallery.open_file import OpenFile
from serving.gallery.records import EVERYTHING, Binding, Hit, Picture, Selection
from serving.gallery.unit_vectors import check

# Files with this prefix are derived from the rows, and go whenever the rows change.
DERIVED = "approximate."


class GalleryStore:
    """An open gallery; a context manager.

    Args:
        folder: where it is.

    Raises:
        GalleryError: there is none, or it can't be read. Every method raises it, too, when
            the file is damaged, can't be written, or another process holds it for too long.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        path = os.path.join(folder, sqlite_file.FILE)
        self._file = OpenFile(path, sqlite_file.connect(folder))
        try:
            with self.snapshot():
                self.binding, self.created_at = gallery_row.binding(self._file)
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(
        cls, folder: str, binding: Binding, pictures: Sequence[Picture], vectors: np.ndarray
    ) -> "GalleryStore":
        """Makes a gallery of its first pictures, and opens it; the folder is made, too.

        See `serving.gallery.place.create`.
        """
        check(vectors, len(pictures), binding.dim)

        def fill(connection: sqlite3.Connection) -> None:
            gallery_row.insert(connection, binding)
            rows.insert(connection, pictures, vectors)

        sqlite_file.create(folder, fill)
        return cls(folder)

    def __enter__(self) -> "GalleryStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._file.connection.close()

    def is_same(self, other: Gallery) -> bool:
        """Whether another one is this one, under whatever name: a link's, or a mount's."""
        try:
            return isinstance(other, GalleryStore) and os.path.samefile(
                self._file.path, other._file.path
            )
        except OSError as error:
            raise GalleryError(f"can't be read: {error.strerror}", self.folder) from error

    def check_writable(self) -> None:
        """Raises GalleryError, with the reason, if pictures can't be added or removed."""
        disk.check_writable(self.folder, self._file.path)

    def snapshot(self) -> AbstractContextManager[None]:
        """A context in which all that is read is of one moment. Writers wait: keep it short."""
        return self._file.reading()

    def add(
        self, pictures: Sequence[Picture], vectors: np.ndarray, once: bool = False
    ) -> dict[str, str]:
        """See `Gallery.add`; all or none."""
        check(vectors, len(pictures), self.binding.dim)
        copies: dict[str, str] = {}
        with self._file.writing():
            sqlite_schema.widen(self._file.connection)
            if once:
                copies = rows.copies(self._file.connection, pictures)
                keep = [row for row, each in enumerate(pictures) if each.file not in copies]
                pictures, vectors = [pictures[row] for row in keep], vectors[keep]
            if pictures:
                self._begin_change()
                if rows.insert(self._file.connection, pictures, vectors):
                    gallery_row.note_erased(self._file)
        return copies

    def move(
        self, moves: Sequence[tuple[Picture, Picture]], stale: Sequence[Picture] = ()
    ) -> list[tuple[Picture, Picture]]:
        """See `Gallery.move`; all or none, but for rows changed since they were read."""
        with self._file.writing():
            sqlite_schema.widen(self._file.connection)
            done = rows.move(self._file.connection, moves)
            if rows.delete(self._file.connection, stale) or done:
                self._begin_change()
                gallery_row.note_erased(self._file)
        return done

    def remove_rows(self, pictures: Sequence[Picture]) -> int:
        """See `Gallery.remove_rows`."""
        with self._file.writing():
            count = rows.delete(self._file.connection, pictures)
            if count:
                self._begin_change()
                gallery_row.note_erased(self._file)
        return count

    def remove(self, selection: Selection) -> int:
        """See `Gallery.remove`; all or none."""
        with self._file.writing():
            condition, parameters = selected_rows.condition(self._file, selection)
            count = self.count(selection)
            if count:
                self._begin_change()
                query = f"DELETE FROM pictures WHERE {condition}"
                self._file.connection.execute(query, parameters)
                gallery_row.note_erased(self._file)
        return count

    def finish_erasure(self) -> None:
        """Rewrites the file if rows were removed or replaced, so that no trace of them stays."""
        with self.snapshot():
            mark = gallery_row.unerased(self._file)
        if mark is None:
            return
        sqlite_transactions.vacuum(self._file.connection, self._file.path)
        with self._file.writing():
            # Only this one: others may have removed rows since.
            gallery_row.forget_erased(self._file, mark)

    def locked(self) -> AbstractContextManager[None]:
        """A context in which nobody else can write."""
        return self._file.writing()

    def revision(self) -> str:
        """Returns 16 hex digits, other ones after every change."""
        return gallery_row.revision(self._file)

    def count(self, selection: Selection = EVERYTHING) -> int:
        """See `Gallery.count`."""
        return selected_rows.count(self._file, selection)

    def ids(self) -> np.ndarray:
        """Returns int64 [N], the rows of all pictures in ascending order."""
        return selected_rows.ids(self._file)

    def pictures(self, selection: Selection = EVERYTHING) -> list[Picture]:
        """See `Gallery.pictures`."""
        return selected_rows.by_name(self._file, selection)

    def pictures_by_id(self, ids: Iterable[int]) -> dict[int, Picture]:
        """Returns {id: picture} of these rows."""
        return selected_rows.by_id(self._file, ids)

    def by_file(self, files: Collection[str]) -> dict[str, Picture]:
        """See `Gallery.by_file`."""
        with self._file.errors():
            return rows.by_file(self._file.connection, files)

    def by_content(self, hashes: Collection[bytes]) -> dict[bytes, list[Picture]]:
        """See `Gallery.by_content`. One of an earlier version gets its index of contents here."""
        if not self._file.all("SELECT 1 FROM sqlite_master WHERE name = 'pictures_by_content'"):
            with self._file.writing():
                self._file.connection.execute(sqlite_schema.CONTENT_INDEX)
        with self._file.errors():
            return rows.by_content(self._file.connection, hashes)

    def pages(self, selection: Selection, count: int) -> Iterator[list[Picture]]:
        """See `Gallery.pages`; by row, each list of one moment."""
        return selected_rows.pages(self._file, selection, count)

    def cameras(self) -> list[tuple[str | None, int, int, int]]:
        """See `Gallery.cameras`."""
        return selected_rows.cameras(self._file)

    def tracklets(self) -> tuple[int, int]:
        """See `Gallery.tracklets`."""
        return selected_rows.tracklets(self._file)

    def timed(self) -> int:
        """See `Gallery.timed`."""
        return selected_rows.timed(self._file)

    def unerased(self) -> bool:
        """Whether removed rows may still leave traces in the file."""
        return gallery_row.unerased(self._file) is not None

    def load(self, selection: Selection = EVERYTHING) -> tuple[list[Picture], np.ndarray]:
        """See `Gallery.load`; by ascending row."""
        return selected_rows.load(self._file, selection, self.binding.dim)

    def nearest(self, vectors: np.ndarray, top: int, selection: Selection) -> list[list[Hit]]:
        """See `Gallery.nearest`; of one moment, equal scores by row.

        Memory: the embeddings that are selected.
        """
        with self.snapshot():
            pictures, gallery = self.load(selection)
        if not pictures:
            return [[] for _ in vectors]
        return as_hits(pictures, *nearest(vectors, gallery, top))

    def _begin_change(self) -> None:
        # The derived files go first: they hold rows that may be about to be erased.
        try:
            for name in os.listdir(self.folder):
                if name.startswith(DERIVED):
                    os.remove(os.path.join(self.folder, name))
        except OSError as error:
            raise GalleryError(f"can't be written: {error.strerror}", self.folder) from error
        gallery_row.note_change(self._file)
