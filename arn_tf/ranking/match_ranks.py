"""Where the matches of a query stand in its ranked gallery, without sorting the gallery."""

import itertools

import numpy as np

# What it costs to pick out and sort one score, in comparisons of the counting pass (measured).
_SORT_COST = 16


def count_before(scores: np.ndarray, query: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Returns how many gallery pictures a stable descending sort puts before each match.

    Args:
        scores: float [Q, G], higher is better.
        query: int64 [M], whose match it is, ascending.
        picture: int64 [M], the match's place in the gallery.

    Returns:
        int64 [M].
    """
    before = np.empty(len(query), np.int64)
    wanted = scores[query, picture]
    ends = np.searchsorted(query, np.arange(len(scores) + 1)).tolist()
    for line, (first, last) in zip(scores, itertools.pairwise(ends), strict=True):
        if first < last:
            mine = slice(first, last)
            before[mine] = _of_one_query(line, picture[mine], wanted[mine])
    return before


def ascending(scores: np.ndarray, contending: np.ndarray, count: int) -> np.ndarray:
    """Returns the contending scores in ascending order, perhaps behind others that are lower.

    Args:
        scores: float [G].
        contending: bool [G], those above a threshold.
        count: how many they are.
    """
    # To pick out most of them takes longer than to sort the rest as well. Where few contend,
    # `compress` takes a fraction of the time of an index by bool.
    most = 3 * count > 2 * scores.size
    ordered = scores.copy() if most else scores.compress(contending)
    ordered.sort()
    return ordered


def _of_one_query(scores: np.ndarray, matches: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Returns the same of one query's matches and their scores.

    Only pictures at or above the worst match can stand before any. Their scores alone are sorted,
    without their rows, and each match looked up; where a query has few matches and many such
    pictures, each match is compared with the whole gallery, which a CPU does many scores at a time.
    """
    contending = scores >= wanted.min()
    count = int(np.count_nonzero(contending))
    if count * _SORT_COST > matches.size * scores.size:
        return np.array([_of_one_match(scores, match) for match in matches.tolist()])
    ordered = ascending(scores, contending, count)
    above = ordered.searchsorted(wanted, "right")
    before: np.ndarray = ordered.size - above
    for tied in (above - ordered.searchsorted(wanted, "left") > 1).nonzero()[0]:
        before[tied] = _of_one_match(scores, int(matches[tied]))
    return before


def _of_one_match(scores: np.ndarray, match: int) -> int:
    """Rows before the match go first when equal to it, rows after it only when above."""
    score = scores[match]
    before = np.count_nonzero(scores[:match] >= score) + np.count_nonzero(scores[match:] > score)
    return int(before)
