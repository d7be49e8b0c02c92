"""Re-ranking as the authors' code does it: several N x N arrays, full sorts, loops."""

import numpy as np


def rerank(
    embeddings: np.ndarray, queries: int, k1: int, k2: int, lambda_value: float
) -> np.ndarray:
    """Returns the re-ranked distances of the images to the first of them, as `reranking.rerank`.

    Args:
        embeddings: float32 [N, D].
        queries: how many of them are queries; the others are the gallery.
        k1: see `arn_tf.ranking.reranking.rerank`.
        k2: likewise.
        lambda_value: likewise.
    """
    images = len(embeddings)
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    distance = 2 - 2 * units @ units.T
    distance /= distance.max(axis=1, keepdims=True)
    np.fill_diagonal(distance, -1)
    rank = np.argsort(distance, axis=1, kind="stable").astype(np.int32)
    np.fill_diagonal(distance, 0)

    def mutual(p: int, k: int) -> np.ndarray:
        forward = rank[p, : k + 1]
        return forward[(rank[forward, : k + 1] == p).any(axis=1)]

    half = round(k1 / 2)
    vectors = np.zeros((images, images), np.float32)
    for p in range(images):
        near = mutual(p, k1)
        expanded = [near]
        for q in near:
            more = mutual(q, half)
            if 3 * np.isin(more, near).sum() > 2 * len(more):
                expanded.append(more)
        members = np.unique(np.concatenate(expanded))
        weight = np.exp(-distance[p, members])
        vectors[p, members] = weight / weight.sum()
    averaged = np.empty_like(vectors)
    for p in range(images):
        averaged[p] = vectors[rank[p, :k2]].mean(axis=0)
    holders = [np.flatnonzero(averaged[:, j]) for j in range(images)]
    final = np.empty((queries, images), np.float32)
    for p in range(queries):
        common = np.zeros(images, np.float32)
        for j in np.flatnonzero(averaged[p]):
            common[holders[j]] += np.minimum(averaged[p, j], averaged[holders[j], j])
        final[p] = (1 - lambda_value) * (1 - common / (2 - common)) + lambda_value * distance[p]
    return final[:, queries:]
