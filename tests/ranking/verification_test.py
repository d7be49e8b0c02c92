"""ROC curves and thresholds of pairs, beside slow computations and scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics

from arn_tf.errors import UserError
from arn_tf.ranking import pair_scores, verification


def drawn(same=60, other=400, ties=False, seed=0):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(0.5, 0.2, same), rng.normal(0.1, 0.2, other)])
    values = np.round(values, 1) if ties else values
    order = rng.permutation(same + other)
    return values[order], (np.arange(same + other) < same)[order]


@pytest.mark.parametrize("ties", [False, True])
def test_the_curve_is_scikit_learns(ties):
    values, same = drawn(ties=ties)
    found = verification.verify(values, same)
    false, true, _ = metrics.roc_curve(same, values, drop_intermediate=False)
    np.testing.assert_allclose(found.false_accepts, false)
    np.testing.assert_allclose(found.true_accepts, true)
    assert found.auc == pytest.approx(metrics.roc_auc_score(same, values))
    assert (found.same, found.other) == (60, 400)


def test_the_area_is_how_often_a_pair_of_one_person_is_more_similar():
    values, same = drawn(9, 13, ties=True)
    wins = [(a > b) + 0.5 * (a == b) for a in values[same] for b in values[~same]]
    assert verification.verify(values, same).auc == pytest.approx(np.mean(wins))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("wanted", [0.0025, 0.01, 0.29, 0.9])
def test_a_threshold_accepts_all_that_the_rate_allows(ties, wanted):
    values, same = drawn(ties=ties)
    found = verification.operation(values, same, wanted)
    rates = [(np.mean(values[~same] >= t), np.mean(values[same] >= t)) for t in [*values, 9]]
    best = max(true for false, true in rates if false <= wanted)
    assert found.true_accepts == best
    assert found.false_accepts <= wanted
    assert found.true_accepts == np.mean(values[same] >= found.threshold)
    assert found.false_accepts == np.mean(values[~same] >= found.threshold)
    assert found.interval[0] <= found.threshold <= found.interval[1] + 1e-9
    false, true, _ = metrics.roc_curve(same, values, drop_intermediate=False)
    assert best == pytest.approx(true[false <= wanted + 1e-12].max())


def test_the_threshold_lies_halfway_to_what_is_refused():
    values = np.array([0.9, 0.8, 0.5, 0.1, 0.2])
    same = np.array([True, False, True, False, False])
    found = verification.operation(values, same, 0.34)
    assert found.threshold == pytest.approx((0.5 + 0.2) / 2)
    assert (found.false_accepts, found.true_accepts) == (pytest.approx(1 / 3), 1)


def test_the_interval_is_that_of_a_bootstrap():
    values, same = drawn(30, 500)
    found = verification.operation(values, same, 0.05)
    wrong, rng = values[~same], np.random.default_rng(1)
    resampled = [np.sort(rng.choice(wrong, len(wrong)))[::-1][25] for _ in range(4000)]
    low, high = np.quantile(resampled, [0.025, 0.975])
    np.testing.assert_allclose(found.interval, (low, high), atol=0.01)


@pytest.mark.parametrize(("other", "there"), [(99, False), (100, True)])
def test_too_few_pairs_have_no_threshold(other, there):
    found = verification.operation(*drawn(10, other), 0.01)
    assert (found is not None) == there


@pytest.mark.parametrize(
    ("values", "same", "words"),
    [
        ([0.1, 0.2], [True, True], "no pairs of different persons"),
        ([0.1, 0.2], [False, False], "no pairs of one person"),
        ([], [], "no pairs of"),
        ([0.1, np.nan], [True, False], "finite"),
        ([0.1], [True, False], r"must be real \[P\] and bool \[P\]"),
    ],
)
def test_what_cannot_be_scored(values, same, words):
    with pytest.raises(ValueError, match=words):
        verification.verify(values, np.array(same, bool))
    with pytest.raises(UserError, match=words):
        pair_scores.score(np.array(values), np.array(same, bool), [("", "")] * len(same), 0.01)


@pytest.mark.parametrize("wanted", [0, 1, np.nan])
def test_a_rate_is_a_share(wanted):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        verification.operation(*drawn(), wanted)


def test_scores_from_camera_to_camera():
    values, same = drawn(200, 900)
    rng = np.random.default_rng(2)
    cameras = [tuple(rng.choice(["gate", "yard", ""], 2).tolist()) for _ in values]
    found = pair_scores.score(values, same, cameras, 0.05)
    threshold = found.operations[0.05].threshold
    assert list(found.operations) == [0.05, 0.01, 0.001]
    groups = {}
    for row, (a, b) in enumerate(cameras):
        groups.setdefault(tuple(sorted((a, b))), []).append(row)
    wanted = {}
    for names, rows in groups.items():
        other = [row for row in rows if not same[row]]
        if "" in names or len(other) < 100:
            continue
        right = [row for row in rows if same[row]]
        wanted[names] = len(right), len(other), np.mean(values[other] >= threshold)
    got = {
        each.names: (each.scores.same, each.scores.other, each.false_accepts)
        for each in found.cameras
    }
    assert got == wanted and ("gate", "yard") in got
    assert found.left_out == len([names for names in groups if "" not in names]) - len(wanted)
    [line] = [each for each in found.cameras if each.names == ("gate", "yard")]
    rows = groups["gate", "yard"]
    assert line.own == verification.operation(values[rows], same[rows], 0.05)


def test_rates_that_cannot_be_measured_are_said():
    found = pair_scores.score(*drawn(20, 150), [("", "")] * 170, 0.005, ["a note"])
    assert [rate for rate, each in found.operations.items() if each] == [0.01]
    assert found.lacking() == [
        "a false-accept rate of 0.005 needs 200 pairs of different persons, and there are 150",
        "a false-accept rate of 0.001 needs 1,000 pairs of different persons, and there are 150",
    ]
    saved = found.to_json()
    assert saved["false_accept_rates"]["0.001"] is None
    assert saved["false_accept_rates"]["0.01"]["wanted"] == 0.01
    assert (saved["same"], saved["other"], saved["notes"]) == (20, 150, ["a note"])
