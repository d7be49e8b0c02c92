"""Intervals over queries: by hand, against a slow loop, and how often they hold the truth."""

import itertools

import numpy as np
import pytest

from arn_tf.ranking import intervals, protocol


def uniform(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


def slow_interval(scores: list[float]) -> tuple[float, ...]:
    """Returns the interval of the same draws, in loops, with percentiles by sorting."""
    random = np.random.default_rng(0)
    means = []
    for _ in range(20):
        for rows in random.integers(0, len(scores), (100, len(scores))):
            means.append(sum(scores[row] for row in rows) / len(scores))
    means.sort()
    # Between the 50th and the 51st of 2,000, say: linear, as NumPy has it.
    found = []
    for place in (0.025 * 1999, 0.975 * 1999):
        below = int(place)
        found.append(means[below] + (place - below) * (means[below + 1] - means[below]))
    return tuple(found)


def test_what_a_ranking_gives():
    """Four persons seen by camera 1; camera 2 has seen three, the last behind two others."""
    angle = np.array([0.0, 0.1, 0.2, 0.3])
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    result = protocol.rank_gallery(unit, unit[[0, 1, 1]], [1, 2, 3, 4], [1, 2, 4], [1] * 4, [2] * 3)
    scores = result.per_query()
    assert scores["rank-1"].tolist() == [1, 1, 0]
    assert scores["mean_ap"].tolist() == pytest.approx([1, 1, 1 / 2])
    assert (result.queries, result.valid_queries) == (4, 3)
    assert result.mean_ap == pytest.approx(5 / 6)
    assert intervals.interval(scores["mean_ap"]) == pytest.approx((1 / 2, 1))


@pytest.mark.parametrize("queries", [1, 2, 7, 48])
def test_equals_a_slow_loop(queries):
    scores = uniform(queries, queries)
    assert intervals.interval(scores) == pytest.approx(slow_interval(scores.tolist()), abs=1e-12)


def test_four_queries_by_hand():
    """One of four is found: k of four draws with chance C(4, k) / 4^k (3/4)^(4 - k).

    Of 0, 1, 2, 3, 4 found: 31.6, 42.2, 21.1, 4.7, 0.4 percent. 2.5 percent from below is 0, and
    from above 3, as 4 comes in only 0.4 percent, 3 or 4 in 5.1.
    """
    assert intervals.interval([0, 0, 1, 0]) == (0.0, 0.75)


def test_three_queries_by_hand():
    """All 27 resamples are equally likely: the interval is the span of their means."""
    scores = [0.1, 0.4, 1.0]
    means = sorted(np.mean(draw) for draw in itertools.product(scores, repeat=3))
    # 1/27 = 3.7 percent of the resamples are at either end, more than 2.5.
    assert intervals.interval(scores) == pytest.approx((means[0], means[-1]))
    assert (means[0], means[-1]) == pytest.approx((0.1, 1.0))


def test_equal_scores_have_no_width():
    assert intervals.interval(np.full(9, 0.25)) == (0.25, 0.25)
    assert intervals.interval([0.7]) == pytest.approx((0.7, 0.7))


def test_equal_input_gives_equal_intervals():
    scores = uniform(0, 30)
    assert intervals.interval(scores) == intervals.interval(scores.copy())
    # One affine map of the scores is one of the interval: all calls draw the same queries.
    low, high = intervals.interval(scores)
    assert intervals.interval(2 * scores + 1) == pytest.approx((2 * low + 1, 2 * high + 1))


def test_seeds_are_averaged_for_each_query_first():
    scores = uniform(1, 3, 20)
    assert intervals.interval(scores) == pytest.approx(intervals.interval(scores.mean(axis=0)))
    assert intervals.interval(scores[:1]) == intervals.interval(scores[0])
    # Two seeds that find what the other misses: no query matters.
    found = np.array([1.0, 0.0, 1.0, 0.0])
    assert intervals.interval([found, 1 - found]) == (0.5, 0.5)


def test_a_paired_difference_by_hand():
    left, right = np.array([0.9, 0.2, 0.5]), np.array([0.8, 0.1, 0.4])
    mean, (low, high) = intervals.difference(left, right)
    # Every query gains the same, however unlike the queries are.
    assert (mean, low, high) == pytest.approx((0.1, 0.1, 0.1))
    assert intervals.interval(left)[0] < intervals.interval(right)[1]


def test_a_paired_difference_is_the_interval_of_the_differences():
    left, right = uniform(2, 3, 40), uniform(3, 40)
    mean, interval = intervals.difference(left, right)
    gain = left.mean(axis=0) - right
    assert mean == pytest.approx(gain.mean())
    assert interval == intervals.interval(gain)
    back, (low, high) = intervals.difference(right, left)
    assert (back, -high, -low) == pytest.approx((-mean, *interval))


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """400 samples of 80 queries whose AP has the mean 2/5; the shape is skewed, as AP is."""
    random = np.random.default_rng(4)
    held, paired = 0, 0
    for _ in range(400):
        hard = random.beta(0.8, 1.2, 80)
        low, high = intervals.interval(hard)
        held += low <= 0.4 <= high
        _, (low, high) = intervals.difference(hard + random.normal(0.02, 0.1, 80), hard)
        paired += low <= 0.02 <= high
    # Deviation of the share is 1.1 points; percentile intervals are a little narrow.
    assert 0.91 < held / 400 < 0.98
    assert 0.91 < paired / 400 < 0.98


def test_width_is_that_of_the_normal_approximation():
    scores = uniform(5, 3000)
    low, high = intervals.interval(scores)
    assert (low + high) / 2 == pytest.approx(scores.mean(), abs=1e-3)
    assert high - low == pytest.approx(2 * 1.96 * scores.std() / np.sqrt(3000), rel=0.05)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([], r"must be \[queries\] or \[seeds, queries\], not \(0,\)"),
        (0.5, r"not \(\)"),
        (np.zeros((2, 3, 4)), r"not \(2, 3, 4\)"),
        ([0.1, np.nan], "must be finite: leave out queries without a match"),
    ],
)
def test_what_is_refused(scores, words):
    with pytest.raises(ValueError, match=f"scores .*{words}"):
        intervals.interval(scores)
    with pytest.raises(ValueError, match=f"right .*{words}"):
        intervals.difference([0.1, 0.2], scores)


def test_other_queries_are_refused():
    with pytest.raises(ValueError, match="left has 3 queries and right 2: not the same"):
        intervals.difference([0.1, 0.2, 0.3], [0.1, 0.2])
