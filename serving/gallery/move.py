"""Moves a gallery's rows to another place, from a folder to Milvus or back, and verifies them.

First all are copied, with their ages. Then all are read there again and compared, to the bit of
each embedding, and only then are they removed here, but for rows that somebody has changed since.
Stopped at any moment, the same command goes on: what is there already, and equal, is passed over.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tqdm

from serving.errors import GalleryError
from serving.gallery import place
from serving.gallery.gallery import Gallery
from serving.gallery.records import Picture, Selection

_PAGE = 500  # SQLite asks for so many files at once


def move(source: Gallery, to: str) -> int:
    """Moves all pictures of a gallery.

    Memory: all pictures without their embeddings. `Gallery.finish_erasure` of the source comes
    next. The source stays, empty.

    Args:
        source: an open gallery.
        to: folder or address; a gallery is made there if there is none.

    Returns:
        How many pictures were moved.

    Raises:
        GalleryError: the same gallery is there, or one of another embedding space, or other
            pictures of the same names, or what was read there isn't what was copied. The source
            is as it was.
    """
    total = source.count()
    if not place.exists(to):
        first = next(_pages(source, "copying", total), None)
        if first is None:
            raise GalleryError("holds no pictures that could be moved", source.folder)
        place.check_new(to)
        place.create(to, source.binding, *first).close()
    with place.open_gallery(to) as target:
        # Verified against itself, all of it would be removed.
        if target.is_same(source):
            raise GalleryError(
                f"is the same gallery as {source.folder}; nothing was copied or removed. Name "
                "another place",
                to,
            )
        _check_binding(source, target)
        target.check_writable()
        for pictures, vectors in _pages(source, "copying", total):
            known = target.by_file([each.file for each in pictures])
            new = [row for row, each in enumerate(pictures) if each.file not in known]
            for each in pictures:
                if each.file in known and _plain(known[each.file]) != _plain(each):
                    raise GalleryError(
                        f"has another picture, camera, tracklet or age for {each.file}; nothing "
                        "was removed. Remove it from one of the two first",
                        to,
                    )
            if new:
                target.add([pictures[row] for row in new], vectors[new])
        target.finish_erasure()
        verified = [
            each
            for pictures, vectors in _pages(source, "verifying", total)
            for each in _verified(target, pictures, vectors)
        ]
    return sum(
        source.remove_rows(verified[start : start + _PAGE])
        for start in range(0, len(verified), _PAGE)
    )


def _pages(source: Gallery, what: str, total: int) -> Iterator[tuple[list[Picture], np.ndarray]]:
    """Yields pictures of the source and their embeddings, float32 [N, dim]."""
    with tqdm.tqdm(total=total, desc=what, unit=" pictures", disable=None) as bar:
        for page in source.pages(Selection(), _PAGE):
            with source.snapshot():
                pictures, vectors = source.load(Selection(files=tuple(each.file for each in page)))
            if pictures:
                yield pictures, vectors
            bar.update(len(page))


def _verified(target: Gallery, pictures: list[Picture], vectors: np.ndarray) -> list[Picture]:
    """Returns the pictures, all of which are in the target with these embeddings."""
    with target.snapshot():
        found, there = target.load(Selection(files=tuple(each.file for each in pictures)))
    rows = {each.file: row for row, each in enumerate(found)}
    for each, vector in zip(pictures, vectors, strict=True):
        row = rows.get(each.file)
        if (
            row is None
            or _plain(found[row]) != _plain(each)
            or not np.array_equal(there[row], vector)
        ):
            raise GalleryError(
                f"doesn't hold {each.file} as it was copied there; nothing was removed. Give the "
                "same command again when nobody else writes",
                target.folder,
            )
    return pictures


def _plain(picture: Picture) -> Picture:
    """Returns a picture without its row, which is another one elsewhere."""
    return dataclasses.replace(picture, id=0)


def _check_binding(source: Gallery, target: Gallery) -> None:
    here, there = source.binding, target.binding
    if (here.embedding_space, here.dim) != (there.embedding_space, there.dim):
        raise GalleryError(
            f"holds embeddings of space {there.embedding_space}, {there.dim} numbers each, and "
            f"{source.folder} those of {here.embedding_space}, {here.dim}; name another place",
            target.folder,
        )
