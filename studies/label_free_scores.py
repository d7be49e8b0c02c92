"""More indicators of how well embeddings suit a target, which runs don't log; all label-free.

Arguments as in `arn_tf.strong.unlabelled_scores`, which has those that runs log.
"""

import math

import numpy as np
from sklearn.metrics import silhouette_score

from arn_tf.ranking import arguments
from arn_tf.ranking.arguments import units_of
from arn_tf.strong import clustering, directions
from arn_tf.strong.unlabelled_scores import (
    across_cameras,
    entropies,
    known_units,
    nearest_rows,
)


def classifier_entropy(logits: np.ndarray) -> float:
    """Returns the mean entropy of the source classifier on target pictures, nats; LOWER is better.

    As minimised by Grandvalet and Bengio (NeurIPS 2004), and as a validation score in Morerio
    et al., "Minimal-Entropy Correlation Alignment" (ICLR 2018).

    Args:
        logits: real [N, identities of the source].
    """
    logits = arguments.embeddings("logits", logits)
    return float(entropies(logits.astype(np.float64)).mean())


def mirror_rate(embeddings: np.ndarray, mirrored: np.ndarray) -> float:
    """Returns the share of mirror images nearest to their own original; HIGHER is better.

    Agreement of a network with itself under an augmentation that keeps the label, as in
    Ji et al. (ICCV 2019) and self-training's consistency losses since.

    Args:
        embeddings: real [N, D], of the pictures alone.
        mirrored: real [N, D], of their mirror images.
    """
    units, other = _views(embeddings, mirrored)
    right = 0
    for start, similarity in directions.similarities(other, units):
        right += np.count_nonzero(similarity.argmax(axis=1) == start + np.arange(len(similarity)))
    return float(right / len(units))


def mirror_overlap(
    embeddings: np.ndarray, mirrored: np.ndarray, camera_id: np.ndarray, k: int = 10
) -> float:
    """Returns the share of the k nearest that a picture and its mirror image have in common.

    HIGHER is better; source as for `mirror_rate`. The nearest of both are originals of other
    cameras.

    Args:
        embeddings: real [N, D], of the pictures alone.
        mirrored: real [N, D], of their mirror images.
        camera_id: integers [N]; below 0 is unknown.
        k: neighbours; of fewer pictures, all.
    """
    k = arguments.positive("k", k)
    units, other = _views(embeddings, mirrored)
    units, camera = known_units(units, camera_id)
    if units is None:
        return math.nan
    other = other[np.asarray(camera_id) >= 0]
    common = count = 0
    for own, flipped in zip(
        across_cameras(units, camera), across_cameras(units, camera, other), strict=True
    ):
        lists = [nearest_rows(part, min(k, len(units))) for part in (own, flipped)]
        # Of fewer than k pictures of other cameras, those that there are.
        real = [
            np.take_along_axis(part, rows, axis=1) > -np.inf
            for part, rows in zip((own, flipped), lists, strict=True)
        ]
        same = lists[0][:, :, np.newaxis] == lists[1][:, np.newaxis, :]
        same &= real[0][:, :, np.newaxis] & real[1][:, np.newaxis, :]
        common += np.count_nonzero(same)
        count += np.count_nonzero(real[0])
    return float(common / count)


def cluster_scores(embeddings: np.ndarray, camera_id: np.ndarray) -> dict[str, float]:
    """Returns figures of the clusters of `clustering.cluster`; HIGHER is better for each.

    Args:
        embeddings: real [N, D].
        camera_id: integers [N]; below 0 is unknown.

    Returns:
        used: share of the pictures in clusters that are kept.
        clusters: their number.
        silhouette: mean silhouette of the used pictures, by cosine distance (Rousseeuw, 1987);
            -1 where there are fewer than two clusters.
    """
    labels, counts = clustering.cluster(embeddings, camera_id)
    used = labels >= 0
    silhouette = -1.0
    if 2 <= counts.clusters < counts.used:
        silhouette = silhouette_score(np.asarray(embeddings)[used], labels[used], metric="cosine")
    return {
        "used": counts.used_share,
        "clusters": float(counts.clusters),
        "silhouette": float(silhouette),
    }


def _views(embeddings: np.ndarray, mirrored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    units, other = units_of("embeddings", embeddings), units_of("mirrored", mirrored)
    if units.shape != other.shape:
        raise ValueError(f"mirrored must have the shape {units.shape}, not {other.shape}")
    return units, other
