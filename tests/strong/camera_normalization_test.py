"""Normalising a whole E_I by its batch or by each picture's camera, on one replica and on two."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.backbones import keras_applications as backbones
from arn_tf.layers import replicas
from arn_tf.layers.normalization import BatchStatistics, normalized_by
from arn_tf.strong.model import StrongModel
from tests.support import small_data
from tests.support.small_backbones import (
    batch_moments,
    by_rows,
    images,
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
def mobilenet() -> tuple[keras.Model, keras.Model, dict[str, slice]]:
    return pair("MobileNetV2", 2)


def model_of(network: keras.Model) -> StrongModel:
    """Returns a `StrongModel` whose E_I is made from a network of one's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backbones, "build", lambda *_: network)
        return StrongModel(3, "Tiny", "random", network.input_shape[1:3], last_stride=2)


# Statistics.


def test_moments_are_those_of_what_each_layer_sees(mobilenet):
    _, tuned, channels = mobilenet
    _, means, variances = batch_moments(tuned, channels, images(1))
    layers = normalizations(tuned)
    assert len(layers) == 52
    assert [layer.name for layer in layers] == list(channels)
    ends = np.cumsum([layer.channels for layer in layers])
    assert [own.start for own in channels.values()] == [0, *ends[:-1]]
    assert [own.stop for own in channels.values()] == ends.tolist()
    assert means.shape == variances.shape == (ends[-1],)
    with normalized_by(BatchStatistics()):
        for layer in (layers[0], layers[20], layers[-1]):
            seen = keras.Model(tuned.input, layer.input)(images(1)).numpy().astype("f8")
            part = channels[layer.name]
            np.testing.assert_allclose(means[part], seen.mean(axis=(0, 1, 2)), atol=1e-4)
            np.testing.assert_allclose(
                variances[part], seen.var(axis=(0, 1, 2)), rtol=1e-3, atol=1e-5
            )


def weights_of(network: keras.Model) -> list[keras.Variable]:
    """Returns the weights of a network's normalisations."""
    return [variable for layer in normalizations(network) for variable in layer.weights]


@pytest.mark.parametrize("update", [True, False])
def test_only_an_update_moves_the_running_statistics(update):
    model = model_of(shaken(small(keras.layers.BatchNormalization())))
    tuned = model.encoder_i
    x = np.random.default_rng(0).uniform(0, 255, (5, 8, 8, 3)).astype("f4")
    before = [v.numpy() for v in weights_of(tuned)]
    channels = {
        layer.name: slice(4 * i, 4 * i + 4) for i, layer in enumerate(normalizations(tuned))
    }
    _, means, variances = batch_moments(tuned, channels, x / 127.5 - 1)
    found = tf.function(model.batch_moments)(x)
    assert all(np.all(a == b.numpy()) for a, b in zip(before, weights_of(tuned), strict=True))
    maps = tf.function(model.batch_maps)(x, update)
    after = [v.numpy() for v in weights_of(tuned)]
    for place, (old, new) in enumerate(zip(before, after, strict=True)):
        layer, kind = divmod(place, 4)
        value = np.split((means, variances)[kind % 2], 2)[layer]
        expected = old + 0.1 * (value - old) if update and kind >= 2 else old
        np.testing.assert_allclose(new, expected, rtol=1e-5, atol=1e-7)
    for left, right in zip(found, (means, variances), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)
    # The batch's own statistics normalise it, whatever the running ones are.
    np.testing.assert_allclose(maps, model.batch_maps(x, update=False), rtol=1e-5, atol=1e-5)


def test_the_batchs_own_statistics_by_rows_are_those_of_the_batch(mobilenet):
    _, tuned, channels = mobilenet
    expected, *moments = batch_moments(tuned, channels, images(2))
    found = by_rows(tuned, channels, images(2), *(np.tile(value, (4, 1)) for value in moments))
    # Each convolution's normalisation rounds, too: the kernel for a batch takes the mean off first.
    atol = rounding(2 * DEPTH[0], DEPTH[1], np.abs(expected).max())
    np.testing.assert_allclose(found, expected, atol=atol)


def test_a_batch_of_mixed_cameras_is_each_camera_alone(mobilenet):
    _, tuned, channels = mobilenet
    weights = tuned.get_weights()
    moments = [
        batch_moments(tuned, channels, images(seed) * scale + shift)[1:]
        for seed, scale, shift in ((3, 1, 0), (4, 2, 1), (5, 0.5, -1))
    ]
    cameras = np.array([2, 0, 1, 0, 2, 1, 1])
    x = images(6, len(cameras))
    table = [np.stack(kind)[cameras] for kind in zip(*moments, strict=True)]
    mixed = by_rows(tuned, channels, x, *table)
    for camera in range(3):
        rows = cameras == camera
        alone = by_rows(tuned, channels, x[rows], *(kind[rows] for kind in table))
        atol = rounding(*DEPTH, np.abs(alone).max())
        np.testing.assert_allclose(mixed[rows], alone, atol=atol)
        # As the running statistics of a network would do it.
        for layer in normalizations(tuned):
            part = channels[layer.name]
            for variable, value in zip(
                (layer.moving_mean, layer.moving_variance), moments[camera], strict=True
            ):
                variable.assign(value[part])
        plain = tuned(x[rows]).numpy()
        np.testing.assert_allclose(alone, plain, atol=atol)
    tuned.set_weights(weights)
    swapped = by_rows(tuned, channels, x, *(kind[::-1] for kind in table))
    assert np.abs(swapped - mixed).max() > 0.01 * np.abs(mixed).max()


# Replicas: this file runs itself as a program, as the CPU is split before TensorFlow starts.


def replicas_program() -> None:
    """Compares moments and running statistics on one replica and on two."""
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
            model = model_of(network)

        @tf.function
        def step(part: tf.Tensor, model: StrongModel = model) -> tf.Tensor:
            # As the network takes it.
            images = (part + 1) * 127.5
            model.batch_maps(images, update=True)
            return tf.concat(model.batch_moments(images), axis=0)

        parts = strategy.experimental_distribute_values_from_function(
            lambda context, count=count: tf.constant(
                np.split(x, count)[context.replica_id_in_sync_group]
            )
        )
        found = strategy.experimental_local_results(strategy.run(step, (parts,)))
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])
        tuned = [w.numpy() for w in model.encoder_i.weights]
        assert any(np.any(a != b) for a, b in zip(tuned, weights, strict=True))
        results.append([found[0].numpy(), *tuned])
    for left, right in zip(*results, strict=True):
        # Two layers and their statistics, over the 128 positions of the first.
        atol = rounding(4, 128, np.abs(left).max())
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=atol)


def test_two_replicas_take_the_statistics_of_one():
    small_data.run_again(__file__)


if __name__ == "__main__":
    replicas_program()
