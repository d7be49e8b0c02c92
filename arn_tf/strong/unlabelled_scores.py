"""Label-free scores of how well a model's embeddings suit a target: one number a model.

Each score reads the embeddings of the target's training pictures alone. The numbers
compare checkpoints of one run on one target, never two targets. None is proof: a network can be
confident and wrong.

Scores across cameras leave out pictures of an unknown camera, and are NaN where fewer than
two cameras are known. Embeddings are real [N, D], of any length above zero; camera_id
holds integers [N], below 0 where it is unknown. Arguments of a wrong shape or type raise a
ValueError that names them.
"""

import math
from collections.abc import Iterator

import numpy as np

from arn_tf.ranking import arguments
from arn_tf.ranking.arguments import units_of
from arn_tf.strong import directions


def by_name(embeddings: np.ndarray, camera_id: np.ndarray) -> dict[str, float]:
    """Returns {name of a score: its value} of all scores of this module."""
    return {
        "other_camera_share": other_camera_share(embeddings, camera_id),
        "mutual_rate": mutual_rate(embeddings, camera_id),
        "similarity_entropy": similarity_entropy(embeddings, camera_id),
    }


def other_camera_share(embeddings: np.ndarray, camera_id: np.ndarray, k: int = 10) -> float:
    """Returns other cameras' share of the k nearest, over its chance; HIGHER is better.

    1 where a picture's camera doesn't matter to who is near it. The measure of mixing is that
    of Buttner et al. (kBET, Nature Methods 2019) in its simplest form.

    Args:
        embeddings: see the module.
        camera_id: see the module.
        k: neighbours; of fewer pictures, all.
    """
    k = arguments.positive("k", k)
    units, camera = known_units(embeddings, camera_id)
    if units is None:
        return math.nan
    found = chance = 0.0
    for start, similarity in directions.similarities(units):
        rows = np.arange(len(similarity))
        similarity[rows, start + rows] = -np.inf
        other = camera != camera[start + rows, np.newaxis]
        nearest = nearest_rows(similarity, min(k, len(units) - 1))
        found += np.take_along_axis(other, nearest, axis=1).mean(axis=1).sum()
        chance += other.sum() / (len(units) - 1)
    return float(found / chance)


def mutual_rate(embeddings: np.ndarray, camera_id: np.ndarray) -> float:
    """Returns the share of mutual nearest neighbours across cameras; HIGHER is better.

    p's nearest picture of another camera is q, and q's nearest of another camera than its own
    is p: the best-buddies similarity (Dekel et al., CVPR 2015) of a set with itself.
    """
    units, camera = known_units(embeddings, camera_id)
    if units is None:
        return math.nan
    nearest = np.concatenate([part.argmax(axis=1) for part in across_cameras(units, camera)])
    return float(np.mean(nearest[nearest] == np.arange(len(nearest))))


def similarity_entropy(
    embeddings: np.ndarray, camera_id: np.ndarray, temperature: float = 0.05
) -> float:
    """Returns the mean entropy of softmax(cosine / temperature), nats; HIGHER is better.

    Soft neighbourhood density (Saito et al., "Tune it the Right Way", ICCV 2021, with its
    temperature), over pictures of other cameras where the paper takes all others: a picture
    with several neighbours about as near has high entropy. A collapsed network has the highest.

    Args:
        embeddings: see the module.
        camera_id: see the module.
        temperature: above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature!r}")
    units, camera = known_units(embeddings, camera_id)
    if units is None:
        return math.nan
    parts = [entropies(part / temperature) for part in across_cameras(units, camera)]
    return float(np.concatenate(parts).mean())


def known_units(
    embeddings: np.ndarray, camera_id: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """Returns unit embeddings and cameras of the pictures whose camera is known.

    (None, None) where fewer than two cameras are known.
    """
    units = units_of("embeddings", embeddings)
    camera = arguments.ids("camera_id", camera_id, units)
    known = camera >= 0
    if np.unique(camera[known]).size < 2:
        return None, None
    return units[known], camera[known]


def across_cameras(
    units: np.ndarray, camera: np.ndarray, queries: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yields cosines of a block of pictures to all, -inf where the camera is their own.

    Args:
        units: real [N, D] of unit length.
        camera: integers [N].
        queries: real [N, D] of unit length, other embeddings of the same pictures; None: `units`.
    """
    for start, similarity in directions.similarities(units if queries is None else queries, units):
        own = camera[start : start + len(similarity), np.newaxis]
        yield np.where(camera == own, -np.inf, similarity)


def nearest_rows(similarity: np.ndarray, k: int) -> np.ndarray:
    """Returns the rows of the k largest of each row of [B, N], int64 [B, k], unordered."""
    return np.argpartition(-similarity, k - 1, axis=1)[:, :k]


def entropies(logits: np.ndarray) -> np.ndarray:
    """Returns the entropy of the softmax of each row of [N, K], nats: [N]; -inf has no part."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    weights = np.exp(shifted)
    total = weights.sum(axis=1)
    mean = np.where(weights > 0, weights * np.where(weights > 0, shifted, 0), 0).sum(axis=1)
    return np.log(total) - mean / total
