"""The largest inner products of queries and a matrix, by faiss, the field's reference."""

from collections.abc import Mapping, Sequence

import faiss
import numpy as np

from serving.gallery.records import Hit, Picture


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
