"""Ranks of matches against a stable sort of every row, with ties, deep matches and few of them."""

import numpy as np
import pytest

from arn_tf.ranking import match_ranks
from arn_tf.ranking.same_person import ByPerson


def ranks_by_sorting(scores: np.ndarray, query: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Returns each match's place in a stable descending sort of its row, from 0."""
    place = np.empty(scores.shape, np.int64)
    for row, line in enumerate(scores):
        place[row, np.argsort(-line, kind="stable")] = np.arange(len(line))
    return place[query, picture]


@pytest.mark.parametrize("sort_cost", [0, match_ranks._SORT_COST, 10**9])
@pytest.mark.parametrize("values", [3, 50, 2**20])
@pytest.mark.parametrize("shift", [-0.5, 0, 0.5, 1.5])
@pytest.mark.parametrize("matches", [1, 3, 40])
def test_equals_a_stable_sort(sort_cost, values, shift, matches, monkeypatch):
    monkeypatch.setattr(match_ranks, "_SORT_COST", sort_cost)
    random = np.random.default_rng(values + matches)
    scores = random.integers(0, values, (9, 500)).astype(np.float32)
    scores[:, 17] = -np.inf
    query = np.sort(random.integers(0, 8, matches))  # the last has none
    picture = random.integers(100, 500, matches)
    # The larger the shift, the fewer pictures stand before a match.
    scores[query, picture] += np.float32(round(shift * values))
    found = match_ranks.count_before(scores, query, picture)
    np.testing.assert_array_equal(found, ranks_by_sorting(scores, query, picture))


def test_pairs_of_one_person():
    other, own = ByPerson(np.array([5, 2, 5, 9])).pairs(np.array([5, 1, 9, 5]))
    assert other.tolist() == [0, 0, 2, 3, 3]
    assert own.tolist() == [0, 2, 3, 0, 2]
