"""Ranks a gallery's tracklets for queries, by the cosine of mean embeddings.

A tracklet is what one tracker held together in one camera. Its embedding is the mean of those of
its pictures, of unit length again, as video re-identification has it (MARS, Zheng et al., ECCV
2016): one blurred or half hidden picture decides less. A picture without a tracklet is a tracklet
of one. Means are made from the rows of the moment, and nothing of them is kept, so that they follow
what is added and removed.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from datasets.own_cameras.cameras import Tracklet
from serving.errors import GalleryError
from serving.gallery.gallery import Gallery
from serving.gallery.inner_products import nearest
from serving.gallery.records import EVERYTHING, Hit, Selection
from serving.gallery.search import passing

_SHOWN = 4  # pictures of a tracklet
_ROWS = 4096  # copied at a time


@dataclasses.dataclass(frozen=True)
class TrackletHit:
    """A tracklet of the gallery.

    Attributes:
        name: of the tracklet; None for a picture without one.
        camera: its name, or None.
        score: cosine of the tracklet's embedding and the query's.
        count: how many pictures it has, of those that pass the filter.
        best: those of them nearest to the query, best first, a few.
    """

    name: str | None
    camera: str | None
    score: float
    count: int
    best: list[Hit]


@dataclasses.dataclass(frozen=True)
class TrackletResult:
    """What was found for one query, a tracklet or a picture without one.

    Attributes:
        files: of the query's pictures.
        name: of its tracklet, or None.
        camera: its name, or None.
        hits: best first.
    """

    files: list[str]
    name: str | None
    camera: str | None
    hits: list[TrackletHit]


def check(store: Gallery) -> None:
    """Raises a GalleryError if a gallery holds no tracklet."""
    if not store.tracklets()[0]:
        raise GalleryError(
            "holds no tracklets. Give add the same pictures again, with `names` such as "
            "'{camera}/{tracklet}/{*}' or as a table with a column tracklet: what is there gets "
            "its tracklet and isn't embedded again. Or leave `by` out",
            store.folder,
        )


def search(
    store: Gallery,
    vectors: np.ndarray,
    queries: Sequence[tuple[str, str | None, Tracklet | None]],
    top: int,
    within: Selection = EVERYTHING,
    exclude_same_camera: bool = False,
) -> list[TrackletResult]:
    """Returns the nearest tracklets of each query; exact.

    Query pictures of one tracklet are one query, with their mean embedding. Memory: twice the
    embeddings that pass the filter, at most.

    Args:
        store: the gallery.
        vectors: float32 [Q, dim], unit length.
        queries: (file, camera, tracklet) of the Q pictures.
        top: length of the lists; they are shorter where fewer tracklets pass.
        within: which pictures pass; a tracklet's mean is of those of it that do.
        exclude_same_camera: whether tracklets of a query's own camera are left out.

    Returns:
        A result for each query, in the order of their first pictures; equal scores in that of
        the tracklets' oldest rows.

    Raises:
        GalleryError: the gallery can't be read.
    """
    asked = _Grouped([(tracklet, camera) for _, camera, tracklet in queries], vectors)
    results = []
    for rows in asked.rows:
        _, camera, tracklet = queries[rows[0]]
        files = [queries[row][0] for row in rows]
        results.append(TrackletResult(files, tracklet and tracklet.name, camera, []))
    left_out = [each.camera for each in results] if exclude_same_camera else None
    for chosen, pictures, gallery in passing(store, len(results), within, left_out):
        found = _Grouped([(each.tracklet, each.camera) for each in pictures], gallery)
        scores, tracklets = nearest(asked.means[chosen], found.means, top)
        for query, row_scores, row in zip(chosen, scores, tracklets, strict=True):
            for score, tracklet in zip(row_scores.tolist(), row.tolist(), strict=True):
                rows = found.rows[tracklet]
                own = gallery[rows] @ asked.means[query]
                best = np.argsort(-own, kind="stable")[:_SHOWN]
                hits = [Hit(pictures[rows[place]], float(own[place])) for place in best]
                first = pictures[rows[0]]
                name = first.tracklet and first.tracklet.name
                hit = TrackletHit(name, first.camera, score, len(rows), hits)
                results[query].hits.append(hit)
    return results


class _Grouped:
    """Embeddings by tracklet.

    Args:
        keys: (tracklet, camera) of N pictures.
        vectors: float32 [N, D], unit length.

    Attributes:
        rows: int64 arrays, one for each of T tracklets, in the order of their first rows.
        means: float32 [T, D], unit length; zeros where embeddings cancel out.
    """

    def __init__(
        self, keys: Iterable[tuple[Tracklet | None, str | None]], vectors: np.ndarray
    ) -> None:
        numbers: dict[object, int] = {}
        labels = np.fromiter(
            (
                numbers.setdefault(row if key[0] is None else key, len(numbers))
                for row, key in enumerate(keys)
            ),
            np.int64,
            len(vectors),
        )
        order = np.argsort(labels, kind="stable")
        starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
        self.rows = np.split(order, starts[1:])
        self.means = np.zeros((len(starts), vectors.shape[1]), np.float32)
        for start in range(0, len(order), _ROWS):
            part = order[start : start + _ROWS]
            # Whose rows go on from the part before is the first of this one, and is added to.
            first = np.flatnonzero(np.diff(labels[part], prepend=-1))
            self.means[labels[part[first]]] += np.add.reduceat(vectors[part], first, axis=0)
        length = np.linalg.norm(self.means, axis=1, keepdims=True)
        np.divide(self.means, length, out=self.means, where=length > 0)
