"""Batches: balanced, without needless repetition, a pure function of seed and epoch."""

import dataclasses

import numpy as np
import pytest

from arn_tf.data.sampling import EpochPlan, Sampler
from arn_tf.errors import UserError
from arn_tf.run.command_line import message

# Rows per identity; rows of one identity are not neighbours.
COUNTS = {
    "equal": [8] * 10,
    "uneven": [1, 2, 3, 5, 8, 13, 21, 4, 4, 30],
    "single pictures": [1] * 40,
    "as many as a batch takes": [20, 1, 7, 12],
    "one step": [4, 4, 4, 4, 1],
}


def sampler(
    counts: list[int],
    seed: int = 0,
    target_size: int = 50,
    batch_size: int = 16,
    images_per_identity: int = 4,
) -> Sampler:
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    labels = np.random.default_rng(7).permutation(labels)
    return Sampler(labels, target_size, batch_size, images_per_identity, seed)


@pytest.fixture(params=COUNTS, ids=lambda name: name.replace(" ", "-"))
def plans(request: pytest.FixtureRequest) -> tuple[Sampler, list[EpochPlan]]:
    """Returns a sampler and three of its epochs."""
    one = sampler(COUNTS[request.param])
    one.check()
    return one, [one.epoch(i) for i in range(3)]


def test_shapes_and_types(plans):
    one, epochs = plans
    assert one.steps_per_epoch == max(len(one.labels) // 16, 1)
    for plan in epochs:
        for rows, size in ((plan.source_rows, len(one.labels)), (plan.target_rows, 50)):
            assert rows.shape == (one.steps_per_epoch, 16)
            assert rows.dtype == np.int64
            assert rows.min() >= 0
            assert rows.max() < size
        for flips in (plan.source_flips, plan.target_flips):
            assert flips.shape == (one.steps_per_epoch, 16)
            assert flips.dtype == np.uint8
            assert flips.max() <= 1


def test_a_batch_holds_four_different_identities_four_times(plans):
    one, epochs = plans
    for plan in epochs:
        for rows in plan.source_rows:
            identities, times = np.unique(one.labels[rows], return_counts=True)
            assert len(identities) == 4
            assert set(times) == {4}


def test_identities_come_up_equally_often(plans):
    one, epochs = plans
    for plan in epochs:
        times = np.bincount(one.labels[plan.source_rows.ravel()], minlength=one.labels.max() + 1)
        assert times.max() - times.min() <= 4  # One turn is four pictures.


def test_pictures_repeat_only_when_all_of_their_identity_were_drawn(plans):
    one, epochs = plans
    for plan in epochs:
        drawn = plan.source_rows.ravel()
        for identity in np.unique(one.labels):
            own = set(np.flatnonzero(one.labels == identity))
            mine = [row for row in drawn if row in own]
            for start in range(0, len(mine), len(own)):
                block = mine[start : start + len(own)]
                assert len(set(block)) == len(block)


def test_identities_appear_in_rounds():
    """Before any identity comes a third time, every one came once."""
    one = sampler([30] * 10, batch_size=12)
    order = one.labels[one.epoch(0).source_rows[:, ::4]].ravel()
    assert len(order) == 25 * 3
    for end in range(1, len(order) + 1):
        times = np.bincount(order[:end], minlength=10)
        assert times.max() - times.min() <= 2


def test_target_pictures_are_drawn_without_repetition_until_all_were():
    for target_size, counts in ((50, [8] * 10), (16, [8] * 10), (1000, [8] * 10), (37, [40] * 10)):
        rows = sampler(counts, target_size=target_size).epoch(0).target_rows.ravel()
        for start in range(0, len(rows), target_size):
            block = rows[start : start + target_size]
            assert len(set(block)) == len(block)
        if len(rows) >= target_size:
            assert set(rows) == set(range(target_size))


def test_all_source_pictures_of_a_balanced_set_come_once():
    one = sampler([8] * 10)
    np.testing.assert_array_equal(np.sort(one.epoch(0).source_rows.ravel()), np.arange(80))


def test_flips_are_fair():
    plan = sampler([40] * 50, target_size=3000).epoch(0)
    for flips in (plan.source_flips, plan.target_flips):
        assert flips.mean() == pytest.approx(0.5, abs=0.05)
    assert np.any(plan.source_flips != plan.target_flips)


def arrays(plan: EpochPlan) -> list[np.ndarray]:
    return [getattr(plan, field.name) for field in dataclasses.fields(plan)]


def test_equal_seed_and_epoch_give_equal_plans():
    """Whatever was drawn before: a run goes on as if it had not stopped."""
    first = sampler(COUNTS["uneven"], seed=3)
    again = sampler(COUNTS["uneven"], seed=3)
    later = [again.epoch(i) for i in (5, 2)][1]
    for left, right in zip(arrays(first.epoch(2)), arrays(later), strict=True):
        np.testing.assert_array_equal(left, right)


def test_epochs_and_seeds_differ():
    plans = [sampler(COUNTS["uneven"], seed=s).epoch(e) for s, e in ((0, 0), (0, 1), (1, 0))]
    for i, left in enumerate(plans):
        for right in plans[:i]:
            for a, b in zip(arrays(left), arrays(right), strict=True):
                assert np.any(a != b)


def test_drawing_leaves_numpys_global_state_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    sampler(COUNTS["equal"]).epoch(0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_source_does_not_depend_on_the_target():
    left, right = (sampler(COUNTS["equal"], target_size=size).epoch(1) for size in (20, 500))
    np.testing.assert_array_equal(left.source_rows, right.source_rows)
    np.testing.assert_array_equal(left.source_flips, right.source_flips)


def test_too_few_identities():
    with pytest.raises(UserError) as error:
        sampler([10, 10, 10]).check()
    assert "batch_size=16 images_per_identity=4 needs 4 identities" in str(error.value)
    assert "the source has 3" in str(error.value)
    printed = message(error.value)
    assert printed.startswith("--batch_size=16 --images_per_identity=4 needs 4 identities, the")
    sampler([10, 10, 10, 10]).check()


def test_too_few_target_pictures():
    with pytest.raises(UserError, match=r"^batch_size=16 is more than the 15") as error:
        sampler(COUNTS["equal"], target_size=15).check()
    assert message(error.value).startswith("--batch_size=16 is more than the 15 pictures of the")
    sampler(COUNTS["equal"], target_size=16).check()


# Several sources.


def of_several(counts: list[list[int]], **options: int) -> Sampler:
    """Returns a sampler of several sources, pictures of each identity given, in mixed order."""
    one = sampler([count for source in counts for count in source], **options)
    return dataclasses.replace(one, identities=tuple(map(len, counts)))


def shares(one: Sampler, epochs: int = 3) -> np.ndarray:
    """Returns how many identities of each source are in each batch, int [steps, sources]."""
    ends = np.cumsum(one.identities)
    found = []
    for rows in np.concatenate([one.epoch(i).source_rows for i in range(epochs)]):
        identities, times = np.unique(one.labels[rows], return_counts=True)
        assert set(times) == {one.images_per_identity}
        of = np.searchsorted(ends, identities, side="right")
        found.append(np.bincount(of, minlength=len(ends)))
    return np.array(found)


def test_a_batch_holds_as_many_identities_of_each_source():
    """However unequal the sources are."""
    found = shares(of_several([[4] * 60, [9, 2]]))
    assert len(found) == 3 * (251 // 16)
    assert np.all(found == 2)


def test_where_sources_cannot_have_equal_shares_they_take_turns():
    three = of_several([[4] * 20, [4] * 3, [4] * 9])
    assert three.steps_per_epoch == 8
    np.testing.assert_array_equal(
        shares(three)[:10],
        [[2, 1, 1], [1, 2, 1], [1, 1, 2]] * 3 + [[2, 1, 1]],
    )
    five = of_several([[4] * 4] * 5)
    np.testing.assert_array_equal(
        shares(five)[:5],
        [[1, 1, 1, 1, 0], [1, 1, 1, 0, 1], [1, 1, 0, 1, 1], [1, 0, 1, 1, 1], [0, 1, 1, 1, 1]],
    )


def test_identities_of_a_source_come_up_equally_often():
    one = of_several([[4] * 30, [4] * 5])
    drawn = one.labels[one.epoch(0).source_rows]
    times = np.bincount(drawn.ravel(), minlength=35) // 4
    assert set(times[:30]) <= {0, 1}
    assert set(times[30:]) <= {3, 4}
    assert times[:30].sum() == times[30:].sum() == 2 * one.steps_per_epoch


def test_one_source_is_drawn_as_ever():
    """Golden: rows of the program before there were several sources."""
    one = sampler([3, 5, 2, 6, 4], seed=1, batch_size=8, images_per_identity=2)
    expected = np.array([[14, 0, 16, 5, 8, 17, 2, 4], [1, 18, 9, 11, 10, 17, 15, 13]])
    np.testing.assert_array_equal(one.epoch(1).source_rows, expected)
    same = dataclasses.replace(one, identities=(5,))
    np.testing.assert_array_equal(same.epoch(1).source_rows, expected)


def test_too_few_identities_of_one_of_several_sources():
    with pytest.raises(UserError) as error:
        of_several([[9] * 9, [9]]).check()
    assert message(error.value) == (
        "--batch_size=16 --images_per_identity=4 needs 2 identities of each source, source 2 has "
        "1: make the batch smaller"
    )
    of_several([[9] * 2, [9] * 2]).check()
