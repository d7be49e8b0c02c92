"""How near adaptation comes to the bound, by hand."""

import numpy as np
import pytest

from arn_tf.ranking.protocol import rank_gallery
from arn_tf.run import seed_rows
from arn_tf.run.ablation import Ablation, Bound
from arn_tf.run.seed_rows import SeedRow, Shares
from tests.support import small_strong

BOUND = Bound("start", "reached", "limit")


def ranking(place):
    """One query whose one match is ranked at a place, from 1: its mAP is one over it."""
    gallery = np.zeros((10, 2))
    gallery[:, 0] = np.linspace(1, 0.1, 10)
    gallery[:, 1] = np.linspace(0.1, 1, 10)
    person = np.full(10, 9)
    person[place - 1] = 1
    camera = np.full(10, 2)
    return rank_gallery(np.array([[1.0, 0]]), gallery, np.array([1]), person, np.array([1]), camera)


def rows(**places):
    titles = {"start": "calibrated", "reached": "adapted", "limit": "ORACLE"}
    return {key: SeedRow(titles[key], [ranking(place) for place in places[key]]) for key in places}


def test_a_ranking_has_the_score_that_the_others_are_worked_from():
    assert [ranking(place).mean_ap for place in (1, 2, 4, 5)] == [1, 0.5, 0.25, 0.2]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        # .25, .5 and 1: half of the bound, a third of the way.
        ({"start": [4], "reached": [2], "limit": [1]}, Shares(0.5, 1 / 3)),
        # Means over seeds: .225, .375 and .75; not the mean of the seeds' shares.
        (
            {"start": [4, 5], "reached": [2, 4], "limit": [1, 2]},
            Shares(0.5, pytest.approx(0.15 / 0.525)),
        ),
        # Worse than before, and above the bound.
        ({"start": [2], "reached": [4], "limit": [1]}, Shares(0.25, -0.5)),
        ({"start": [4], "reached": [1], "limit": [2]}, Shares(2.0, 3.0)),
        # No way.
        ({"start": [2], "reached": [1], "limit": [2]}, Shares(2.0, None)),
        ({"start": [1], "reached": [1], "limit": [2]}, Shares(2.0, None)),
        # Not every seed has all three.
        ({"start": [4, 4], "reached": [2], "limit": [1, 1]}, None),
        ({"start": [4], "reached": [2]}, None),
    ],
)
def test_shares(places, expected):
    assert seed_rows.shares(rows(**places), BOUND) == expected
    assert seed_rows.shares(rows(**places), None) is None


def told(**places):
    table = Ablation("strong", (), (), BOUND)
    settings = small_strong.settings("unused")
    return seed_rows.markdown(settings, table, 1, rows(**places), ["a note"], "a command")


def test_shares_stand_below_the_table():
    text = told(start=[4], reached=[2], limit=[1])
    assert (
        "\nOf the mAP of 'ORACLE', 'adapted' has 50.0%; of the way to it from 'calibrated', 33.3%."
        "\n\na note\n\nMade by `a command`"
    ) in text
    text = told(start=[1], reached=[1], limit=[2])
    assert "has 200.0%; there is no way to it from 'calibrated', which is no lower." in text
    text = told(start=[4, 4], reached=[2], limit=[1, 1])
    assert "Nothing is measured against 'ORACLE', as not every seed has its rows." in text
    assert "Nothing is measured" not in told(start=[4], reached=[2])


def test_rows_that_some_seed_lacks_are_not_compared():
    """As many results need not be of the same seeds."""
    table = Ablation("strong", (), (("limit", "reached"), ("reached", "start")))
    found = rows(start=[4, 4, 5], reached=[2, 4], limit=[1, 2])
    assert seed_rows.differences(found, table) == {
        "ORACLE less adapted": None,
        "adapted less calibrated": None,
    }
    mean, _ = seed_rows.differences(rows(start=[4], reached=[2]), table)["adapted less calibrated"]
    assert mean == pytest.approx(0.25)
