"""What a gallery offers, wherever its rows are: in a folder, or in Milvus.

`serving.gallery.store` keeps it in one folder, `serving.gallery.milvus_gallery` in a collection.
The commands know no more of either than this.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, Self

import numpy as np

from serving.gallery.records import EVERYTHING, Binding, Hit, Picture, Selection


class Gallery(Protocol):
    """An open gallery; a context manager.

    Every method raises a `GalleryError` where the gallery is damaged, can't be read or written, or
    can't be reached.

    Attributes:
        folder: folder or address.
        binding: the model whose embeddings it holds.
        created_at: seconds since 1970, UTC.
    """

    folder: str
    binding: Binding
    created_at: int

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def close(self) -> None: ...

    def is_same(self, other: "Gallery") -> bool:
        """Whether another one is this one, under whatever name."""
        ...

    def count(self, selection: Selection = EVERYTHING) -> int:
        """Returns how many pictures are selected."""
        ...

    def pictures(self, selection: Selection = EVERYTHING) -> list[Picture]:
        """Returns the selected pictures, in the order of their files."""
        ...

    def pages(self, selection: Selection, count: int) -> Iterator[list[Picture]]:
        """Returns the selected pictures in lists of at most `count`; writers come between."""
        ...

    def by_file(self, files: Collection[str]) -> dict[str, Picture]:
        """Returns {file: picture} of those of these files that are there."""
        ...

    def by_content(self, hashes: Collection[bytes]) -> dict[bytes, list[Picture]]:
        """Returns {content_hash: pictures} of those contents that are there, the oldest first."""
        ...

    def cameras(self) -> list[tuple[str | None, int, int, int]]:
        """Returns [(camera or None, pictures, first, last inserted_at)] by camera."""
        ...

    def tracklets(self) -> tuple[int, int]:
        """Returns how many tracklets there are, and how many pictures have one."""
        ...

    def timed(self) -> int:
        """Returns how many pictures have a time."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """A context in which all that is read is of one moment, where the gallery can do that."""
        ...

    def load(self, selection: Selection = EVERYTHING) -> tuple[list[Picture], np.ndarray]:
        """Returns pictures and their embeddings, these in one matrix. Needs a `snapshot`.

        Returns:
            pictures: N.
            vectors: float32 [N, dim], unit length.
        """
        ...

    def nearest(self, vectors: np.ndarray, top: int, selection: Selection) -> list[list[Hit]]:
        """Returns the nearest selected pictures of each query; exact.

        Args:
            vectors: float32 [Q, dim], unit length.
            top: length of the lists; they are shorter where fewer are selected.
            selection: which pictures.

        Returns:
            A list per query, best first.
        """
        ...

    def check_writable(self) -> None:
        """Raises a `GalleryError`, with the reason, if pictures can't be added or removed."""
        ...

    def add(
        self, pictures: Sequence[Picture], vectors: np.ndarray, once: bool = False
    ) -> dict[str, str]:
        """Adds pictures; one whose file is there already takes its place.

        It keeps the old one's `inserted_at` if its content is the same, and its tracklet and time
        if it has none itself.

        Args:
            pictures: N rows.
            vectors: float32 [N, dim], unit length.
            once: whether to leave out new files whose content is there under another name, of
                the same camera.

        Returns:
            {file that was left out: name that its picture has}.
        """
        ...

    def move(
        self, moves: Sequence[tuple[Picture, Picture]], stale: Sequence[Picture] = ()
    ) -> list[tuple[Picture, Picture]]:
        """Gives pictures new names, cameras, tracklets, times; their age and embeddings stay.

        A picture that has such a new name, and doesn't move itself, is removed.
        `finish_erasure` comes next, for the old names.

        Args:
            moves: (a picture of this gallery, the same as it is now).
            stale: pictures of this gallery to remove as well.

        Returns:
            The moves that were done: rows that another process has changed since stay.
        """
        ...

    def remove(self, selection: Selection) -> int:
        """Removes pictures; returns how many. `finish_erasure` comes next."""
        ...

    def remove_rows(self, pictures: Sequence[Picture]) -> int:
        """As `remove`, of pictures of this gallery; those changed since they were read stay."""
        ...

    def finish_erasure(self) -> str | None:
        """Has removed rows erased, if there were any; returns what a user has to know, or None.

        It catches up, too, where an earlier process was killed before it came to this.
        """
        ...

    def unerased(self) -> bool:
        """Whether removed rows may still leave traces."""
        ...
