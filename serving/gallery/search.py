"""Ranks a gallery's pictures for queries by the cosine of their embeddings.

The search is exact: faiss, the field's reference, compares a query with every picture that
passes the filters. Filters are resolved to rows before the search, so that the first `top`
of what passes is found, whatever share of the gallery that is; only those rows are read.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import faiss
import numpy as np

from serving.gallery.records import Picture, Selection
from serving.gallery.store import GalleryStore


@dataclasses.dataclass(frozen=True)
class Hit:
    """A gallery picture and the cosine of its embedding and the query's."""

    picture: Picture
    score: float


@dataclasses.dataclass(frozen=True)
class Result:
    """What was found for one query: its file, its camera or None, and hits, best first."""

    file: str
    camera: str | None
    hits: list[Hit]


def exact(
    store: GalleryStore,
    vectors: np.ndarray,
    top: int,
    cameras: Sequence[str] = (),
    other_than_cameras: Sequence[str | None] | None = None,
) -> list[list[Hit]]:
    """Returns the nearest pictures of each query among those that pass its filter.

    Memory: one matrix of the embeddings that pass. All queries see the gallery of one moment,
    unless they leave out different cameras: then it is one moment per camera left out. Writers
    wait while it is read, not while it is searched.

    Args:
        store: the gallery.
        vectors: float32 [Q, dim], unit length.
        top: length of the lists; they are shorter where fewer pictures pass.
        cameras: names; if any, only their pictures pass.
        other_than_cameras: for each query the camera to leave out, or None for none at all.

    Returns:
        A list per query, best first; equal scores by row.

    Raises:
        GalleryError: the gallery can't be read.
    """
    hits: list[list[Hit]] = [[] for _ in vectors]
    for queries, pictures, gallery in passing(store, len(vectors), cameras, other_than_cameras):
        found = as_hits(pictures, *nearest(vectors[queries], gallery, top))
        for query, each in zip(queries, found, strict=True):
            hits[query] = each
    return hits


def passing(
    store: GalleryStore,
    count: int,
    cameras: Sequence[str] = (),
    other_than_cameras: Sequence[str | None] | None = None,
) -> Iterator[tuple[list[int], list[Picture], np.ndarray]]:
    """Yields queries that have one filter, and the pictures that pass it; none where none do.

    Args:
        store: the gallery.
        count: how many queries there are.
        cameras: as in `exact`.
        other_than_cameras: as in `exact`.

    Yields:
        numbers of queries, pictures by ascending row, and their embeddings, float32 [N, dim].
    """
    left_out = other_than_cameras or [None] * count
    for camera in dict.fromkeys(left_out):
        queries = [row for row, other in enumerate(left_out) if other == camera]
        with store.snapshot():
            pictures, gallery = store.load(
                Selection(cameras=tuple(cameras), other_than_camera=camera)
            )
        if pictures:
            yield queries, pictures, gallery


def nearest(queries: np.ndarray, gallery: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the `top` largest inner products of each query.

    Args:
        queries: float32 [Q, D].
        gallery: float32 [G, D], G > 0.
        top: how many; at most G come back.

    Returns:
        scores: float32 [Q, K], descending.
        rows: int64 [Q, K], rows of `gallery`; in ascending order where scores are equal.
    """
    scores, rows = faiss.knn(
        np.ascontiguousarray(queries), gallery, min(top, len(gallery)), faiss.METRIC_INNER_PRODUCT
    )
    return ordered(scores, rows)


def ordered(scores: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each query's results in order of score and, where equal, of row."""
    order = np.lexsort((rows, -scores), axis=1)
    return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)


def as_hits(
    pictures: Sequence[Picture] | Mapping[int, Picture], scores: np.ndarray, keys: np.ndarray
) -> list[list[Hit]]:
    """Returns a list of hits per query.

    Args:
        pictures: by key, a list or a dict.
        scores: float32 [Q, K].
        keys: int64 [Q, K].
    """
    return [
        [Hit(pictures[key], float(score)) for score, key in zip(*row, strict=True)]
        for row in zip(scores, keys.tolist(), strict=True)
    ]
