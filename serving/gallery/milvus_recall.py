"""Approximate search of a gallery in Milvus, and what it finds of the exact nearest."""

import numpy as np

from serving.gallery.approximate_search import Quality
from serving.gallery.milvus_gallery import MilvusGallery
from serving.gallery.records import Hit, Selection

LISTS = 16  # visited of each segment's
_QUERIES = 64
_TOP = 10
_SAME_SCORE = 1e-5  # rounding between two searches


def search(
    store: MilvusGallery, vectors: np.ndarray, top: int, selection: Selection
) -> tuple[list[list[Hit]], Quality]:
    """Returns the nearest selected pictures, nearly all, and the share that was found.

    Unlike the graph of a folder, the index takes filters. The share is measured under the same
    filter, with the first of these queries: it is of just what is asked.

    Args:
        store: the gallery.
        vectors: float32 [Q, dim], unit length.
        top: length of the lists.
        selection: which pictures.
    """
    hits = store.search(vectors, top, selection, LISTS)
    return hits, recall(store, vectors[:_QUERIES], selection)


def recall(
    store: MilvusGallery, vectors: np.ndarray, selection: Selection, lists: int = LISTS
) -> Quality:
    """Returns the share of the exact nearest that approximate search finds, for some queries."""
    truth = store.nearest(vectors, _TOP, selection)
    found = store.search(vectors, _TOP, selection, lists)
    wanted = sum(map(len, truth))
    right = 0
    for exact, near in zip(truth, found, strict=True):
        right += sum(hit.score >= exact[-1].score - _SAME_SCORE for hit in near) if exact else 0
    return Quality(right / wanted if wanted else 1.0, _TOP, len(vectors))
