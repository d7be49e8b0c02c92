"""The normalisation of each camera's own: by hand, mixed with others, its scope, on replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.layers import replicas
from arn_tf.strong.backbone import (
    BatchMoments,
    CameraBatchNormalization,
    ChosenMoments,
    normalized_by,
)
from tests.support import small_data
from tests.support.small_backbones import (
    batch_moments,
    by_rows,
    images,
    made_from,
    normalizations,
    pair,
    shaken,
    small,
)
from tests.support.small_tolerance import rounding

pytestmark = pytest.mark.filterwarnings("ignore:.input_shape. is undefined or non-square")

# MobileNetV2: 52 convolutions, the widest over 960 channels.
DEPTH = (52, 960)


@pytest.fixture(scope="module")
def mobilenet():
    return pair("MobileNetV2", 2)


# Statistics.


def layer_of_one():
    layer = CameraBatchNormalization(momentum=0.9, epsilon=0.0)
    layer.build((None, 1))
    return layer


def test_one_step_by_hand():
    layer, x = layer_of_one(), tf.constant([[1.0], [3.0], [5.0], [7.0]])
    with normalized_by(BatchMoments(update=True)) as moments:
        y = layer(x)
    # Mean 4, variance (9 + 1 + 1 + 9) / 4 = 5.
    np.testing.assert_allclose(y[:, 0], np.array([-3, -1, 1, 3]) / np.sqrt(5), rtol=1e-6)
    np.testing.assert_allclose([moments.means[0][0], moments.variances[0][0]], [4, 5], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_mean, [0.9 * 0 + 0.1 * 4], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, [0.9 * 1 + 0.1 * 5], rtol=1e-6)
    layer.gamma.assign([2.0])
    layer.beta.assign([10.0])
    # Plain: 2 (x - 0.4) / sqrt(1.4) + 10; by rows, each its own.
    np.testing.assert_allclose(layer(x)[1], [2 * 2.6 / np.sqrt(1.4) + 10], rtol=1e-6)
    rows = ChosenMoments(tf.constant([[1.0], [2.0]]), tf.constant([[4.0], [0.25]]))
    with normalized_by(rows):
        np.testing.assert_allclose(layer(x[2:])[:, 0], [2 * 4 / 2 + 10, 2 * 5 / 0.5 + 10])


def test_moments_are_those_of_what_each_layer_sees(mobilenet):
    _, tuned, channels = mobilenet
    _, means, variances = batch_moments(tuned, images(1))
    assert means.shape == variances.shape == (channels,)
    layers = normalizations(tuned)
    assert len(layers) == 52
    ends = np.cumsum([layer.channels for layer in layers])
    assert [layer.start for layer in layers] == [0, *ends[:-1]]
    assert ends[-1] == channels
    own = {layer.start: layer.channels for layer in layers}
    with normalized_by(BatchMoments(update=False)):
        for layer in (layers[0], layers[20], layers[-1]):
            seen = keras.Model(tuned.input, layer.input)(images(1)).numpy().astype("f8")
            part = slice(layer.start, layer.start + own[layer.start])
            np.testing.assert_allclose(means[part], seen.mean(axis=(0, 1, 2)), atol=1e-4)
            np.testing.assert_allclose(
                variances[part], seen.var(axis=(0, 1, 2)), rtol=1e-3, atol=1e-5
            )


@pytest.mark.parametrize("update", [True, False])
def test_only_an_update_moves_the_running_statistics(update):
    tuned, _ = made_from(shaken(small(keras.layers.BatchNormalization())))
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype("f4")
    before = [v.numpy() for layer in normalizations(tuned) for v in layer.weights]
    with normalized_by(BatchMoments(update)) as moments:
        tf.function(tuned)(x)
    after = [v.numpy() for layer in normalizations(tuned) for v in layer.weights]
    _, means, variances = batch_moments(tuned, x)
    for place, (old, new) in enumerate(zip(before, after, strict=True)):
        layer, kind = divmod(place, 4)
        value = np.split((means, variances)[kind % 2], 2)[layer]
        expected = old + 0.1 * (value - old) if update and kind >= 2 else old
        np.testing.assert_allclose(new, expected, rtol=1e-5, atol=1e-7)
    assert len(moments.means) == 2


def test_the_batchs_own_statistics_by_rows_are_those_of_the_batch(mobilenet):
    _, tuned, _ = mobilenet
    expected, *moments = batch_moments(tuned, images(2))
    found = by_rows(tuned, images(2), *(np.tile(value, (4, 1)) for value in moments))
    np.testing.assert_allclose(found, expected, atol=rounding(*DEPTH, np.abs(expected).max()))


def test_a_batch_of_mixed_cameras_is_each_camera_alone(mobilenet):
    _, tuned, _ = mobilenet
    weights = tuned.get_weights()
    moments = [batch_moments(tuned, images(seed) * scale + shift)[1:]
               for seed, scale, shift in ((3, 1, 0), (4, 2, 1), (5, 0.5, -1))]  # fmt: skip
    cameras = np.array([2, 0, 1, 0, 2, 1, 1])
    x = images(6, len(cameras))
    table = [np.stack(kind)[cameras] for kind in zip(*moments, strict=True)]
    mixed = by_rows(tuned, x, *table)
    for camera in range(3):
        rows = cameras == camera
        alone = by_rows(tuned, x[rows], *(kind[rows] for kind in table))
        atol = rounding(*DEPTH, np.abs(alone).max())
        np.testing.assert_allclose(mixed[rows], alone, atol=atol)
        # As the running statistics of a network would do it.
        for layer in normalizations(tuned):
            part = slice(layer.start, layer.start + layer.channels)
            for variable, value in zip(
                (layer.moving_mean, layer.moving_variance), moments[camera], strict=True
            ):
                variable.assign(value[part])
        plain = tuned(x[rows]).numpy()
        np.testing.assert_allclose(alone, plain, atol=atol)
    tuned.set_weights(weights)
    swapped = by_rows(tuned, x, *(kind[::-1] for kind in table))
    assert np.abs(swapped - mixed).max() > 0.01 * np.abs(mixed).max()


# The scope.


def test_what_was_in_force_is_so_again():
    layer, x = layer_of_one(), tf.constant([[1.0], [3.0]])
    plain = layer(x).numpy()
    with normalized_by(BatchMoments(update=False)) as outer:
        with normalized_by(BatchMoments(update=False)) as inner:
            layer(x)
        assert (len(outer.means), len(inner.means)) == (0, 1)
        layer(x)
        assert len(outer.means) == 1
    np.testing.assert_array_equal(layer(x), plain)


def test_an_exception_ends_the_scope():
    layer, x = layer_of_one(), tf.constant([[1.0], [3.0]])
    with pytest.raises(ZeroDivisionError), normalized_by(BatchMoments(update=True)) as moments:
        raise ZeroDivisionError
    np.testing.assert_array_equal(layer(x), x)
    assert moments.means == []
    np.testing.assert_array_equal(layer.moving_mean, [0])


# Replicas: this file runs itself as a program, as the CPU is split before TensorFlow starts.


def replicas_program():
    replicas.split_cpu(2)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, 2, name="a")(inputs))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(5, 3, name="b")(x))
    keras.utils.set_random_seed(0)
    network = keras.Model(inputs, x)
    weights = network.get_weights()
    # The halves of the batch differ.
    x = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("f4") + np.arange(8)[
        :, None, None, None
    ].astype("f4")
    results = []
    for count in (1, 2):
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])
        with strategy.scope():
            network.set_weights(weights)
            tuned, _ = made_from(network)

        @tf.function
        def step(part, tuned=tuned):
            with normalized_by(BatchMoments(update=True)) as moments:
                tuned(part)
            return tf.concat(moments.means + moments.variances, axis=0)

        parts = strategy.experimental_distribute_values_from_function(
            lambda context, count=count: tf.constant(
                np.split(x, count)[context.replica_id_in_sync_group]
            )
        )
        found = strategy.experimental_local_results(strategy.run(step, (parts,)))
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])
        results.append([found[0].numpy(), *(w.numpy() for w in tuned.weights)])
    for left, right in zip(*results, strict=True):
        # Two layers and their statistics, over the 128 positions of the first.
        atol = rounding(4, 128, np.abs(left).max())
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=atol)


def test_two_replicas_take_the_statistics_of_one():
    small_data.run_again(__file__)


if __name__ == "__main__":
    replicas_program()
