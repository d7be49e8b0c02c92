"""The table of statistics by hand: which row a camera has, what a row gives, what is copied."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.layers.normalization import SOURCE, TARGET, UNKNOWN_CAMERA
from arn_tf.strong.camera_table import CameraTable

CHANNELS, WIDTH = 3, 2


def variable(name: str, shape: tuple[int, ...], initializer: str, trainable: bool) -> Any:
    return keras.Variable(initializer, shape=shape, trainable=trainable, name=name)


def table(*cameras: int, seed: int | None = 0) -> CameraTable:
    """Returns a table with random rows, or with those that it begins with."""
    made = CameraTable(variable, cameras, CHANNELS, WIDTH)
    if seed is not None:
        rng = np.random.default_rng(seed)
        for weight in made.weights:
            weight.assign(rng.uniform(0.5, 2, weight.shape))
    return made


def test_a_table_begins_with_mean_0_and_variance_1():
    fresh = table(4, 1, seed=None)
    assert [weight.name for weight in fresh.weights] == [
        "mean",
        "variance",
        "embedding_mean",
        "embedding_deviation",
    ]
    for weight, width, value in zip(
        fresh.weights, (CHANNELS, CHANNELS, WIDTH, WIDTH), (0, 1, 0, 1), strict=True
    ):
        np.testing.assert_array_equal(weight, np.full((4, width), value))
        assert not weight.trainable


def test_rows_of_cameras():
    known = table(4, 1, 9)
    found = known.rows_of([4, 1, 9, 2, UNKNOWN_CAMERA, 4, 0])
    assert found.tolist() == [2, 3, 4, TARGET, TARGET, 2, TARGET]
    assert found.dtype == np.int32
    assert known.rows_of([]).shape == (0,)
    assert table().rows_of([4]).tolist() == [TARGET]


@pytest.mark.parametrize("cameras", [[4, 1, 2**40], []])
def test_rows_in_a_graph_are_those_outside(cameras):
    made = table(*cameras)
    camera_id = [4, 2**40, 1, UNKNOWN_CAMERA, 0, -(2**63), 2**63 - 1, 4]
    compiled = tf.function(made.known_and_rows, input_signature=[tf.TensorSpec([None], tf.int64)])
    known, rows = compiled(tf.constant(camera_id, tf.int64))
    assert rows.dtype == tf.int32
    assert rows.numpy().tolist() == made.rows_of(camera_id).tolist()
    assert known.numpy().tolist() == [camera in cameras for camera in camera_id]
    for part in compiled(tf.zeros([0], tf.int64)):
        assert part.shape == (0,)


def test_each_picture_has_the_statistics_of_its_row():
    made, rows = table(4, 1), [3, SOURCE, 3, TARGET, 2]
    mean, variance, embedding_mean, deviation = (weight.numpy() for weight in made.weights)
    np.testing.assert_array_equal(made.moments(rows), [mean[rows], variance[rows]])
    for row in range(4):
        found = made.embedding_statistics(row)
        np.testing.assert_array_equal(found, [embedding_mean[row], deviation[row]])


def test_standardized_by_hand():
    made = table(4)
    made.set_embedding_statistics(2, [1, 2], [2, 0.5])
    made.set_embedding_statistics(TARGET, [0, 0], [1, 1])
    # (7 - 1) / 2 = 3 and (4 - 2) / 0.5 = 4, of length 5; and 5, -12 of length 13.
    found = made.standardized(tf.constant([[7.0, 4.0], [5.0, -12.0]]), [2, TARGET])
    np.testing.assert_allclose(found, [[0.6, 0.8], [5 / 13, -12 / 13]], rtol=1e-6)


def test_setting_a_row_leaves_the_others():
    made = table(4, 1)
    before = [weight.numpy() for weight in made.weights]
    made.set_moments(2, [1, 2, 3], [4, 5, 6])
    made.set_embedding_statistics(SOURCE, [7, 8], [9, 10])
    for weight, old, row, values in zip(
        made.weights,
        before,
        (2, 2, SOURCE, SOURCE),
        ([1, 2, 3], [4, 5, 6], [7, 8], [9, 10]),
        strict=True,
    ):
        old[row] = values
        np.testing.assert_array_equal(weight, old)


def test_rows_of_the_domains():
    made = table(4, 1)
    for found, weight in zip(made.domain_rows(), made.weights, strict=True):
        np.testing.assert_array_equal(found, weight.numpy()[[SOURCE, TARGET]])


def test_copied_are_the_domains_and_the_cameras_of_both():
    old, new = table(4, 1, 9), table(1, 7, 4, seed=1)
    before = [weight.numpy() for weight in new.weights]
    new.copy_from(old)
    for weight, kept, source in zip(new.weights, before, old.weights, strict=True):
        found, source = weight.numpy(), source.numpy()
        np.testing.assert_array_equal(found[[SOURCE, TARGET]], source[[SOURCE, TARGET]])
        # Camera 1, then 7, which the old table hasn't, then 4.
        np.testing.assert_array_equal(found[2], source[3])
        np.testing.assert_array_equal(found[3], kept[3])
        np.testing.assert_array_equal(found[4], source[2])
