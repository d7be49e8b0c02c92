"""Pseudo-identities of the target: the better of two clusterings.

Pictures of all cameras clustered together (`arn_tf.strong.clustering`) are the more complete where
the embeddings see through the cameras; clusters of each camera alone, joined across cameras
(`arn_tf.strong.camera_clusters`), are the purer where they don't. Which it is shows without labels:
within a camera the second kind hardly errs, so where it separates many pictures of one camera that
the first kind has together, the first one mixes persons. Joined clusters must be the more, too: on
six cameras of Market-1501, from ImageNet's weights, fewer of them had as many wrong pairs across
cameras and half the right ones.
"""

import dataclasses
import math

import numpy as np

from arn_tf.ranking import reranking
from arn_tf.strong import camera_clusters, clustering, tracklets
from arn_tf.strong.clustering import UNUSED, ClusterCounts

# Cameras that share persons have more clusters of two cameras than this share; on real networks
# from .26 on, and at most .13 where two cameras were given different persons.
_FEWEST_SHARED = 0.2
# On real networks of cameras this share lies near the true error of clusters of all pictures, which
# above it had more wrong pairs than joined clusters had.
_MOST_CONFLICTS = 0.25


@dataclasses.dataclass(frozen=True)
class TargetClusters:
    """Pseudo-identities of the target.

    Attributes:
        labels: int64 [N], clusters from 0; -1 for an image that isn't used.
        counts: of these clusters.
        stop_reason: why there must be no training on them; None where there may.
        joined: whether they are clusters of single cameras, joined.
        conflicts: of the pairs of one camera that are together in clusters of all pictures, the
            share that the camera's own clusters separate; NaN without such pairs.
        cameras_compared: pairs of cameras with clusters enough to be compared.
        cameras_sharing: pairs of them that seem to share persons.
    """

    labels: np.ndarray
    counts: ClusterCounts
    stop_reason: str | None
    joined: bool = False
    conflicts: float = math.nan
    cameras_compared: int = 0
    cameras_sharing: int = 0


def find(
    embeddings: np.ndarray,
    camera_id: np.ndarray,
    tracklet: np.ndarray | None = None,
    time: np.ndarray | None = None,
    eps: float | tuple[float, ...] = clustering.EPS,
) -> TargetClusters:
    """Clusters the target both ways, and chooses.

    Args:
        embeddings: real [N, D], of any length above zero.
        camera_id: integers [N]; below 0 is unknown, and counts as no camera.
        tracklet: see `clustering.cluster`.
        time: likewise.
        eps: likewise, of the clusters of all pictures together.

    Raises:
        ValueError: see `clustering.cluster`.
    """
    labels, counts = clustering.cluster(
        embeddings, camera_id, tracklet=tracklet, time=time, eps=eps
    )
    reason = clustering.stop_reason(counts)
    together = TargetClusters(labels, counts, reason)
    units = tracklets.units(camera_id, tracklet, time)
    if counts.collapsed or np.unique(camera_id[camera_id >= 0]).size < 2:
        return together
    try:
        own, divided = camera_clusters.in_cameras(embeddings, units)
    except reranking.CollapsedError:
        return together
    found, joined_counts, links = camera_clusters.joined(embeddings, units, own, divided)
    share = conflicts(labels, own[units.of_picture], camera_id)
    joined_reason = clustering.stop_reason(joined_counts)
    shared = counts.clusters / max(counts.clusters + counts.one_camera, 1)
    more = joined_counts.clusters > counts.clusters
    take_joined = share > _MOST_CONFLICTS and more and not joined_reason
    if take_joined:
        labels, counts, reason = found, joined_counts, joined_reason
    # Both, for parts of one person in a camera would pass for strangers who are much alike.
    if links.strangers and shared < _FEWEST_SHARED:
        reason = (
            "no two cameras seem to share persons: the likest of two cameras are no liker than "
            f"different persons of one ({links.standing_out} of {links.compared} pairs of clusters "
            "stand out, a quarter would by chance), and only "
            f"{shared:.0%} of the clusters of all pictures have two cameras"
        )
    return TargetClusters(
        labels,
        counts,
        reason,
        take_joined,
        share,
        links.cameras_compared,
        links.cameras_sharing,
    )


def conflicts(labels: np.ndarray, own: np.ndarray, camera_id: np.ndarray) -> float:
    """Returns the share of pairs together in `labels` that `own` separates; NaN without pairs.

    Pairs are of one known camera, and both pictures are in clusters of both kinds.

    Args:
        labels: int64 [N], clusters of all cameras together; -1 in none.
        own: int64 [N], clusters of each camera alone; -1 in none.
        camera_id: int64 [N]; below 0 is unknown.
    """
    used = (labels != UNUSED) & (own != UNUSED) & (camera_id >= 0)

    def pairs(*keys: np.ndarray) -> int:
        counts = np.unique([key[used] for key in keys], axis=1, return_counts=True)[1]
        return int((counts * (counts - 1) // 2).sum())

    together = pairs(labels, camera_id)
    return 1 - pairs(labels, camera_id, own) / together if together else np.nan
