"""Links between clusters of two cameras: which may be one person.

Two clusters are linked where each is the other's nearest in its camera, after taking off what each
resembles its neighbours there anyway (the cross-domain similarity local scaling of Conneau et al.,
"Word Translation Without Parallel Data", ICLR 2018). How much two that are one person stand out is
told by how much the nearest in the *own* camera does, which is somebody else.

No matrix of all clusters with all is held: they are compared in blocks, thrice.
"""

import dataclasses
import itertools

import numpy as np

from arn_tf.strong import directions

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


def links(centroids: np.ndarray, camera: np.ndarray) -> Links:
    """Returns the links between clusters of all pairs of cameras that seem to share persons.

    Args:
        centroids: real [C, D], of unit length.
        camera: int64 [C], index of each cluster's camera, from 0 without a gap.
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
        of_left, of_right = centroids[left], centroids[right]
        background[left, other] = _nearest_mean(of_left, of_right)
        background[right, one] = _nearest_mean(of_right, of_left)
        rows, columns, similarity = _mutual(
            of_left, of_right, background[left, other], background[right, one]
        )
        prominence = (
            similarity - (background[left[rows], other] + background[right[columns], one]) / 2
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
    background, nearest, highest = (np.empty(len(centroids), kind) for kind in (float, int, float))
    for start, similarity in directions.similarities(centroids):
        rows = slice(start, start + len(similarity))
        similarity[np.arange(len(similarity)), np.arange(rows.start, rows.stop)] = -np.inf
        background[rows] = _highest_mean(similarity, len(centroids) - 1)
        nearest[rows] = similarity.argmax(axis=1)
        highest[rows] = similarity.max(axis=1)
    return highest - (background + background[nearest]) / 2


def _nearest_mean(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns the mean similarity of each row of `left` to its nearest of `right`, float64 [L]."""
    parts = directions.similarities(left, right)
    return np.concatenate([_highest_mean(part, len(right)) for _, part in parts])


def _highest_mean(similarity: np.ndarray, columns: int) -> np.ndarray:
    count = min(_NEIGHBOURS, columns)
    nearest = np.partition(similarity, -count, axis=1)[:, -count:]
    return nearest.mean(axis=1, dtype=np.float64)


def _mutual(
    left: np.ndarray, right: np.ndarray, of_left: np.ndarray, of_right: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns pairs that are each other's nearest, less both backgrounds.

    Args:
        left: real [L, D].
        right: real [R, D].
        of_left: the background of each row of `left`, real [L].
        of_right: likewise, real [R].

    Returns:
        the rows of `left`, ascending, those of `right`, and their similarity.
    """
    nearest, similarity_to = np.empty(len(left), int), np.empty(len(left))
    # Of each row of `right`, so far.
    best, nearest_to = np.full(len(right), -np.inf), np.empty(len(right), int)
    every = np.arange(len(right))
    for start, similarity in directions.similarities(left, right):
        rows = slice(start, start + len(similarity))
        corrected = similarity - of_left[rows, None] - of_right
        nearest[rows] = corrected.argmax(axis=1)
        similarity_to[rows] = similarity[np.arange(len(similarity)), nearest[rows]]
        highest = corrected.argmax(axis=0)
        found = corrected[highest, every]
        better = found > best
        best[better], nearest_to[better] = found[better], start + highest[better]
    mutual = np.flatnonzero(nearest_to[nearest] == np.arange(len(left)))
    return mutual, nearest[mutual], similarity_to[mutual]


def _above_chance(above: int, count: int) -> bool:
    """Whether more of some links stand out than among strangers, by a standard error."""
    share = 1 - _STRANGERS
    return above > share * count + np.sqrt(share * (1 - share) * count)
