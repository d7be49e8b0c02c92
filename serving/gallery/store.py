"""What a gallery holds: pictures, their cameras and embeddings, and the space these lie in.

A gallery is bound to one embedding space, the fingerprint that the server sends with every
embedding: cosines between two spaces mean nothing, and look as if they did.
"""

import dataclasses
import os
import secrets
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from datasets.own_cameras.cameras import Tracklet
from serving.errors import GalleryError
from serving.gallery import (
    disk,
    rows,
    sqlite_errors,
    sqlite_file,
    sqlite_schema,
    sqlite_transactions,
)
from serving.gallery.gallery import Gallery
from serving.gallery.inner_products import as_hits, nearest
from serving.gallery.records import EVERYTHING, Binding, Hit, Picture, Selection
from serving.gallery.unit_vectors import check, not_unit

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
        self._path = os.path.join(folder, sqlite_file.FILE)
        self._connection = sqlite_file.connect(folder)
        try:
            with self.snapshot():
                columns = "embedding_space, model, version, dim, created_at"
                row = self._one(f"SELECT {columns} FROM gallery")
        except BaseException:
            self.close()
            raise
        self.binding = Binding(*row[:4])
        self.created_at: int = row[4]

    @classmethod
    def create(
        cls, folder: str, binding: Binding, pictures: Sequence[Picture], vectors: np.ndarray
    ) -> "GalleryStore":
        """Makes a gallery of its first pictures, and opens it.

        Args:
            folder: where; made if it isn't there.
            binding: the model that embedded them.
            pictures: N rows.
            vectors: float32 [N, binding.dim], unit length.

        Raises:
            GalleryError: there is one already, it can't be written, or the vectors are wrong.
                Nothing of the new gallery stays.
        """
        check(vectors, len(pictures), binding.dim)

        def fill(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO gallery VALUES (?, ?, ?, ?, ?, ?, NULL)",
                (*dataclasses.astuple(binding), int(time.time()), _new_revision()),
            )
            _insert(connection, pictures, vectors)

        sqlite_file.create(folder, fill)
        return cls(folder)

    def __enter__(self) -> "GalleryStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def is_same(self, other: Gallery) -> bool:
        """Whether another one is this one, under whatever name: a link's, or a mount's."""
        try:
            return isinstance(other, GalleryStore) and os.path.samefile(self._path, other._path)
        except OSError as error:
            raise GalleryError(f"can't be read: {error.strerror}", self.folder) from error

    def check_writable(self) -> None:
        """Raises GalleryError, with the reason, if pictures can't be added or removed."""
        disk.check_writable(self.folder, self._path)

    def snapshot(self) -> AbstractContextManager[None]:
        """A context in which all that is read is of one moment. Writers wait: keep it short."""
        return sqlite_transactions.reading(self._connection, self._path)

    def add(
        self, pictures: Sequence[Picture], vectors: np.ndarray, once: bool = False
    ) -> dict[str, str]:
        """Adds pictures, all or none; one whose file is there already takes its place.

        It keeps the old one's `inserted_at` if its content is the same, and its tracklet if it has
        none itself.

        Args:
            pictures: N rows.
            vectors: float32 [N, dim], unit length.
            once: whether to leave out new files whose content is there under another name, of
                the same camera.

        Returns:
            {file that was left out: name that its picture has}.
        """
        check(vectors, len(pictures), self.binding.dim)
        copies: dict[str, str] = {}
        with sqlite_transactions.writing(self._connection, self._path):
            sqlite_schema.add_tracklets(self._connection)
            if once:
                copies = self._copies(pictures)
                keep = [row for row, each in enumerate(pictures) if each.file not in copies]
                pictures, vectors = [pictures[row] for row in keep], vectors[keep]
            if pictures:
                self._begin_change()
                if _insert(self._connection, pictures, vectors):
                    self._note_erased()
        return copies

    def move(
        self, moves: Sequence[tuple[Picture, Picture]], stale: Sequence[Picture] = ()
    ) -> list[tuple[Picture, Picture]]:
        """Gives pictures new names, cameras and tracklets; their age and embeddings stay.

        All or none, but for rows that another process has changed since they were read. A
        picture that has such a new name, and doesn't move itself, is removed.
        `finish_erasure` comes next, for the old names.

        Args:
            moves: (a picture of this store, the same with its new file, camera and tracklet).
            stale: pictures of this store to remove as well.

        Returns:
            The moves that were done.
        """
        with sqlite_transactions.writing(self._connection, self._path):
            sqlite_schema.add_tracklets(self._connection)
            done = rows.move(self._connection, moves)
            if rows.delete(self._connection, stale) or done:
                self._begin_change()
                self._note_erased()
        return done

    def remove_rows(self, pictures: Sequence[Picture]) -> int:
        """As `remove`, of pictures of this store; those changed since they were read stay."""
        with sqlite_transactions.writing(self._connection, self._path):
            count = rows.delete(self._connection, pictures)
            if count:
                self._begin_change()
                self._note_erased()
        return count

    def remove(self, selection: Selection) -> int:
        """Removes pictures, all or none; returns how many. `finish_erasure` comes next."""
        condition, parameters = selection.sql()
        with sqlite_transactions.writing(self._connection, self._path):
            count = self.count(selection)
            if count:
                self._begin_change()
                query = f"DELETE FROM pictures WHERE {condition}"
                self._connection.execute(query, parameters)
                self._note_erased()
        return count

    def finish_erasure(self) -> None:
        """Rewrites the file if rows were removed or replaced, so that no trace of them stays.

        It catches up, too, where an earlier process was killed before it came to this.
        """
        with self.snapshot():
            (unerased,) = self._one("SELECT unerased FROM gallery")
        if unerased is None:
            return
        sqlite_transactions.vacuum(self._connection, self._path)
        with sqlite_transactions.writing(self._connection, self._path):
            # Only this one: others may have removed rows since.
            query = "UPDATE gallery SET unerased = NULL WHERE unerased = ?"
            self._connection.execute(query, (unerased,))

    def locked(self) -> AbstractContextManager[None]:
        """A context in which nobody else can write."""
        return sqlite_transactions.writing(self._connection, self._path)

    def check_revision(self, revision: str) -> None:
        """Raises GalleryError if the gallery has changed since. Needs a context."""
        if self.revision() != revision:
            raise GalleryError(
                "changed while its approximate index was built or used; give the command again "
                "when nobody adds or removes, or leave `approximate` out",
                self.folder,
            )

    def revision(self) -> str:
        """Returns 16 hex digits, other ones after every change."""
        return self._one("SELECT revision FROM gallery")[0]

    def count(self, selection: Selection = EVERYTHING) -> int:
        """Returns how many pictures are selected."""
        condition, parameters = selection.sql()
        return self._one(f"SELECT count(*) FROM pictures WHERE {condition}", parameters)[0]

    def ids(self) -> np.ndarray:
        """Returns int64 [N], the rows of all pictures in ascending order."""
        return np.array([row[0] for row in self._all("SELECT id FROM pictures ORDER BY id")], "i8")

    def pictures(self, selection: Selection = EVERYTHING) -> list[Picture]:
        """Returns the selected pictures, in the order of their files."""
        condition, parameters = selection.sql()
        query = f"SELECT {self._columns()} FROM pictures WHERE {condition} ORDER BY file"
        return [rows.picture(row) for row in self._all(query, parameters)]

    def pictures_by_id(self, ids: Iterable[int]) -> dict[int, Picture]:
        """Returns {id: picture} of these rows."""
        query = f"SELECT {self._columns()} FROM pictures WHERE id = ?"
        return {int(row): rows.picture(self._one(query, (int(row),))) for row in set(ids)}

    def by_file(self, files: Collection[str]) -> dict[str, Picture]:
        """Returns {file: picture} of those of these files that are there."""
        with sqlite_errors.gallery_errors(self._path):
            return rows.by_file(self._connection, files)

    def by_content(self, hashes: Collection[bytes]) -> dict[bytes, list[Picture]]:
        """Returns {content_hash: pictures} of those contents that are there, the oldest row first.

        A gallery of an earlier version gets its index of contents here.
        """
        if not self._all("SELECT 1 FROM sqlite_master WHERE name = 'pictures_by_content'"):
            with sqlite_transactions.writing(self._connection, self._path):
                self._connection.execute(sqlite_schema.CONTENT_INDEX)
        with sqlite_errors.gallery_errors(self._path):
            return rows.by_content(self._connection, hashes)

    def pages(self, selection: Selection, count: int) -> Iterator[list[Picture]]:
        """Yields the selected pictures by row, so that large galleries take no memory.

        Each list is of one moment; writers come between.

        Args:
            selection: which pictures.
            count: of each list, at most.
        """
        condition, parameters = selection.sql()
        query = f"SELECT {self._columns()} FROM pictures WHERE {condition} AND id > ? ORDER BY id"
        after = 0
        while found := self._all(f"{query} LIMIT ?", [*parameters, after, count]):
            pictures = [rows.picture(row) for row in found]
            yield pictures
            after = pictures[-1].id

    def cameras(self) -> list[tuple[str | None, int, int, int]]:
        """Returns [(camera or None, pictures, first, last inserted_at)] by camera."""
        columns = "camera, count(*), min(inserted_at), max(inserted_at)"
        return self._all(f"SELECT {columns} FROM pictures GROUP BY camera ORDER BY camera")

    def tracklets(self) -> tuple[int, int]:
        """Returns how many tracklets there are, and how many pictures have one."""
        with sqlite_errors.gallery_errors(self._path):
            if not sqlite_schema.has_tracklets(self._connection):
                return 0, 0
        query = "SELECT count(*) AS n FROM pictures WHERE tracklet IS NOT NULL"
        groups = f"{query} GROUP BY tracklet_source, camera, tracklet"
        return self._one(f"SELECT count(*), coalesce(sum(n), 0) FROM ({groups})")

    def unerased(self) -> bool:
        """Whether removed rows may still leave traces in the file; see `finish_erasure`."""
        return self._one("SELECT unerased FROM gallery")[0] is not None

    def load(self, selection: Selection = EVERYTHING) -> tuple[list[Picture], np.ndarray]:
        """Returns pictures and their embeddings, these in one matrix. Needs a `snapshot`.

        Returns:
            pictures: N, by ascending id.
            vectors: float32 [N, dim], unit length.
        """
        condition, parameters = selection.sql()
        pictures = []
        vectors = np.empty((self.count(selection), self.binding.dim), np.float32)
        query = f"SELECT {self._columns()}, embedding FROM pictures WHERE {condition} ORDER BY id"
        for row, (*columns, blob) in enumerate(self._connection.execute(query, parameters)):
            if not isinstance(blob, bytes) or len(blob) != 4 * self.binding.dim:
                raise self._damaged(f"the embedding of row {columns[0]} has a wrong size")
            pictures.append(rows.picture(columns))
            vectors[row] = np.frombuffer(blob, "<f4")
        wrong = not_unit(vectors)
        if wrong.size:
            row = pictures[wrong[0]].id
            raise self._damaged(f"the embedding of row {row} is not of unit length")
        return pictures, vectors

    def nearest(self, vectors: np.ndarray, top: int, selection: Selection) -> list[list[Hit]]:
        """Returns the nearest selected pictures of each query; exact.

        Memory: the embeddings that are selected. They are of one moment.

        Args:
            vectors: float32 [Q, dim], unit length.
            top: length of the lists; they are shorter where fewer are selected.
            selection: which pictures.

        Returns:
            A list per query, best first; equal scores by row.
        """
        with self.snapshot():
            pictures, gallery = self.load(selection)
        if not pictures:
            return [[] for _ in vectors]
        return as_hits(pictures, *nearest(vectors, gallery, top))

    def _columns(self) -> str:
        with sqlite_errors.gallery_errors(self._path):
            return rows.columns(self._connection)

    def _begin_change(self) -> None:
        # The derived files go first: they hold rows that may be about to be erased.
        try:
            for name in os.listdir(self.folder):
                if name.startswith(DERIVED):
                    os.remove(os.path.join(self.folder, name))
        except OSError as error:
            raise GalleryError(f"can't be written: {error.strerror}", self.folder) from error
        query = "UPDATE gallery SET revision = ?"
        self._connection.execute(query, (_new_revision(),))

    def _copies(self, pictures: Sequence[Picture]) -> dict[str, str]:
        """Returns {file: name there} of new files whose picture is there. Needs a transaction."""
        files = {each.file for each in pictures}
        known = rows.by_file(self._connection, files)
        copies = {}
        for each in pictures:
            old = known.get(each.file)
            if old is None or old.content_hash != each.content_hash:
                there = rows.same_picture(self._connection, each)
                # One of these themselves is just about to change.
                if there is not None and there not in files:
                    copies[each.file] = there
        return copies

    def _note_erased(self) -> None:
        self._connection.execute("UPDATE gallery SET unerased = ?", (_new_revision(),))

    def _one(self, query: str, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
        with sqlite_errors.gallery_errors(self._path):
            row = self._connection.execute(query, parameters).fetchone()
        if row is None:
            raise self._damaged("a row is missing")
        return row

    def _all(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with sqlite_errors.gallery_errors(self._path):
            return self._connection.execute(query, parameters).fetchall()

    def _damaged(self, what: str) -> GalleryError:
        return GalleryError(
            f"is damaged: {what}; restore a copy, or build a new one in another folder", self._path
        )


def _insert(
    connection: sqlite3.Connection, pictures: Sequence[Picture], vectors: np.ndarray
) -> int:
    """Inserts rows; returns how many of the pictures were there before."""
    files = [(picture.file,) for picture in pictures]
    # Another camera doesn't make a picture younger: retention counts from when it came.
    old = rows.by_file(connection, [picture.file for picture in pictures])
    same = {
        picture.file: old[picture.file]
        for picture in pictures
        if picture.file in old and old[picture.file].content_hash == picture.content_hash
    }
    connection.executemany("DELETE FROM pictures WHERE file = ?", files)
    now = int(time.time())
    connection.executemany(
        "INSERT INTO pictures (file, camera, inserted_at, content_hash, embedding, tracklet,"
        " tracklet_source) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (
                picture.file,
                picture.camera,
                same[picture.file].inserted_at
                if picture.file in same
                else picture.inserted_at or now,
                picture.content_hash,
                vector.astype("<f4").tobytes(),
                *(_tracklet(picture, same.get(picture.file)) or (None, None)),
            )
            for picture, vector in zip(pictures, vectors, strict=True)
        ),
    )
    return len(old)


def _tracklet(picture: Picture, old: Picture | None) -> Tracklet | None:
    return old.tracklet if picture.tracklet is None and old is not None else picture.tracklet


def _new_revision() -> str:
    # Random, not a count: a gallery that was deleted and built again must not repeat one.
    return secrets.token_hex(8)
