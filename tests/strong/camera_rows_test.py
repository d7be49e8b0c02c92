"""Which cameras have a row, of however few pictures, and what comes, stays and goes."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.layers.normalization import SOURCE, TARGET
from arn_tf.strong.camera_statistics import (
    Outcome,
    estimate,
    own_share,
    refresh,
    shrunk,
    with_cameras,
)
from arn_tf.strong.model import StrongModel
from tests.support import small_dots
from tests.support.small_data import assert_equal
from tests.support.small_dots import by_hand, crops, weights
from tests.support.small_tables import rows
from tests.support.small_tolerance import rounding


@pytest.fixture(scope="module")
def model() -> StrongModel:
    return small_dots.model()


@pytest.fixture(scope="module")
def estimated(model):
    return estimate(model, *small_dots.cameras())


# Many pictures and few.


def test_which_cameras_get_a_row(estimated):
    adapted, outcomes = estimated
    assert adapted.cameras == [3, 5, 7]
    assert {camera: str(outcome) for camera, outcome in outcomes.items()} == {
        3: "added from 80 pictures",
        5: "added from 10 pictures, fewer than 64: its statistics are shrunk, 62% of them are "
        "those of the whole target",
        7: "added from 100 pictures",
    }
    assert adapted.table.rows_of([3, 7, 5, 1]).tolist() == [2, 4, 3, TARGET]


def test_few_pictures_are_told():
    told = {count: str(Outcome(count, known=True)) for count in (1, 63, 64)}
    assert told == {
        1: "refreshed from 1 picture, fewer than 64: its statistics are shrunk, 94% of them are "
        "those that it had",
        63: "refreshed from 63 pictures, fewer than 64: its statistics are shrunk, 20% of them are "
        "those that it had",
        64: "refreshed from 64 pictures",
    }


def test_the_fewer_pictures_the_nearer_the_target(model):
    pictures = np.concatenate([crops(0, 96, 0, 100), crops(1, 96, 150, 256)])
    distances = []
    for count in (1, 3, 12, 96):
        camera_id = np.repeat([1, -1, 2], [count, 96 - count, 96])
        adapted, _ = estimate(model, pictures, camera_id)
        own, target = (rows(adapted, row)["mean"] for row in (2, TARGET))
        distances.append(np.abs(own - target).max())
    assert all(low < high for low, high in itertools.pairwise(distances))
    # No cliff: one picture of a camera leaves it near what stands in for a camera without any.
    assert distances[0] < 0.15 * distances[-1]


def test_pictures_of_no_known_camera_make_no_row(model):
    adapted, outcomes = estimate(model, crops(0, 140), np.array([-1] * 70 + [4] * 70))
    assert (adapted.cameras, list(outcomes)) == ([4], [4])


# Rows that come, stay and go.


def test_a_network_that_normalises_its_input():
    """Keras's Normalization computes with copies, which setting weights leaves behind."""
    keras.utils.set_random_seed(0)
    model = StrongModel(3, "EfficientNetB0", "random", (32, 32), last_stride=2)
    (layer,) = (
        one for one in model.encoder_i.layers if isinstance(one, keras.layers.Normalization)
    )
    layer.adapt_mean.assign(tf.fill(layer.adapt_mean.shape, 90.0))
    layer.adapt_variance.assign(tf.fill(layer.adapt_variance.shape, 900.0))
    layer.finalize_state()
    pictures = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    other = with_cameras(model, [1])
    np.testing.assert_array_equal(other(pictures), model(pictures))


def test_with_cameras(estimated):
    adapted, _ = estimated
    other = with_cameras(adapted, [9, 7])
    assert other.cameras == [9, 7]
    assert_equal(rows(other, 0, 1, 3), rows(adapted, 0, 1, 4))
    fresh = rows(other, 2)
    for key, values in fresh.items():
        np.testing.assert_array_equal(values, np.full_like(values, not key.endswith("mean")))
    assert_equal(weights(other), weights(adapted))
    none = with_cameras(adapted, [])
    assert {variable.shape[0] for variable in none.table.weights} == {2}
    assert_equal(rows(none, 0, 1), rows(adapted, 0, 1))
    assert_equal(rows(with_cameras(adapted, [7, 3]), 3, 2), rows(adapted, 2, 4))
    # The one it was made from keeps its own.
    assert adapted.cameras == [3, 5, 7]


def test_refresh_adds_and_replaces(model, estimated):
    adapted, _ = estimated
    pictures = np.concatenate([crops(5, 70), crops(6, 64, 0, 50), crops(7, 3)])
    camera_id = np.array([7] * 70 + [1] * 64 + [3] * 3)
    found, outcomes = refresh(adapted, pictures, camera_id)
    assert found.cameras == [1, 3, 5, 7]
    assert {camera: str(outcome) for camera, outcome in outcomes.items()} == {
        1: "added from 64 pictures",
        3: "refreshed from 3 pictures, fewer than 64: its statistics are shrunk, 84% of them are "
        "those that it had",
        7: "refreshed from 70 pictures",
    }
    # The row of the target is not of these pictures, and camera 5 has none among them.
    assert_equal(rows(found, SOURCE, TARGET), rows(adapted, SOURCE, TARGET))
    assert_equal(rows(found, *found.table.rows_of([5])), rows(adapted, *adapted.table.rows_of([5])))
    for camera in (7, 1, 3):
        own = pictures[camera_id == camera]
        _, moments = by_hand(model, own)
        [row] = found.table.rows_of([camera])
        # Toward what it had; a new camera toward the target.
        before = rows(adapted, *adapted.table.rows_of([camera]))
        mean, _ = shrunk(
            [np.concatenate([pair[kind] for pair in moments]) for kind in (0, 1)],
            (before["mean"][0], before["variance"][0]),
            own_share(len(own)),
        )
        # Two convolutions and their statistics, over 70 x 8 x 4 positions.
        atol = rounding(4, 2240, np.abs(mean).max())
        np.testing.assert_allclose(rows(found, row)["mean"][0], mean, rtol=1e-4, atol=atol)
    assert_equal(weights(found), weights(adapted))
