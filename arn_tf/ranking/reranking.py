"""Distances by shared neighbours, for re-ranking a gallery and for clustering.

Two pictures of a person resemble the same other pictures. The Jaccard distance of k-reciprocal
encodings measures that; `arn_tf.ranking.reciprocal` says which published variant. No label is
read: a picture from the query's own camera can be a neighbour, and so could junk, which must not
be given.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import sparse

from arn_tf.ranking import arguments, reciprocal

# Pairs within the radius, per image, beyond which the images are taken as collapsed.
_CROWD = 1000


class CollapsedError(ValueError):
    """Most images are near most others: the graph would hold no information, and not fit."""


def rerank(
    query_embeddings: npt.ArrayLike,
    gallery_embeddings: npt.ArrayLike,
    *,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
    block: int = 256,
) -> Iterator[np.ndarray]:
    """Returns re-ranked distances of the gallery to each query (Zhong et al., equation 12).

    (1 - lambda) * Jaccard distance + lambda * d, where d is 2 - 2 cos divided by its largest
    value over all queries and gallery pictures. As published, the queries too are each
    other's neighbours, so a query's distances depend on the other queries.

    Memory beside the arguments: a normalised copy of the embeddings, O((Q + G) * k1 * k2)
    for the encodings, and a few blocks of `block` * (Q + G) numbers.

    Args:
        query_embeddings: real [Q, D], of any length above zero.
        gallery_embeddings: real [G, D], without junk.
        k1: nearest neighbours considered.
        k2: images an encoding is averaged over; 1 for none.
        lambda_value: weight of d, from 0 to 1.
        block: queries, and images, handled at a time.

    Returns:
        An iterator over float32 [<=block, G], in the order of the queries; distances lie
        between 0 and 1. `arn_tf.ranking.protocol.rank_gallery` takes this function as `distance`.

    Raises:
        ValueError: an argument has a wrong shape, type or value; it is named.
    """
    k1, k2, block = _checked_sizes(k1, k2, block)
    if not 0 <= lambda_value <= 1:
        raise ValueError(f"lambda_value must lie between 0 and 1, not {lambda_value!r}")
    query = arguments.embeddings("query_embeddings", query_embeddings)
    gallery = arguments.embeddings("gallery_embeddings", gallery_embeddings)
    dtype = arguments.common_dtype(query, gallery)
    query = _unit_rows("query_embeddings", query, dtype)
    units = np.concatenate([query, _unit_rows("gallery_embeddings", gallery, dtype)])
    return _rerank(units, len(query), k1, k2, lambda_value, block)


def jaccard_distance(
    embeddings: npt.ArrayLike,
    *,
    k1: int = 20,
    k2: int = 6,
    radius: float = 0.55,
    block: int = 256,
) -> sparse.csr_array:
    """Returns Jaccard distances up to a radius, as a graph that scikit-learn's DBSCAN takes.

    Most pairs of images share no neighbour; their distance is exactly 1 and is not stored.

    Memory beside the argument: as for `rerank`, and 12 bytes for a stored pair.

    Args:
        embeddings: real [N, D], of any length above zero.
        k1: nearest neighbours considered.
        k2: images an encoding is averaged over; 1 for none.
        radius: largest distance to store, above 0 and below 1.
        block: images handled at a time.

    Returns:
        float32 CSR [N, N], symmetric, for `metric="precomputed"`: a stored 0 (the diagonal,
        and copies) is a distance, an absent entry is one above the radius. Rows are sorted by
        distance, then by column.

    Raises:
        ValueError: an argument has a wrong shape, type or value; it is named.
        CollapsedError: images have over a thousand others within the radius on average.
    """
    k1, k2, block = _checked_sizes(k1, k2, block)
    if not 0 < radius < 1:
        raise ValueError(f"radius must lie above 0 and below 1, not {radius!r}")
    units = arguments.units_of("embeddings", embeddings)

    vectors = reciprocal.encode(units, k1, k2, block).vectors
    others = vectors.tocsc()
    images = len(units)
    columns, distances, counts = [], [], [np.zeros(1, np.int64)]
    pairs = 0
    with reciprocal.progress_bar("Jaccard distances", images) as bar:
        for start in range(0, images, block):
            stop = min(start + block, images)
            parts = reciprocal.jaccard_pairs(vectors[start:stop], others)
            near = [_within(radius, start, *part) for part in parts]
            row, column, distance = (np.concatenate(part) for part in zip(*near, strict=True))
            order = np.lexsort((column, distance, row))
            columns.append(column[order].astype(np.int32))
            distances.append(distance[order])
            counts.append(np.bincount(row, minlength=stop - start))
            pairs += len(row)
            if pairs > _CROWD * images:
                raise CollapsedError(
                    f"{pairs} pairs of images, over {_CROWD} for each of the {images}, lie within "
                    f"a Jaccard distance of {radius}: the embeddings hardly tell images apart"
                )
            bar.update(stop - start)
    starts = np.cumsum(np.concatenate(counts))
    return sparse.csr_array(
        (np.concatenate(distances), np.concatenate(columns), starts), shape=(images, images)
    )


def _within(
    radius: float, start: int, row: np.ndarray, column: np.ndarray, distance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the pairs within the radius; an image is at 0 from itself, whatever rounding says."""
    distance[column == start + row] = 0
    near = distance <= radius
    return row[near], column[near], distance[near]


def _rerank(
    units: np.ndarray, queries: int, k1: int, k2: int, lambda_value: float, block: int
) -> Iterator[np.ndarray]:
    encoding = reciprocal.encode(units, k1, k2, block)
    others = encoding.vectors[queries:].tocsc()
    gallery = units[queries:]
    with reciprocal.progress_bar("re-ranking", queries) as bar:
        for start in range(0, queries, block):
            stop = min(start + block, queries)
            jaccard = np.ones((stop - start, len(gallery)), np.float32)
            for row, column, near in reciprocal.jaccard_pairs(encoding.vectors[start:stop], others):
                jaccard[row, column] = near
            original = units[start:stop] @ gallery.T
            original *= -2
            original += 2
            original /= encoding.farthest[start:stop, np.newaxis]
            np.clip(original, 0, 1, out=original)  # rounding
            jaccard *= 1 - lambda_value
            jaccard += lambda_value * original
            bar.update(stop - start)
            yield jaccard


def _checked_sizes(k1: int, k2: int, block: int) -> tuple[int, int, int]:
    positive = arguments.positive
    return positive("k1", k1), positive("k2", k2), positive("block", block)


def _unit_rows(name: str, embeddings: np.ndarray, dtype: type[np.floating]) -> np.ndarray:
    return arguments.unit_rows(name, embeddings, dtype, np.full(len(embeddings), True))
