"""Joins clusters of single cameras into persons that several cameras saw.

A camera's look moves all its embeddings together, so that pictures of one person in two cameras may
be farther apart than those of two persons in one. Clusters of one camera are free of that; each is
one person, or a part of one, and two of them are strangers as a rule. What is left is an assignment
between cameras, as in Xuan and Zhang, "Intra-Inter Camera Similarity" (CVPR 2021): there by
classifiers of the cameras, here by centroids.

Two clusters are linked where each is the other's nearest in its camera, after taking off what each
resembles its neighbours there anyway (the cross-domain similarity local scaling of Conneau et al.,
"Word Translation Without Parallel Data", ICLR 2018). How much two that are one person stand out is
told by how much the nearest in the *own* camera does, which is somebody else.
"""

import dataclasses
import itertools

import numpy as np

# Neighbours whose mean similarity is what a cluster resembles anyway.
_NEIGHBOURS = 5
# Clusters that a camera needs to be compared with others or itself.
_FEWEST = 3
# Of what strangers reach: a link stands out above the quantile; cameras share persons where links
# above the other one are more than among strangers.
_LEAST_LINK, _STRANGERS = 0.25, 0.75


@dataclasses.dataclass(frozen=True)
class Links:
    """Which clusters of two cameras may be one person.

    Attributes:
        pairs: int64 [L, 2], clusters, the surest first.
        prominence: float64 [L], their similarity above what both resemble anyway, descending.
        compared: links between all cameras that were compared, before any was dropped.
        standing_out: how many of those are above what three quarters of strangers reach.
        cameras_compared: pairs of cameras.
        cameras_sharing: pairs of them that seem to share persons.
        background: float64 [C, cameras], mean similarity of each cluster to its nearest in each
            camera, NaN where that wasn't compared.
    """

    pairs: np.ndarray
    prominence: np.ndarray
    compared: int
    standing_out: int
    cameras_compared: int
    cameras_sharing: int
    background: np.ndarray

    @property
    def strangers(self) -> bool:
        """Whether no cameras seem to share persons: links stand out no more than chance has it."""
        return self.cameras_compared > 0 and not _above_chance(self.standing_out, self.compared)


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
    found = links(centroids, camera)
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


def links(centroids: np.ndarray, camera: np.ndarray) -> Links:
    """Returns the links between clusters of all pairs of cameras that seem to share persons.

    Args:
        centroids: see `join`.
        camera: see `join`.
    """
    members = [np.flatnonzero(camera == index) for index in range(camera.max(initial=-1) + 1)]
    background = np.full((len(centroids), len(members)), np.nan)
    strangers = np.concatenate(
        [np.empty(0), *(_strangers(centroids[own]) for own in members if len(own) >= _FEWEST)]
    )
    pairs, prominences = [np.empty((0, 2), np.int64)], [np.empty(0)]
    compared = standing_out = cameras_compared = cameras_sharing = 0
    if len(strangers):
        least, high = np.quantile(strangers, [_LEAST_LINK, _STRANGERS])
    for one, other in itertools.combinations(range(len(members)), 2):
        left, right = members[one], members[other]
        if min(len(left), len(right)) < _FEWEST:
            continue
        similarity = centroids[left] @ centroids[right].T
        background[left, other] = _nearest_mean(similarity)
        background[right, one] = _nearest_mean(similarity.T)
        rows, columns = _mutual(similarity, background[left, other], background[right, one])
        prominence = (
            similarity[rows, columns]
            - (background[left[rows], other] + background[right[columns], one]) / 2
        )
        above = int((prominence > high).sum())
        compared, standing_out = compared + len(rows), standing_out + above
        cameras_compared += 1
        if not _above_chance(above, len(rows)):
            continue
        cameras_sharing += 1
        kept = prominence > least
        pairs.append(np.stack([left[rows[kept]], right[columns[kept]]], axis=1))
        prominences.append(prominence[kept])
    pairs, prominence = np.concatenate(pairs), np.concatenate(prominences)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -prominence))
    return Links(
        pairs[order],
        prominence[order],
        compared,
        standing_out,
        cameras_compared,
        cameras_sharing,
        background,
    )


def _strangers(centroids: np.ndarray) -> np.ndarray:
    """Returns how much the nearest in the own camera stands out, float64 [C]."""
    similarity = centroids @ centroids.T
    np.fill_diagonal(similarity, -np.inf)
    background = _nearest_mean(similarity, itself=1)
    nearest = similarity.argmax(axis=1)
    return similarity.max(axis=1) - (background + background[nearest]) / 2


def _nearest_mean(similarity: np.ndarray, itself: int = 0) -> np.ndarray:
    count = min(_NEIGHBOURS, similarity.shape[1] - itself)
    nearest = np.partition(similarity, -count, axis=1)[:, -count:]
    return nearest.mean(axis=1, dtype=np.float64)


def _mutual(
    similarity: np.ndarray, left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and columns that are each other's nearest, less both backgrounds."""
    corrected = similarity - left[:, None] - right
    column = corrected.argmax(axis=1)
    rows = np.flatnonzero(corrected.argmax(axis=0)[column] == np.arange(len(column)))
    return rows, column[rows]


def _above_chance(above: int, count: int) -> bool:
    """Whether more of some links stand out than among strangers, by a standard error."""
    share = 1 - _STRANGERS
    return above > share * count + np.sqrt(share * (1 - share) * count)


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
