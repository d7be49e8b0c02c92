"""Where the matches of a query stand in its ranked gallery, without sorting the gallery."""

import numpy as np

# What sorting one score costs, in comparisons of the counting pass (measured).
_SORT_COST = 8


def count_before(scores: np.ndarray, matches: np.ndarray) -> np.ndarray:
    """Returns how many gallery pictures a stable descending sort puts before each match.

    Only pictures at or above the worst match can stand before any. Their scores alone are
    sorted, without their rows, and each match looked up; where a query has few matches and
    many such pictures, each match is compared with the whole gallery, which a CPU does many
    scores at a time.

    Args:
        scores: float [G], higher is better.
        matches: int64 [M], rows of the gallery.

    Returns:
        int64 [M].
    """
    wanted = scores[matches]
    contending = scores >= wanted.min()
    count = np.count_nonzero(contending)
    if count * _SORT_COST > matches.size * scores.size:
        return np.array([_count_before_one(scores, match) for match in matches.tolist()])
    # To pick out many of them takes longer than to sort the rest as well.
    ordered = np.sort(scores if 4 * count > scores.size else scores[contending])
    above = np.searchsorted(ordered, wanted, "right")
    before = ordered.size - above
    for tied in np.flatnonzero(above - np.searchsorted(ordered, wanted, "left") > 1):
        before[tied] = _count_before_one(scores, int(matches[tied]))
    return before


def _count_before_one(scores: np.ndarray, match: int) -> int:
    """Rows before the match go first when equal to it, rows after it only when above."""
    score = scores[match]
    before = np.count_nonzero(scores[:match] >= score) + np.count_nonzero(scores[match:] > score)
    return int(before)
