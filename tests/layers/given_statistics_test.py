"""The statistics that are given around the call of a network: by hand, and where they hold."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from arn_tf.layers.normalization import (
    BatchStatistics,
    CameraBatchNormalization,
    DomainBatchNormalization,
    PictureStatistics,
    normalized_by,
)

X = [[1.0], [3.0], [5.0], [7.0]]


def layer_of_one(**options: object) -> CameraBatchNormalization:
    layer = CameraBatchNormalization(domains=None, momentum=0.9, epsilon=0.0, **options)
    layer.build((None, 1))
    return layer


# By hand.


# Vectors, and maps, for which there is one kernel.
@pytest.mark.parametrize("shape", [(4, 1), (4, 1, 1, 1), (2, 2, 1, 1)])
def test_the_statistics_of_a_batch(shape):
    layer = layer_of_one()
    with normalized_by(found := BatchStatistics()):
        y = layer(tf.reshape(tf.constant(X), shape))
    # Mean 4, variance (9 + 1 + 1 + 9) / 4 = 5.
    np.testing.assert_allclose(np.ravel(y), np.array([-3, -1, 1, 3]) / np.sqrt(5), rtol=1e-6)
    assert list(found) == [layer.name]
    np.testing.assert_allclose(np.ravel(found[layer.name]), [4, 5], rtol=1e-6)
    # What is found moves nothing.
    np.testing.assert_array_equal(layer.moving_mean, [0])
    np.testing.assert_array_equal(layer.moving_variance, [1])


def test_running_statistics_and_those_of_each_picture():
    layer, x = layer_of_one(), tf.constant(X)
    layer.set_statistics(None, [0.4], [1.4])
    np.testing.assert_array_equal(np.ravel(layer.statistics()), np.array([0.4, 1.4], "f4"))
    layer.gamma.assign([2.0])
    layer.beta.assign([10.0])
    # Plain: 2 (x - 0.4) / sqrt(1.4) + 10; by rows, each its own.
    np.testing.assert_allclose(layer(x)[1], [2 * 2.6 / np.sqrt(1.4) + 10], rtol=1e-6)
    rows = PictureStatistics(
        {layer.name: (tf.constant([[1.0], [2.0]]), tf.constant([[4.0], [0.25]]))}
    )
    with normalized_by(rows):
        np.testing.assert_allclose(layer(x[2:])[:, 0], [2 * 4 / 2 + 10, 2 * 5 / 0.5 + 10])


def test_pictures_take_their_part_of_a_table():
    table = {"a": slice(0, 2), "b": slice(2, 3)}
    means, variances = tf.reshape(tf.range(6.0), [2, 3]), tf.reshape(tf.range(6.0, 12.0), [2, 3])
    found = PictureStatistics.from_table(table, means, variances)
    np.testing.assert_array_equal(found["a"], [[[0, 1], [3, 4]], [[6, 7], [9, 10]]])
    np.testing.assert_array_equal(found["b"], [[[2], [5]], [[8], [11]]])


@pytest.mark.parametrize(
    "options", [{}, {"center": False}, {"scale": False}, {"domains": 2}], ids=str
)
def test_each_picture_by_the_batchs_statistics_is_the_batch(options):
    layer = DomainBatchNormalization(**options)
    layer.build((None, 3, 2, 5))
    for number, variable in enumerate(layer.trainable_variables, start=1):
        variable.assign(np.random.default_rng(number).uniform(0.5, 2, 5))
    x = tf.constant(np.random.default_rng(0).normal(2, 3, (6, 3, 2, 5)), tf.float32)
    with normalized_by(found := BatchStatistics()):
        expected = layer(x)
    mean, variance = (tf.tile(value[None], [6, 1]) for value in found[layer.name])
    own = PictureStatistics({layer.name: (mean, variance)})
    with normalized_by(own):
        np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-5)


# The scope.


def test_what_was_in_force_is_so_again():
    layer, x = layer_of_one(), tf.constant([[1.0], [3.0]])
    plain = layer(x).numpy()
    with normalized_by(outer := BatchStatistics()):
        with normalized_by(inner := BatchStatistics()):
            layer(x)
        assert (len(outer), len(inner)) == (0, 1)
        layer(x)
        assert len(outer) == 1
    np.testing.assert_array_equal(layer(x), plain)


def test_an_exception_ends_the_scope():
    layer, x = layer_of_one(), tf.constant([[1.0], [3.0]])
    found = BatchStatistics()
    with pytest.raises(ZeroDivisionError), normalized_by(found):
        raise ZeroDivisionError
    np.testing.assert_array_equal(layer(x), x)
    assert found == {}
    np.testing.assert_array_equal(layer.moving_mean, [0])


def test_other_threads_go_on_as_they_were():
    layer, x, seen = layer_of_one(), tf.constant(X), []
    with normalized_by(found := BatchStatistics()):
        thread = threading.Thread(target=lambda: seen.append(layer(x).numpy()))
        thread.start()
        thread.join()
    assert found == {}
    np.testing.assert_array_equal(seen[0], X)
