"""Mean directions of groups of embeddings: of clusters, and of clusters in each camera."""

import numpy as np


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
