"""The tuned backbone beside the network that it is made from: its map, its gradients, its file."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.backbones import keras_applications as backbones
from arn_tf.layers.normalization import BatchStatistics, normalized_by
from arn_tf.strong import backbone as tuned_backbone
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
from tests.support.user_errors import refused

pytestmark = pytest.mark.filterwarnings("ignore:.input_shape. is undefined or non-square")

# A layer that halves the map for the last time, and the rows of its doubled map that it had.
LAST_STRIDES = {"MobileNetV2": ("block_13_depthwise", 1), "ResNet50": ("conv5_block1_1_conv", 0)}


@pytest.fixture(scope="module")
def mobilenet() -> tuple[keras.Model, keras.Model, dict[str, slice]]:
    return pair("MobileNetV2", 2)


# Beside the original network.


def test_in_inference_it_is_the_original(mobilenet):
    original, tuned, _ = mobilenet
    np.testing.assert_array_equal(tuned(images(0)), original(images(0), training=False))


def test_in_training_it_is_the_original(mobilenet):
    original, tuned, channels = mobilenet
    clone = keras.models.clone_model(original)
    backbones.copy_weights(original, clone)
    expected = clone(images(0), training=True).numpy()
    found, *_ = batch_moments(tuned, channels, images(0))
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())
    assert np.abs(found - tuned(images(0)).numpy()).max() > 0.1 * np.abs(expected).max()


@pytest.mark.parametrize("name", LAST_STRIDES)
def test_without_its_last_stride_the_map_doubles(name):
    original, tuned, _ = pair(name, 1)
    height, width, depth = original.output_shape[1:]
    assert tuned.output_shape == (None, 2 * height, 2 * width, depth)
    assert tuned(images(0, 1)).shape[1:] == tuned.output_shape[1:]
    assert len(tuned.layers) == len(original.layers)
    # Where the stride was, every second position is what it was.
    layer, phase = LAST_STRIDES[name]
    before, after = (
        keras.Model(network.input, network.get_layer(layer).output)(images(0, 2)).numpy()
        for network in (original, tuned)
    )
    # ResNet50: 44 convolutions up to there, the longest sums over 3 x 3 x 256 products.
    atol = rounding(44, 2304, np.abs(before).max())
    np.testing.assert_allclose(after[:, phase::2, phase::2], before, atol=atol)


def test_gradients_are_those_of_keras():
    """Of everything that trains, through the statistics of the batch."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 4, 3))
    x = keras.layers.Conv2D(6, 3, padding="same")(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(5, 3)(x))
    original = shaken(keras.Model(inputs, x))
    tuned = made_from(original)[0]
    x, y = (
        np.random.default_rng(i).normal(size=s).astype("f4")
        for i, s in enumerate([(6, 8, 4, 3), (6, 6, 2, 5)])
    )

    def gradients(network: keras.Model, **how: Any) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(tf.square(network(x, **how) - y))
        return tape.gradient(value, [v.value for v in network.trainable_variables])

    expected = gradients(original, training=True)
    with normalized_by(BatchStatistics()):
        found = gradients(tuned)
    assert len(found) == 8
    # Four layers there and back; a gradient sums over 6 x 8 x 4 positions. That of a bias before
    # a normalisation is 0, and what is left of it a rounding of the others.
    atol = rounding(8, 192, max(np.abs(gradient).max() for gradient in expected))
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-3, atol=atol)


# Networks of all kinds, in place of those of keras.applications.


def with_pooling_beside(x: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.Add()(
        [keras.layers.Conv2D(4, 3, 2, "same")(x), keras.layers.MaxPooling2D(1, strides=2)(x)]
    )


@pytest.mark.parametrize(
    "middle", [keras.layers.MaxPooling2D(), with_pooling_beside], ids=["pooling", "beside"]
)
def test_a_last_stride_that_cannot_be_taken_away(middle):
    with refused(r"^--backbone=Other: its last stride.*--last_stride=2"):
        made_from(small(middle), last_stride=1)
    assert made_from(small(middle))[0].output_shape == (None, 2, 2, 4)


def test_vgg_has_neither_stride_nor_normalisation():
    for last_stride, text in ((1, "last stride"), (2, "has no batch normalisation")):
        with refused(f"^--backbone=VGG16.*{text}"):
            tuned_backbone.build("VGG16", (32, 32), "random", last_stride)


def test_a_normalisation_without_gamma():
    """As in InceptionV3."""
    network = small(keras.layers.BatchNormalization(scale=False))
    network.layers[-1].set_weights([np.full(4, v) for v in (0.5, 0.2, 3.0)])
    tuned, channels = made_from(network)
    assert list(channels.values()) == [slice(0, 4), slice(4, 8)]
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype("f4")
    np.testing.assert_allclose(tuned(x), network(x), atol=1e-6)
    y, means, variances = batch_moments(tuned, channels, x)
    rows = [np.tile(value, (5, 1)) for value in (means, variances)]
    np.testing.assert_allclose(by_rows(tuned, channels, x, *rows), y, atol=1e-5)


def test_running_statistics_lie_side_by_side(mobilenet):
    _, tuned, channels = mobilenet
    means, variances = tuned_backbone.running_statistics(tuned, channels)
    total = next(reversed(channels.values())).stop
    assert means.shape == variances.shape == (total,)
    for layer in normalizations(tuned):
        np.testing.assert_array_equal(means[channels[layer.name]], layer.moving_mean)
        np.testing.assert_array_equal(variances[channels[layer.name]], layer.moving_variance)


def test_saved_and_loaded(mobilenet, tmp_path):
    _, tuned, channels = mobilenet
    tuned.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(again(images(0)), tuned(images(0)))
    left, right = (batch_moments(network, channels, images(7)) for network in (again, tuned))
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)
    configs = [[layer.get_config() for layer in normalizations(n)] for n in (again, tuned)]
    assert configs[0] == configs[1]
