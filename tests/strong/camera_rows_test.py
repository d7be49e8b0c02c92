"""Which cameras have a row: those with pictures enough, and what comes, stays and goes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.layers.normalization import SOURCE, TARGET
from arn_tf.strong import camera_statistics
from arn_tf.strong.camera_statistics import Outcome, estimate, refresh, with_cameras
from arn_tf.strong.model import StrongModel
from tests.support import small_dots
from tests.support.small_data import assert_equal
from tests.support.small_dots import by_hand, crops, weights
from tests.support.small_tables import columns, rows
from tests.support.small_tolerance import rounding


@pytest.fixture(scope="module")
def model() -> StrongModel:
    return small_dots.model()


@pytest.fixture(scope="module")
def estimated(model):
    return estimate(model, *small_dots.cameras())


def too_few(outcomes: dict[int, Outcome]) -> dict[int, int]:
    return {camera: o.pictures for camera, o in outcomes.items() if not o.estimated}


# Pictures enough.


def test_which_cameras_get_a_row(estimated):
    adapted, outcomes = estimated
    assert adapted.cameras == [3, 7]
    assert {camera: str(outcome) for camera, outcome in outcomes.items()} == {
        3: "added from 80 pictures",
        5: "10 pictures are fewer than 64, so it uses the statistics of the whole target",
        7: "added from 100 pictures",
    }
    assert adapted.table.rows_of([3, 7, 5, 1]).tolist() == [2, 3, TARGET, TARGET]


def test_too_few_pictures_of_every_camera(model):
    adapted, outcomes = estimate(model, crops(0, 20), np.array([1, 2] * 10))
    assert (adapted.cameras, too_few(outcomes)) == ([], {1: 10, 2: 10})
    assert np.any(columns(adapted)["mean"].numpy()[TARGET] != 0)
    assert adapted.table.rows_of([1, 2]).tolist() == [TARGET] * 2


def test_the_least_number_of_pictures(model):
    camera_id = np.array([1] * 64 + [2] * 63)
    assert camera_statistics.LEAST_PICTURES == 64
    adapted, outcomes = estimate(model, crops(0, 127), camera_id)
    assert (adapted.cameras, too_few(outcomes)) == ([1], {2: 63})
    adapted, outcomes = estimate(model, crops(0, 127), camera_id, least=1)
    assert (adapted.cameras, too_few(outcomes)) == ([1, 2], {})


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
    assert_equal(rows(other, 0, 1, 3), rows(adapted, 0, 1, 3))
    fresh = rows(other, 2)
    for key, values in fresh.items():
        np.testing.assert_array_equal(values, np.full_like(values, not key.endswith("mean")))
    assert_equal(weights(other), weights(adapted))
    none = with_cameras(adapted, [])
    assert {variable.shape[0] for variable in none.table.weights} == {2}
    assert_equal(rows(none, 0, 1), rows(adapted, 0, 1))
    assert_equal(rows(with_cameras(adapted, [7, 3]), 3, 2), rows(adapted, 2, 3))
    # The one it was made from keeps its own.
    assert adapted.cameras == [3, 7]


def test_refresh_adds_and_replaces(model, estimated):
    adapted, _ = estimated
    pictures = np.concatenate([crops(5, 70), crops(6, 64, 0, 50), crops(7, 3)])
    camera_id = np.array([7] * 70 + [1] * 64 + [3] * 3)
    found, outcomes = refresh(adapted, pictures, camera_id)
    assert (found.cameras, too_few(outcomes)) == ([1, 3, 7], {3: 3})
    assert {camera: str(outcome) for camera, outcome in outcomes.items()} == {
        1: "added from 64 pictures",
        3: "3 pictures are fewer than 64, so it keeps what it has",
        7: "refreshed from 70 pictures",
    }
    # Too few to replace what it had; and the row of the target is not of these pictures.
    assert_equal(rows(found, *found.table.rows_of([3])), rows(adapted, *adapted.table.rows_of([3])))
    assert_equal(rows(found, SOURCE, TARGET), rows(adapted, SOURCE, TARGET))
    for camera in (7, 1):
        _, moments = by_hand(model, pictures[camera_id == camera])
        expected = np.concatenate([mean for mean, _ in moments])
        [row] = found.table.rows_of([camera])
        # Two convolutions and their statistics, over 70 x 8 x 4 positions.
        atol = rounding(4, 2240, np.abs(expected).max())
        np.testing.assert_allclose(rows(found, row)["mean"][0], expected, rtol=1e-4, atol=atol)
    assert_equal(weights(found), weights(adapted))
