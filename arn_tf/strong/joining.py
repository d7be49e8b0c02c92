"""Joins clusters of single cameras into persons that several cameras saw.

A camera's look moves all its embeddings together, so that pictures of one person in two cameras may
be farther apart than those of two persons in one. Clusters of one camera are free of that; each is
one person, or a part of one, and two of them are strangers as a rule. What is left is an assignment
between cameras, as in Xuan and Zhang, "Intra-Inter Camera Similarity" (CVPR 2021): there by
classifiers of the cameras, here by centroids (`arn_tf.strong.camera_links`).
"""

import numpy as np

from arn_tf.strong import camera_links
from arn_tf.strong.camera_links import Links


def join(centroids: np.ndarray, camera: np.ndarray) -> tuple[np.ndarray, Links]:
    """Returns the person of each cluster, and what links were found.

    Links are taken in the order of their prominence. Two groups become one where no camera has a
    cluster in both, and where their clusters on average stand out to each other.

    Args:
        centroids: real [C, D], of unit length.
        camera: int64 [C], index of each cluster's camera, from 0 without a gap.

    Returns:
        int64 [C], groups numbered by their first clusters; and the links.
    """
    found = camera_links.links(centroids, camera)
    members = {cluster: [cluster] for cluster in range(len(centroids))}
    group = np.arange(len(centroids))
    for one, other in found.pairs.tolist():
        first, second = sorted((int(group[one]), int(group[other])))
        if first == second:
            continue
        left, right = members[first], members[second]
        if np.isin(camera[left], camera[right]).any():
            continue
        if _mean_prominence(centroids, camera, found.background, left, right) < 0:
            continue
        group[right] = first
        members[first] = left + members.pop(second)
    return np.unique(group, return_inverse=True)[1], found


def _mean_prominence(
    centroids: np.ndarray,
    camera: np.ndarray,
    background: np.ndarray,
    left: list[int],
    right: list[int],
) -> float:
    similarity = centroids[left] @ centroids[right].T
    of_left = background[np.ix_(left, camera[right])]
    of_right = background[np.ix_(right, camera[left])].T
    return float(np.nanmean(similarity - (of_left + of_right) / 2))
