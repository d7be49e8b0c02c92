"""Scores of a ranking, made from the ranks of the matches alone."""

import dataclasses

import numpy as np

_REPORTED_RANKS = (1, 5, 10, 20)


@dataclasses.dataclass(frozen=True, eq=False)
class RankingResult:
    """Scores of one evaluation, all fractions of 1.

    Attributes:
        cmc: float64 [max_rank]; `cmc[k - 1]` is the share of valid queries with a match
            among their first k gallery pictures.
        mean_ap: mean of `average_precision`, the definition most code uses.
        mean_ap_trapezoid: mAP of the MATLAB code that came with Market-1501, often half a
            point lower: the mean of the precision at each match and just before it.
        mean_inp: mean of the number of matches divided by the rank of the last one, the
            inverse negative penalty (Ye et al., TPAMI 2021).
        valid_queries: queries with a match; the denominator of every mean.
        queries: all queries.
        junk: gallery pictures dropped because their person is -1.
        distractors: gallery pictures of person 0, which were kept.
        average_precision: float64 [queries], the mean of the precision at each match;
            NaN for a query without a match.
        first_match_rank: int64 [queries], from 1; 0 for a query without a match.
    """

    cmc: np.ndarray
    mean_ap: float
    mean_ap_trapezoid: float
    mean_inp: float
    valid_queries: int
    queries: int
    junk: int
    distractors: int
    average_precision: np.ndarray
    first_match_rank: np.ndarray

    def rank(self, k: int) -> float:
        """Returns the CMC at rank k.

        Raises:
            ValueError: k isn't between 1 and max_rank.
        """
        if not 1 <= k <= self.cmc.size:
            raise ValueError(f"k must lie between 1 and max_rank, {self.cmc.size}, not {k}")
        return float(self.cmc[k - 1])

    def per_query(self) -> dict[str, np.ndarray]:
        """Returns the numbers whose means are rank-1 (0 or 1 each) and mAP (AP).

        Queries without a match are left out. That depends on ids alone: two rankings of the same
        queries and gallery have the same queries here, in the same order.

        Returns:
            {"rank-1": float64 [valid_queries], "mean_ap": float64 [valid_queries]}.
        """
        valid = self.first_match_rank > 0
        return {
            "rank-1": (self.first_match_rank[valid] == 1).astype(np.float64),
            "mean_ap": self.average_precision[valid],
        }

    def to_json(self) -> dict[str, float | int]:
        """Returns scores and counts by name, without the per-query arrays."""
        scores = {f"rank-{k}": self.rank(k) for k in _REPORTED_RANKS if k <= self.cmc.size}
        names = ("mean_ap", "mean_ap_trapezoid", "mean_inp")
        counts = ("queries", "valid_queries", "junk", "distractors")
        return scores | {name: getattr(self, name) for name in names + counts}


def of_ranks(
    ranks: np.ndarray, matches: np.ndarray, max_rank: int, *, junk: int, distractors: int
) -> RankingResult:
    """Returns the scores of queries whose matches stand at these ranks.

    Args:
        ranks: int64 [M], from 1: those of the first query's matches, ascending, then the next's.
        matches: int64 [queries], how many of them are each query's; one query has some.
        max_rank: length of the CMC curve.
        junk: see `RankingResult`.
        distractors: likewise.
    """
    valid = matches > 0
    count = matches[valid]
    first = np.cumsum(count) - count
    place = np.arange(1, len(ranks) + 1) - np.repeat(first, count)
    precision = place / ranks
    # Just before a match: one picture and one match fewer; 1 where there is no "before".
    previous = np.where(ranks > 1, (place - 1) / np.maximum(ranks - 1, 1), 1.0)
    average_precision = np.full(len(matches), np.nan)
    average_precision[valid] = np.add.reduceat(precision, first) / count
    trapezoid = np.add.reduceat((precision + previous) / 2, first) / count
    first_match_rank = np.zeros(len(matches), np.int64)
    first_match_rank[valid] = ranks[first]
    found = np.bincount(np.minimum(ranks[first], max_rank + 1), minlength=max_rank + 2)
    return RankingResult(
        cmc=np.cumsum(found)[1:-1] / len(count),
        mean_ap=float(average_precision[valid].mean()),
        mean_ap_trapezoid=float(trapezoid.mean()),
        mean_inp=float(precision[first + count - 1].mean()),
        valid_queries=len(count),
        queries=len(matches),
        junk=junk,
        distractors=distractors,
        average_precision=average_precision,
        first_match_rank=first_match_rank,
    )
