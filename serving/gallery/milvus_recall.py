"""Approximate search of a gallery in Milvus, and what it finds of the exact nearest."""

import numpy as np

from serving.gallery.milvus_gallery import MilvusGallery
from serving.gallery.quality import ENOUGH, SAME_SCORE, TOP, Quality
from serving.gallery.records import Hit, Selection

# Visited of each segment's; more until enough of the exact nearest are found.
_LISTS = (16, 32, 64, 128)
_QUERIES = 64


def search(
    store: MilvusGallery, vectors: np.ndarray, top: int, selection: Selection
) -> tuple[list[list[Hit]], Quality]:
    """Returns the nearest selected pictures, nearly all, and the share that was found.

    Unlike the graph of a folder, the index takes filters. The share is measured under the same
    filter, with the first of these queries: it is of just what is asked. A filter that lets few
    pass spreads their nearest over more lists, so as many are visited as it takes.

    Args:
        store: the gallery.
        vectors: float32 [Q, dim], unit length.
        top: length of the lists.
        selection: which pictures.
    """
    asked = vectors[:_QUERIES]
    truth = store.nearest(asked, TOP, selection)
    for lists in _LISTS:
        quality = recall(truth, store.search(asked, TOP, selection, lists))
        if quality.recall >= ENOUGH:
            break
    return store.search(vectors, top, selection, lists), quality


def recall(truth: list[list[Hit]], found: list[list[Hit]]) -> Quality:
    """Returns the share of the exact nearest that was found.

    Args:
        truth: a list per query, best first, all of the same length where as many pass.
        found: likewise.
    """
    wanted = sum(map(len, truth))
    right = 0
    for exact, near in zip(truth, found, strict=True):
        right += sum(hit.score >= exact[-1].score - SAME_SCORE for hit in near) if exact else 0
    return Quality(right / wanted if wanted else 1.0, TOP, len(truth))
