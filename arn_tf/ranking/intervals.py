"""How far a score could lie elsewhere had other queries been drawn: intervals over queries.

The percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section
13.3): the queries are drawn again with replacement, as many as there are, and the score is their
mean. The gallery stays as it is, and queries of one person count as if they were strangers, so the
intervals are rather too narrow than too wide. Every call draws the same queries: rows of one table
move together, and equal input gives equal intervals.
"""

import numpy as np

LEVEL = 0.95
RESAMPLES = 2000
_SEED = 0
# Resamples drawn at a time, so that memory stays at 100 numbers per query.
_BLOCK = 100


def interval(scores) -> tuple[float, float]:
    """The interval of a mean over queries.

    Args:
      scores: real [queries], one number of each query, such as
        `RankingResult.per_query()["mean_ap"]`; or [seeds, queries], the same queries scored
        with several seeds. Those are averaged for each query first: the interval is of the
        seeds' mean, and says nothing of the spread between seeds.

    Returns:
      (low, high), between which 95 % of the resampled means lie.

    Raises:
      ValueError: a wrong shape, no query, or a number that isn't finite.
    """
    return _interval(_of_queries("scores", scores))


def difference(left, right) -> tuple[float, tuple[float, float]]:
    """How much higher `left` scores than `right` on the same queries.

    Paired: both are resampled together, so what makes a query hard for both drops out.

    Args:
      left, right: as in `interval`, of the same queries in the same order; the numbers of
        seeds may differ.

    Returns:
      the mean of left - right, and its interval (low, high).

    Raises:
      ValueError: as `interval`; or unequal numbers of queries.
    """
    left, right = _of_queries("left", left), _of_queries("right", right)
    if left.shape != right.shape:
        raise ValueError(f"left has {left.size} queries and right {right.size}: not the same")
    return float(np.mean(left - right)), _interval(left - right)


def _of_queries(name, scores):
    """Float64 [queries], averaged over seeds."""
    scores = np.asarray(scores, np.float64)
    if scores.ndim not in (1, 2) or not scores.size:
        raise ValueError(f"{name} must be [queries] or [seeds, queries], not {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{name} must be finite: leave out queries without a match")
    return scores.mean(axis=0) if scores.ndim == 2 else scores


def _interval(scores):
    random = np.random.default_rng(_SEED)
    means = np.concatenate([
        scores[random.integers(0, scores.size, (_BLOCK, scores.size))].mean(axis=1)
        for _ in range(RESAMPLES // _BLOCK)
    ])  # fmt: skip
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
