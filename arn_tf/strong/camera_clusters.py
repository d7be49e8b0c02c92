"""Pseudo-identities from clusters of each camera alone, joined across cameras.

Where cameras differ much, pictures of one camera are nearer to each other than to their persons'
pictures in another, and clusters of all pictures together mix persons. Pictures of one camera are
clustered first, within a small radius, and then the clusters of different cameras are joined
(`arn_tf.strong.joining`).
"""

import numpy as np

from arn_tf.ranking import arguments, reranking
from arn_tf.strong import camera_links, clustering, directions, joining, tracklets
from arn_tf.strong.clustering import UNUSED, ClusterCounts

# Nobody has hundreds of pictures in one camera's clusters, so fewer neighbours than for all
# cameras together; the radius may be .2 to .35 without difference.
_K1, _K2, _EPS, _MIN_SAMPLES = 12, 4, 0.3, 2


def in_cameras(embeddings: np.ndarray, units: tracklets.Units) -> tuple[np.ndarray, int]:
    """Clusters the units of each known camera by themselves.

    Args:
        embeddings: real [N, D], of any length above zero.
        units: of the pictures.

    Returns:
        int64 [U], clusters from 0, those of one camera after those of another; -1 in none, or of
        an unknown camera; and the number of clusters that `cannot_link` divided.

    Raises:
        CollapsedError: see `reranking.jaccard_distance`.
    """
    features = units.features(embeddings)
    labels, divided = np.full(len(units), UNUSED), 0
    for camera in np.unique(units.camera_id[units.camera_id >= 0]):
        rows = np.flatnonzero(units.camera_id == camera)
        if len(rows) <= _MIN_SAMPLES:
            continue
        k1, k2 = (min(k, len(rows) - 1) for k in (_K1, _K2))
        graph = reranking.jaccard_distance(features[rows], k1=k1, k2=k2, radius=_EPS)
        found, parts = clustering.dense(graph, units.part(rows), _EPS, _MIN_SAMPLES)
        labels[rows] = np.where(found >= 0, found + labels.max(initial=-1) + 1, UNUSED)
        divided += parts
    return labels, divided


def joined(
    embeddings: np.ndarray, units: tracklets.Units, own: np.ndarray, divided: int = 0
) -> tuple[np.ndarray, ClusterCounts, camera_links.Links]:
    """Joins the clusters of single cameras, and keeps the persons of two cameras or more.

    Args:
        embeddings: real [N, D], of any length above zero.
        units: of the pictures.
        own: int64 [U], as `in_cameras` returns it.
        divided: likewise.

    Returns:
        as `clustering.cluster`, and the links between the cameras.
    """
    of_picture = own[units.of_picture]
    clusters = own.max(initial=-1) + 1
    used = of_picture >= 0
    rows = arguments.units_of("embeddings", embeddings)[used]
    centroids = directions.means(rows, of_picture[used], clusters)
    camera = np.zeros(clusters, np.int64)
    camera[own[own >= 0]] = np.unique(units.camera_id[own >= 0], return_inverse=True)[1]
    person, links = joining.join(centroids, camera)
    found = np.full(len(units), UNUSED)
    found[own >= 0] = person[own[own >= 0]]
    return *clustering.kept(found, units, _EPS, divided), links
