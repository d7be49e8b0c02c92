"""Do two pictures show one person? How often an answer by a threshold of similarity is right.

A pair is accepted where its cosine similarity reaches the threshold. The false-accept rate is the
share of the pairs of different persons that are accepted, the true-accept rate that of the pairs of
one person. A rate below one over the number of pairs of different persons can't be measured, and
nothing is extrapolated.
"""

import dataclasses
import math

import numpy as np
import numpy.typing as npt
from scipy import stats

LEVEL = 0.95
# False-accept rates that are always reported.
RATES = (1e-2, 1e-3)


@dataclasses.dataclass(frozen=True)
class Operation:
    """What a false-accept rate costs.

    Attributes:
        wanted: the highest false-accept rate.
        threshold: cosine similarity from which on a pair is accepted.
        interval: (low, high) of the threshold, 95 %: with other pairs of different persons.
        false_accepts: the rate at the threshold, at most `wanted`.
        true_accepts: the share of pairs of one person that are accepted.
    """

    wanted: float
    threshold: float
    interval: tuple[float, float]
    false_accepts: float
    true_accepts: float


@dataclasses.dataclass(frozen=True)
class Verification:
    """Scores of pairs.

    Attributes:
        same: pairs of one person.
        other: pairs of different persons.
        auc: area under the ROC curve: how often a pair of one person is the more similar one.
        false_accepts: float64 [K], the ROC curve's rates, ascending from 0 to 1.
        true_accepts: float64 [K].
    """

    same: int
    other: int
    auc: float
    false_accepts: np.ndarray
    true_accepts: np.ndarray


def verify(similarity: npt.ArrayLike, same: npt.ArrayLike) -> Verification:
    """Returns the ROC curve of pairs, and the area under it.

    Args:
        similarity: real [P], cosines.
        same: bool [P].

    Raises:
        ValueError: shapes differ, a number isn't finite, or there are no pairs of one kind.
    """
    right, wrong = _split(similarity, same)
    # A pair of ties counts one half.
    ranks = stats.rankdata(np.concatenate([right, wrong]))[: len(right)]
    auc = (ranks.sum() - len(right) * (len(right) + 1) / 2) / (len(right) * len(wrong))
    thresholds = np.unique(np.concatenate([right, wrong]))[::-1]
    # Of ascending numbers, how many reach the threshold.
    false, true = (
        1 - np.searchsorted(np.sort(each), thresholds, "left") / len(each)
        for each in (wrong, right)
    )
    return Verification(
        len(right),
        len(wrong),
        float(auc),
        np.concatenate([[0.0], false]),
        np.concatenate([[0.0], true]),
    )


def operation(similarity: npt.ArrayLike, same: npt.ArrayLike, wanted: float) -> Operation | None:
    """Returns the threshold for a false-accept rate, or None where there are too few pairs for it.

    It lies halfway between the highest similarity that has to be refused, that of a pair of
    different persons, and the next above. Its interval is that of the percentile bootstrap over
    these pairs, with infinitely many resamples: an order statistic of a resample is one of the
    sample, at a place that follows the beta distribution. Pairs count as independent; those that
    share a picture are not, so the interval is rather too narrow.

    Args:
        similarity: real [P], cosines.
        same: bool [P].
        wanted: the highest false-accept rate, above 0 and below 1.

    Raises:
        ValueError: as `verify`; or `wanted` is no such rate.
    """
    if not 0 < wanted < 1:
        raise ValueError(f"wanted must lie above 0 and below 1, not {wanted!r}")
    right, wrong = _split(similarity, same)
    # Rounding may not cost one: 0.07 * 100 is more than 7, 0.29 * 100 less than 29.
    allowed = math.floor(wanted * len(wrong) * (1 + 1e-12))
    if not allowed:
        return None
    falling = np.sort(wrong)[::-1]
    tail = (1 - LEVEL) / 2
    places = stats.beta.ppf([tail, 1 - tail], allowed + 1, len(wrong) - allowed) * len(wrong)
    highest, lowest = falling[np.minimum(places.astype(np.int64), len(wrong) - 1)]
    found = np.unique(np.concatenate([right, wrong]))
    threshold = _above(falling[allowed], found)
    return Operation(
        wanted,
        threshold,
        (_above(lowest, found), _above(highest, found)),
        float(np.mean(wrong >= threshold)),
        float(np.mean(right >= threshold)),
    )


def _above(refused: float, found: np.ndarray) -> float:
    """Returns a threshold that refuses a similarity, and the next above it passes.

    Args:
        refused: the similarity.
        found: float64 [N], all similarities, ascending and distinct.
    """
    place = int(np.searchsorted(found, refused, "right"))
    between = (refused + found[place]) / 2 if place < len(found) else refused
    return float(between if between > refused else np.nextafter(refused, np.inf))


def _split(similarity: npt.ArrayLike, same: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns the similarities of pairs of one person, and of different ones."""
    values, equal = np.asarray(similarity, np.float64), np.asarray(same)
    if values.ndim != 1 or values.shape != equal.shape or equal.dtype != bool:
        raise ValueError(
            f"similarity and same must be real [P] and bool [P], not {values.shape} and "
            f"{equal.dtype} {equal.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("similarity must be finite")
    if equal.all() or not equal.any():
        kind = "different persons" if equal.all() else "one person"
        raise ValueError(f"there are no pairs of {kind}")
    return values[equal], values[~equal]
