"""k-reciprocal encoding: an image as a sparse vector over the images that resemble it.

Zhong, Zheng, Cao, Li, "Re-ranking Person Re-identification with k-reciprocal Encoding"
(CVPR 2017). The variant is that of the authors' Python code, which most tables were made
with; where it leaves the paper, the paper is named:

- distances are squared Euclidean between unit vectors, 2 - 2 cos, and each row is divided
  by its largest distance to any image, queries included (not in the paper);
- N(p, k) holds p itself and the k images nearest to it, k + 1 in all (paper: k). Equal
  distances go by row. p comes first whatever rounding says, or copies of one picture could
  push it out of its own list;
- R(p, k), equation 3, holds the g of N(p, k) with p in N(g, k);
- R*(p, k1), equation 5, adds R(q, k1/2) for each q of R(p, k1) when more than two thirds of
  it lie in R(p, k1) (paper: two thirds or more). k1/2 is rounded half to even: 5 gives 2;
- the encoding V_p, equation 7, is exp(-distance) on R*(p, k1), divided by its sum (paper:
  not divided);
- V_p is replaced by the mean of V over p and its k2 - 1 nearest (equation 11);
- the Jaccard distance, equation 10, is 1 - s / (2 - s) with s = sum_j min(V_pj, V_gj).

Nothing here is N x N. Memory grows with N * k1, and with N * k1 * k2 for equation 11.
"""

import dataclasses
import sys
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import tqdm
from scipy import sparse

# Work on fewer images takes a few seconds and shows no progress.
_LONG = 4096
# Rows of sparse products made at a time.
_ROWS = 1024
# Pairs of embeddings compared one by one at a time.
_PAIRS = 2048
# Sums and terms of sums of minima held at a time: about 50 MiB.
_TERMS = 2**20


@dataclasses.dataclass(frozen=True, eq=False)
class Encoding:
    """k-reciprocal encodings of N images.

    Attributes:
        vectors: float32 CSR [N, N], at least 0; each row sums to 1.
        farthest: float [N], the largest 2 - 2 cos of each image to any other.
    """

    vectors: sparse.csr_array
    farthest: np.ndarray


def encode(units: np.ndarray, k1: int, k2: int, block: int) -> Encoding:
    """Returns the encodings of images, as the module defines them.

    Args:
        units: float [N, D] of unit length.
        k1: neighbours considered; those beyond N - 1 do not exist and are not missed.
        k2: images averaged over, itself included; 1 leaves V as it is.
        block: images compared with all at a time.
    """
    neighbours, farthest = _nearest(units, max(k1 + 1, k2), block)
    half = int(np.around(k1 / 2))
    members = _expanded(_mutual(neighbours[:, : k1 + 1]), _mutual(neighbours[:, : half + 1]))
    vectors = _weighted(members, units, farthest)
    if k2 > 1:
        nearest = _lists(neighbours[:, :k2], np.float32)
        vectors = nearest @ vectors
        vectors.data /= np.float32(nearest.indptr[1])  # k2, or N where that is less
    return Encoding(vectors, farthest)


def jaccard_pairs(
    vectors: sparse.csr_array, others: sparse.csc_array
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields the Jaccard distances of equation 10 where they are below 1.

    Args:
        vectors: CSR [R, N], rows of `Encoding.vectors`.
        others: CSC [M, N], the same or other rows of it.

    Yields:
        row, column and float32 distance of pairs that share a neighbour, by row, then by column.
    """
    width = others.shape[0]
    holders = np.diff(others.indptr)[vectors.indices]  # images each entry of V meets
    ends = np.concatenate([[0], np.cumsum(holders)])[vectors.indptr]
    cost = ends + width * np.arange(len(ends))
    start = 0
    while start < vectors.shape[0]:
        stop = max(start + 1, np.searchsorted(cost, cost[start] + _TERMS, "right") - 1)
        entries = slice(vectors.indptr[start], vectors.indptr[stop])
        # Every entry V_pj beside all entries V_gj of its column.
        count = holders[entries]
        first = np.cumsum(count) - count
        at = np.arange(count.sum())
        at += np.repeat(others.indptr[vectors.indices[entries]] - first, count)
        least = np.minimum(np.repeat(vectors.data[entries], count), others.data[at])
        row = np.repeat(np.arange(stop - start), np.diff(ends[start : stop + 1]))
        cell = row * width + others.indices[at]
        common = np.bincount(cell, least, (stop - start) * width)
        near = np.flatnonzero(common)
        # Rounding may take the sum past 1.
        shared = np.minimum(common[near], 1)
        row, column = np.divmod(near, width)
        yield start + row, column, (1 - shared / (2 - shared)).astype(np.float32)
        start = stop


def progress_bar(title: str, images: int) -> tqdm.tqdm:
    """Returns a progress bar over the images, for `with`; it is silent where the work is short.

    Args:
        title: what is computed.
        images: their number; `update` takes how many more are done.
    """
    short = images < _LONG
    if not short:
        print(f"{title}: {images} images", flush=True)
    return tqdm.tqdm(total=images, unit=" images", file=sys.stdout, mininterval=1, disable=short)


def _nearest(units: np.ndarray, count: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows nearest to each image, itself first, and `Encoding.farthest`.

    The rows are int32 [N, <=count].
    """
    images = len(units)
    count = min(count, images)
    neighbours = np.empty((images, count), np.int32)
    farthest = np.empty(images, units.dtype)
    cosine = np.empty((min(block, images), images), units.dtype)
    with progress_bar("k-reciprocal neighbours", images) as bar:
        for start in range(0, images, block):
            part = units[start : start + block]
            scores = np.matmul(part, units.T, out=cosine[: len(part)])
            stop = start + len(part)
            rows = np.arange(len(part))
            farthest[start:stop] = 2 - 2 * scores.min(axis=1)
            scores[rows, start + rows] = np.inf
            # All that reach the last place: some may equal it, and then the first rows win.
            reach = np.partition(scores, images - count, axis=1)[:, images - count]
            # `nonzero` is much slower in two dimensions.
            near = np.flatnonzero(scores >= reach[:, np.newaxis])
            row, column = np.divmod(near, images)
            ordered = column[np.lexsort((column, -scores[row, column], row))]
            first = np.searchsorted(row, rows)
            neighbours[start:stop] = ordered[first[:, np.newaxis] + np.arange(count)]
            bar.update(len(part))
    # Above zero, for images that are all the same.
    return neighbours, np.maximum(farthest, np.finfo(np.float32).eps)


def _lists(neighbours: np.ndarray, dtype: npt.DTypeLike) -> sparse.csr_array:
    """Returns lists of rows [N, k] as CSR [N, N] of ones."""
    images, count = neighbours.shape
    starts = np.arange(0, images * count + 1, count)
    ones = np.ones(images * count, dtype)
    return sparse.csr_array((ones, neighbours.ravel(), starts), shape=(images, images))


def _mutual(neighbours: np.ndarray) -> sparse.csr_array:
    """Returns R of equation 3 as a symmetric CSR [N, N] of ones, from the lists N(p, k)."""
    lists = _lists(neighbours, np.int32)
    return lists.multiply(lists.T.tocsr()).tocsr()


def _expanded(mutual: sparse.csr_array, half: sparse.csr_array) -> sparse.csr_array:
    """Returns R* of equation 5 as CSR [N, N] with sorted columns, from R(p, k1) and R(q, k1/2)."""
    size = np.diff(half.indptr)
    parts = []
    for start in range(0, mutual.shape[0], _ROWS):
        part = mutual[start : start + _ROWS]
        # At (p, q), how much of R(q, k1/2) lies in R(p, k1): `half` is symmetric.
        common = (part @ half).multiply(part).tocsr()
        common.data = (3 * common.data > 2 * size[common.indices]).astype(np.int32)
        common.eliminate_zeros()
        parts.append((part + common @ half).astype(bool))
    members = sparse.vstack(parts, "csr")
    members.sort_indices()
    return members


def _weighted(
    members: sparse.csr_array, units: np.ndarray, farthest: np.ndarray
) -> sparse.csr_array:
    """Returns V of equation 7, divided by its sum, on the members of R*."""
    count = np.diff(members.indptr)
    rows = np.repeat(np.arange(len(count)), count)
    weights = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _PAIRS):
        row, column = rows[start : start + _PAIRS], members.indices[start : start + _PAIRS]
        cosine = np.einsum("nd,nd->n", units[row], units[column])
        weights[start : start + _PAIRS] = np.exp((2 * cosine - 2) / farthest[row])
    weights /= np.repeat(np.add.reduceat(weights, members.indptr[:-1]), count)
    return sparse.csr_array((weights, members.indices, members.indptr), shape=members.shape)
