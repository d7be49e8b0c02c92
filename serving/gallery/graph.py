"""A graph over embeddings, and how far to walk in it.

HNSW (Malkov and Yashunin, 2016) in faiss's version. How many candidates a walk keeps is measured as
the graph is built, with pictures that aren't in it yet, as a query isn't: as many as it takes to
find 95 % of their exact nearest.
"""

from typing import Any

import faiss
import numpy as np

from serving.gallery.inner_products import nearest, ordered
from serving.gallery.quality import ENOUGH, SAME_SCORE, TOP, Quality

_NEIGHBOURS = 32  # of each picture in the graph
# Candidates kept while the graph is built. With 80 the pictures of a person are linked to little
# else: of 100,000 embeddings 128 candidates found .83 of the nearest ones, with 200 .93.
_BUILD_REACH = 200
# Candidates kept while it is searched, if `top` isn't larger.
_REACHES = (128, 256, 512, 1024)
_HELD_OUT = 256  # a quarter of all at most
_BLOCK = 65536  # rows that are copied into the graph at once


def built(vectors: np.ndarray) -> tuple[Any, Quality, int]:
    """Returns a graph, its quality, and how many candidates a walk in it is to keep.

    Args:
        vectors: float32 [N, dim] of unit length, N > 0.
    """
    index = faiss.IndexHNSWFlat(vectors.shape[1], _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = _BUILD_REACH
    order, last = _order(len(vectors))
    _add(index, vectors, order[:last])
    quality, reach = _measured(index, vectors, order, order[last:])
    _add(index, vectors, order[last:])
    return index, quality, reach


def walk(index: Any, vectors: np.ndarray, top: int, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns scores and rows as `inner_products.nearest` does; row -1 where nothing was found.

    Args:
        index: as `built` returned it.
        vectors: float32 [Q, dim], of unit length.
        top: how many to find.
        reach: candidates to be kept.
    """
    return _walk(index, vectors, top, reach, _order(index.ntotal)[0])


def _order(count: int) -> tuple[np.ndarray, int]:
    """Returns the rows in the graph's order, and the place of the first that were held out."""
    held_out = min(_HELD_OUT, (count + 2) // 4)
    chosen = np.linspace(0, count - 1, held_out).astype(np.int64)
    return np.concatenate([np.delete(np.arange(count), chosen), chosen]), count - held_out


def _add(index: Any, vectors: np.ndarray, rows: np.ndarray) -> None:
    for start in range(0, len(rows), _BLOCK):
        index.add(vectors[rows[start : start + _BLOCK]])


def _measured(
    index: Any, vectors: np.ndarray, order: np.ndarray, held_out: np.ndarray
) -> tuple[Quality, int]:
    """Returns the quality of an index that lacks some rows, and the reach that it takes."""
    if not len(held_out):
        return Quality(1.0, 0, 0), _REACHES[0]
    asked, top = vectors[held_out], min(TOP, index.ntotal)
    scores, rows = nearest(asked, vectors, top + len(held_out))
    scores = np.sort(np.where(np.isin(rows, held_out), -np.inf, scores), axis=1)
    least = scores[:, -top][:, None] - SAME_SCORE
    for reach in _REACHES:
        found, _ = _walk(index, asked, top, reach, order)
        quality = Quality(float((found >= least).mean()), top, len(held_out))
        if quality.recall >= ENOUGH:
            break
    return quality, reach


def _walk(
    index: Any, vectors: np.ndarray, top: int, reach: int, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    top = min(top, index.ntotal)
    candidates = faiss.SearchParametersHNSW(efSearch=max(reach, 2 * top))
    scores, places = index.search(np.ascontiguousarray(vectors), top, params=candidates)
    return ordered(scores, np.where(places < 0, -1, order[places]))
