"""A gallery in a collection of Milvus, for more pictures than one machine holds.

It offers what `serving.gallery.store` offers, by the same rules. What differs is Milvus' own:

- There are no transactions. What one command adds or removes may be there in part after it was
  killed; keys are made of names, so the same command ends it. Of two writers the later wins.
- Removed rows stay in the server's files until it has compacted them; see `finish_erasure`.
- Equal scores are in the order of keys, which is none of insertion.

One index, IVF_FLAT, serves exact search, which visits all of its lists, and approximate search,
which visits a few. It knows filters well: lists are scanned, no graph is lost under them.
"""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Self

import numpy as np

from serving.errors import GalleryError
from serving.gallery import (
    milvus_changes,
    milvus_erasure,
    milvus_layout,
    milvus_queries,
    milvus_search,
)
from serving.gallery.gallery import Gallery
from serving.gallery.milvus_connection import Collection as Connection
from serving.gallery.milvus_rows import key
from serving.gallery.records import EVERYTHING, Binding, Hit, Picture, Selection
from serving.gallery.unit_vectors import check


class MilvusGallery:
    """An open gallery; a context manager. Methods are those of `serving.gallery.gallery`.

    Args:
        folder: its address, see `serving.gallery.milvus_connection`.

    Raises:
        GalleryError: there is none, it is no gallery, or the server can't be reached. Every
            method raises it, too.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._collection = Connection(folder)
        self._dirty = False
        try:
            self.binding, self.created_at = milvus_layout.opened(self._collection)
        except BaseException:
            self._collection.close()
            raise

    @classmethod
    def exists(cls, address: str) -> bool:
        """Whether there is such a collection."""
        with contextlib.closing(Connection(address)) as collection:
            return collection.call("has_collection")

    @classmethod
    def create(
        cls, address: str, binding: Binding, pictures: Sequence[Picture], vectors: np.ndarray
    ) -> "MilvusGallery":
        """Makes a gallery of its first pictures; if they can't be added, nothing of it stays."""
        check(vectors, len(pictures), binding.dim)
        with contextlib.closing(Connection(address)) as collection:
            if collection.call("has_collection"):
                raise GalleryError("is a gallery already; use add to put more in", address)
            try:
                milvus_layout.make(collection, binding)
                milvus_changes.upsert(collection, list(map(milvus_changes.aged, pictures)), vectors)
                collection.call("flush")
            except BaseException:
                with contextlib.suppress(GalleryError):
                    collection.call("drop_collection")
                raise
        return cls(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        # Where the server is gone it would be waited for once more; it writes files by itself.
        self._dirty = self._dirty and kind is None
        self.close()

    def close(self) -> None:
        """Has what was written put into the server's files, and ends the connection."""
        try:
            if self._dirty:
                self._collection.call("flush")
        finally:
            self._collection.close()

    def is_same(self, other: Gallery) -> bool:
        """Whether another one is this collection, under whatever name of its server, or alias."""
        return isinstance(other, MilvusGallery) and milvus_layout.is_same(
            self._collection, other._collection
        )

    def check_writable(self) -> None:
        """Does nothing: the server tells when it is asked to write."""

    def snapshot(self) -> AbstractContextManager[None]:
        """A context without effect: Milvus has no views of one moment over several calls."""
        return contextlib.nullcontext()

    def add(
        self, pictures: Sequence[Picture], vectors: np.ndarray, once: bool = False
    ) -> dict[str, str]:
        """See `Gallery.add`; not all or none."""
        check(vectors, len(pictures), self.binding.dim)
        files = {each.file for each in pictures}
        if len(files) < len(pictures):
            raise GalleryError("was given two pictures of one name; nothing was added", self.folder)
        known = self.by_file(files)
        copies = milvus_changes.copies(self._collection, pictures, known) if once else {}
        keep = [row for row, each in enumerate(pictures) if each.file not in copies]
        added = [milvus_changes.aged(pictures[row], known.get(pictures[row].file)) for row in keep]
        if any(each.file in known for each in added):
            milvus_layout.note_erased(self._collection)
        if added:
            self._dirty = True
            milvus_changes.upsert(self._collection, added, vectors[keep])
        return copies

    def move(
        self, moves: Sequence[tuple[Picture, Picture]], stale: Sequence[Picture] = ()
    ) -> list[tuple[Picture, Picture]]:
        """See `Gallery.move`; not all or none: rows get their new names first."""
        done = milvus_changes.rename(self._collection, moves)
        self._dirty = self._dirty or bool(done)
        kept = {key(new.file) for _, new in done}
        gone = [old for old, _ in done if old.id not in kept]
        self.remove_rows([*gone, *(each for each in stale if each.id not in kept)])
        return done

    def remove_rows(self, pictures: Sequence[Picture]) -> int:
        """See `Gallery.remove_rows`."""
        known = self.by_file([each.file for each in pictures])
        return self._delete([each.id for each in pictures if known.get(each.file) == each])

    def remove(self, selection: Selection) -> int:
        """See `Gallery.remove`; not all or none."""
        pages = milvus_queries.pages(self._collection, selection)
        return self._delete([each.id for page in pages for each in page])

    def finish_erasure(self) -> str | None:
        """See `Gallery.finish_erasure`."""
        if self._dirty:
            self._collection.call("flush")
            self._dirty = False
        mark = milvus_layout.unerased(self._collection)
        if mark is None:
            return None
        left = milvus_erasure.erase(self._collection, self.count())
        if left is None:
            milvus_layout.forget_erased(self._collection, mark)
        return left

    def unerased(self) -> bool:
        """Whether removed rows may still be in the server's files."""
        return milvus_layout.unerased(self._collection) is not None

    def count(self, selection: Selection = EVERYTHING) -> int:
        """See `Gallery.count`."""
        return milvus_queries.count(self._collection, selection)

    def pictures(self, selection: Selection = EVERYTHING) -> list[Picture]:
        """See `Gallery.pictures`."""
        pages = milvus_queries.pages(self._collection, selection)
        return sorted((each for page in pages for each in page), key=lambda each: each.file)

    def pages(self, selection: Selection, count: int) -> Iterator[list[Picture]]:
        """See `Gallery.pages`; by key."""
        return milvus_queries.pages(self._collection, selection, count)

    def by_file(self, files: Collection[str]) -> dict[str, Picture]:
        """See `Gallery.by_file`."""
        return milvus_queries.by_file(self._collection, files)

    def by_content(self, hashes: Collection[bytes]) -> dict[bytes, list[Picture]]:
        """See `Gallery.by_content`."""
        return milvus_queries.by_content(self._collection, hashes)

    def cameras(self) -> list[tuple[str | None, int, int, int]]:
        """See `Gallery.cameras`."""
        return milvus_queries.cameras(self._collection)

    def tracklets(self) -> tuple[int, int]:
        """See `Gallery.tracklets`."""
        return milvus_queries.tracklets(self._collection)

    def timed(self) -> int:
        """See `Gallery.timed`."""
        return milvus_queries.timed(self._collection)

    def load(self, selection: Selection = EVERYTHING) -> tuple[list[Picture], np.ndarray]:
        """See `Gallery.load`; by key."""
        return milvus_queries.load(self._collection, selection, self.binding.dim)

    def nearest(self, vectors: np.ndarray, top: int, selection: Selection) -> list[list[Hit]]:
        """See `Gallery.nearest`; the server searches, equal scores are in the order of keys."""
        return self.search(vectors, top, selection, milvus_layout.LISTS)

    def search(
        self, vectors: np.ndarray, top: int, selection: Selection, lists: int
    ) -> list[list[Hit]]:
        """Returns the nearest selected pictures of each query, of as many lists of the index."""
        return milvus_search.search(self._collection, vectors, top, selection, lists)

    def _delete(self, keys: Sequence[int]) -> int:
        self._dirty = self._dirty or bool(keys)
        milvus_changes.delete(self._collection, keys)
        return len(keys)
