"""Where a gallery is: in a folder, or in Milvus where an address is named."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from serving.errors import GalleryError
from serving.gallery import disk, sqlite_file
from serving.gallery.gallery import Gallery
from serving.gallery.records import Binding, Picture
from serving.gallery.store import GalleryStore

if TYPE_CHECKING:
    from serving.gallery.milvus_gallery import MilvusGallery


def in_milvus(place: str) -> bool:
    """Whether a gallery's place is an address of Milvus or a file of Milvus Lite (NAME.db)."""
    path = place.rstrip(f"{os.sep}{os.altsep or ''}")
    return "://" in place or (path.endswith(".db") and not sqlite_file.exists(place))


def open_gallery(place: str) -> Gallery:
    """Opens a gallery.

    Raises:
        GalleryError: there is none, it can't be read, or pymilvus is missing.
    """
    if not in_milvus(place):
        return GalleryStore(place)
    made = _milvus(place)
    if _nothing_there(place):
        raise GalleryError("is no gallery; make one with: python -m serving.gallery build", place)
    return made(place)


def exists(place: str) -> bool:
    """Whether there is a gallery; raises a GalleryError where nobody can tell."""
    if not in_milvus(place):
        return sqlite_file.exists(place)
    made = _milvus(place)
    return not _nothing_there(place) and made.exists(place)


def check_new(place: str) -> None:
    """Raises a GalleryError if no gallery can be made there, before anything is done for it."""
    if not in_milvus(place):
        sqlite_file.check_new(place)
    elif exists(place):
        raise GalleryError("is a gallery already; use add to put more pictures in", place)
    elif _nothing_there(place):
        # As Milvus Lite wants it, which makes one folder and none above it.
        folder = os.path.dirname(os.path.abspath(place))
        if not os.path.isdir(folder):
            raise GalleryError(f"there is no folder {folder}; make it first", place)
        disk.check_new(place)


def create(
    place: str, binding: Binding, pictures: Sequence[Picture], vectors: np.ndarray
) -> Gallery:
    """Makes a gallery of its first pictures, and opens it.

    Args:
        place: where.
        binding: the model that embedded them.
        pictures: N rows.
        vectors: float32 [N, binding.dim], unit length.

    Raises:
        GalleryError: there is one already, it can't be written, or the vectors are wrong. Nothing
            of the new gallery stays.
    """
    made = _milvus(place) if in_milvus(place) else GalleryStore
    return made.create(place, binding, pictures, vectors)


def _nothing_there(place: str) -> bool:
    """Whether there isn't so much as a folder, which Milvus Lite would make when it is asked."""
    return "://" not in place and not os.path.lexists(place)


def _milvus(place: str) -> "type[MilvusGallery]":
    """Returns the class of galleries in Milvus, whose package isn't everybody's."""
    try:
        from serving.gallery.milvus_gallery import MilvusGallery
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != "pymilvus":
            raise
        raise GalleryError(
            "a gallery in Milvus needs its client: pip install -r requirements-milvus.txt", place
        ) from error
    return MilvusGallery
