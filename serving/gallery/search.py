"""Ranks a gallery's pictures for queries by the cosine of their embeddings.

The search is exact: a query is compared with every picture that passes the filters. Filters are
resolved to rows before the search, so that the first `top` of what passes is found, whatever share
of the gallery that is.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from serving.gallery.gallery import Gallery
from serving.gallery.records import EVERYTHING, Hit, Picture, Selection


@dataclasses.dataclass(frozen=True)
class Result:
    """What was found for one query: its file, its camera or None, and hits, best first."""

    file: str
    camera: str | None
    hits: list[Hit]


def exact(
    store: Gallery,
    vectors: np.ndarray,
    top: int,
    within: Selection = EVERYTHING,
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
        within: what passes for all queries: cameras, times.
        other_than_cameras: for each query the camera to leave out, or None for none at all.

    Returns:
        A list per query, best first; equal scores by row.

    Raises:
        GalleryError: the gallery can't be read.
    """

    def find(some: np.ndarray, selection: Selection) -> list[list[Hit]]:
        return store.nearest(some, top, selection)

    return by_filter(find, vectors, within, other_than_cameras)


def by_filter(
    find: Callable[[np.ndarray, Selection], list[list[Hit]]],
    vectors: np.ndarray,
    within: Selection,
    other_than_cameras: Sequence[str | None] | None = None,
) -> list[list[Hit]]:
    """Returns the hits of each query, found for all queries of one filter at once.

    Args:
        find: called with queries, float32 [N, dim], and what passes; returns a list of each.
        vectors: float32 [Q, dim].
        within: what passes for all queries.
        other_than_cameras: as in `exact`.
    """
    hits: list[list[Hit]] = [[] for _ in vectors]
    for queries, selection in _filters(len(vectors), within, other_than_cameras):
        for query, each in zip(queries, find(vectors[queries], selection), strict=True):
            hits[query] = each
    return hits


def passing(
    store: Gallery,
    count: int,
    within: Selection,
    other_than_cameras: Sequence[str | None] | None = None,
) -> Iterator[tuple[list[int], list[Picture], np.ndarray]]:
    """Yields queries that have one filter, and the pictures that pass it; none where none do.

    Args:
        store: the gallery.
        count: how many queries there are.
        within: what passes for all queries.
        other_than_cameras: as in `exact`.

    Yields:
        numbers of queries, pictures by ascending row, and their embeddings, float32 [N, dim].
    """
    for queries, selection in _filters(count, within, other_than_cameras):
        with store.snapshot():
            pictures, gallery = store.load(selection)
        if pictures:
            yield queries, pictures, gallery


def _filters(
    count: int, within: Selection, other_than_cameras: Sequence[str | None] | None
) -> Iterator[tuple[list[int], Selection]]:
    """Yields numbers of queries that have one filter, and the filter."""
    left_out = other_than_cameras or [None] * count
    for camera in dict.fromkeys(left_out):
        queries = [row for row, other in enumerate(left_out) if other == camera]
        yield queries, dataclasses.replace(within, other_than_camera=camera)
