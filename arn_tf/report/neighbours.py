"""Mutual nearest neighbours across cameras: what can be said of a model where no person is known.

p of camera A and q of camera B are mutual nearest neighbours if q is the picture of B that is most
similar to p, and p that of A most similar to q. Most such pairs of a good model show one person.
"""

import dataclasses

import numpy as np

from arn_tf.ranking.arguments import units_of
from arn_tf.ranking.evaluation import Kept
from arn_tf.report import cameras
from arn_tf.report.camera_pairs import Matrix

# Pictures that each of two cameras must have.
LEAST_PICTURES = 10
# Pictures compared with others at a time.
_BLOCK = 256


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """Nearest neighbours of N pictures.

    Attributes:
        matrix: of camera pairs; None where fewer than two cameras are known.
        nearest: int64 [N], the most similar picture of another camera, -1 where there is none; of
            all others where fewer than two cameras are known.
        similarity: float64 [N], its cosine.
    """

    matrix: Matrix | None
    nearest: np.ndarray
    similarity: np.ndarray

    def mutual(self) -> np.ndarray:
        """Returns the pictures whose nearest has them as its own nearest, the first of each two."""
        rows = np.flatnonzero(self.nearest >= 0)
        partners = self.nearest[rows]
        return rows[(self.nearest[partners] == rows) & (rows < partners)]


def neighbours(kept: Kept) -> Neighbours:
    """Returns the nearest neighbours of all pictures, and numbers of every pair of cameras.

    Those numbers: the mean similarity of mutual nearest neighbours, and reciprocity, which is the
    share of the smaller camera's pictures that have one in the other camera.

    Args:
        kept: the model's embeddings of pictures of unknown persons.
    """
    split = kept.query
    units = units_of("query_embeddings", kept.query_embeddings)
    found = cameras.names(split)
    nearest, best = np.full(len(units), -1), np.full(len(units), -np.inf)
    if len(found) < 2:
        for start in range(0, len(units), _BLOCK):
            similarity = units[start : start + _BLOCK] @ units.T
            rows = np.arange(len(similarity))
            similarity[rows, start + rows] = -np.inf
            nearest[start + rows] = similarity.argmax(axis=1)
            best[start + rows] = similarity.max(axis=1)
        return Neighbours(None, nearest, best)
    shape = len(found), len(found)
    values = {name: np.full(shape, np.nan) for name in ("mean similarity", "reciprocity")}
    counts = np.zeros(shape, np.int64)
    places = [np.flatnonzero(split.camera_id == camera) for camera in found]
    for one, left in enumerate(places):
        for other, right in enumerate(places[:one]):
            to_right, to_left, cosine, back = _both_ways(units[left], units[right])
            _closer(nearest, best, left, right[to_right], cosine)
            _closer(nearest, best, right, left[to_left], back)
            mutual = to_left[to_right] == np.arange(len(left))
            smaller = min(len(left), len(right))
            cells = ([one, other], [other, one])
            counts[cells] = np.count_nonzero(mutual)
            if smaller >= LEAST_PICTURES:
                values["mean similarity"][cells] = cosine[mutual].mean()
                values["reciprocity"][cells] = np.count_nonzero(mutual) / smaller
    matrix = Matrix(list(found.values()), values, counts, "mutual nearest neighbours")
    return Neighbours(matrix, nearest, best)


def _both_ways(
    left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns the nearest of each in the other set, int64 [L] and [R], and the cosines."""
    to_right, cosine = np.empty(len(left), np.int64), np.empty(len(left))
    to_left, back = np.zeros(len(right), np.int64), np.full(len(right), -np.inf)
    for start in range(0, len(left), _BLOCK):
        similarity = left[start : start + _BLOCK] @ right.T
        rows = slice(start, start + len(similarity))
        to_right[rows], cosine[rows] = similarity.argmax(axis=1), similarity.max(axis=1)
        highest = similarity.max(axis=0)
        better = highest > back
        to_left[better] = start + similarity.argmax(axis=0)[better]
        back[better] = highest[better]
    return to_right, to_left, cosine, back


def _closer(
    nearest: np.ndarray, best: np.ndarray, rows: np.ndarray, found: np.ndarray, cosine: np.ndarray
) -> None:
    """Enters what was found for some pictures where it is nearer than what is known."""
    closer = cosine > best[rows]
    nearest[rows[closer]] = found[closer]
    best[rows[closer]] = cosine[closer]
