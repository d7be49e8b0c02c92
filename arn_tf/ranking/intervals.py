"""Confidence intervals of a score over queries: where it would lie with other queries.

The percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section
13.3): the queries are drawn again with replacement, as many as there are, and the score is their
mean. The gallery stays as it is, and queries of one person count as independent, so the intervals
are rather too narrow than too wide. Every call draws the same queries: rows of one table move
together, and equal input gives equal intervals. The draws, `scipy.stats.bootstrap`'s, follow from
`_SEED` and `_BLOCK`.
"""

import numpy as np
import numpy.typing as npt
from scipy import stats

LEVEL = 0.95
RESAMPLES = 2000
_SEED = 0
# Resamples drawn at a time, so that memory stays at 100 numbers per query.
_BLOCK = 100


def interval(scores: npt.ArrayLike) -> tuple[float, float]:
    """Returns the interval of a mean over queries.

    Args:
        scores: real [queries], one number of each query, such as
            `RankingResult.per_query()["mean_ap"]`; or [seeds, queries], the same queries scored
            with several seeds. Those are averaged for each query first: the interval is of the
            seeds' mean, and excludes the spread between seeds.

    Returns:
        (low, high), between which 95 % of the resampled means lie.

    Raises:
        ValueError: a wrong shape, no query, or a number that isn't finite.
    """
    return _interval(_of_queries("scores", scores))


def difference(left: npt.ArrayLike, right: npt.ArrayLike) -> tuple[float, tuple[float, float]]:
    """Returns how much higher `left` scores than `right` on the same queries.

    Paired: both are resampled together, so what makes a query hard for both drops out.

    Args:
        left: as in `interval`.
        right: likewise, of the same queries in the same order; the numbers of seeds may differ.

    Returns:
        the mean of left - right, and its interval (low, high).

    Raises:
        ValueError: as `interval`; or unequal numbers of queries.
    """
    left, right = _of_queries("left", left), _of_queries("right", right)
    if left.shape != right.shape:
        raise ValueError(f"left has {left.size} queries and right {right.size}: not the same")
    return float(np.mean(left - right)), _interval(left - right)


def _of_queries(name: str, scores: npt.ArrayLike) -> np.ndarray:
    """Returns scores as float64 [queries], averaged over seeds."""
    scores = np.asarray(scores, np.float64)
    if scores.ndim not in (1, 2) or not scores.size:
        raise ValueError(f"{name} must be [queries] or [seeds, queries], not {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{name} must be finite: leave out queries without a match")
    return scores.mean(axis=0) if scores.ndim == 2 else scores


def _interval(scores: np.ndarray) -> tuple[float, float]:
    if scores.size == 1:
        # SciPy asks for two; every resample of one is that one.
        return float(scores[0]), float(scores[0])
    low, high = stats.bootstrap(
        (scores,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=_BLOCK,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return float(low), float(high)
