"""Directions of embeddings: means of groups, and cosines of many with many.

Groups are clusters, or clusters in each camera.
"""

from collections.abc import Iterator

import numpy as np

# Compared with all others at a time.
_BLOCK = 256


def means(embeddings: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Returns the direction of the mean embedding of each group, float64 [G, D], of unit length.

    Args:
        embeddings: real [N, D], of unit length.
        group: int [N], from 0; no group is empty.
        groups: G.

    Returns:
        a row of zeros for a group whose embeddings have no mean direction, as opposite ones.
    """
    sums = np.zeros((groups, embeddings.shape[1]), np.float64)
    np.add.at(sums, group, embeddings)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return sums / np.maximum(lengths, np.finfo(float).tiny)


def similarities(
    units: np.ndarray, others: np.ndarray | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields a block's first row and its cosines to all of `others`, real [<=256, M].

    Args:
        units: real [N, D] of unit length.
        others: real [M, D] of unit length; None: `units`.
    """
    others = units if others is None else others
    for start in range(0, len(units), _BLOCK):
        yield start, units[start : start + _BLOCK] @ others.T
