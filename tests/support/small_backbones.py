"""Networks with batch normalisation, original and tuned, and what tests do with them."""

from collections.abc import Callable, Mapping

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.backbones import keras_applications as backbones
from arn_tf.layers.normalization import (
    BatchStatistics,
    CameraBatchNormalization,
    PictureStatistics,
    normalized_by,
)
from arn_tf.strong import backbone as tuned_backbone

SIZE = (64, 32)


def images(seed: int, count: int = 4) -> np.ndarray:
    """Returns preprocessed pictures, float32 [count, 64, 32, 3]."""
    return np.random.default_rng(seed).normal(size=(count, *SIZE, 3)).astype("f4")


def shaken(network: keras.Model, seed: int = 0) -> keras.Model:
    """Returns the network with normalisations that are not those it begins with."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            values = [
                rng.uniform(*limits, v.shape)
                for v, limits in zip(
                    layer.weights, [(0.5, 1.5), (-0.5, 0.5), (-0.5, 0.5), (0.5, 2)], strict=True
                )
            ]
            layer.set_weights(values)
    return network


def pair(name: str, last_stride: int) -> tuple[keras.Model, keras.Model, dict[str, slice]]:
    """Returns the original network, the tuned one with its weights, and the tuned one's channels.

    They are the same in every run.
    """
    keras.utils.set_random_seed(0)
    original = shaken(backbones.build(name, SIZE, "random"))
    tuned, channels = tuned_backbone.build(name, SIZE, "random", last_stride)
    backbones.copy_weights(original, tuned)
    return original, tuned, channels


def made_from(network: keras.Model, last_stride: int = 2) -> tuple[keras.Model, dict[str, slice]]:
    """Returns what `strong.backbone.build` makes of a network of one's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backbones, "build", lambda *_: network)
        return tuned_backbone.build("Other", SIZE, "random", last_stride)


def small(
    middle: Callable[[keras.KerasTensor], keras.KerasTensor], normalization: bool = True
) -> keras.Model:
    """Returns a network of 8 x 8 pictures that ends in the layer or layers given."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, 2, "same")(inputs)
    x = keras.layers.BatchNormalization()(x) if normalization else x
    return keras.Model(inputs, middle(x))


def normalizations(network: keras.Model) -> list[CameraBatchNormalization]:
    """Returns the normalisations of a tuned network, in the order of its layers."""
    return [layer for layer in network.layers if isinstance(layer, CameraBatchNormalization)]


def side_by_side(
    found: BatchStatistics, channels: Mapping[str, slice]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns means and variances of all layers, float32 [all channels] each."""
    return tuple(
        np.concatenate([found[name][kind].numpy() for name in channels]) for kind in (0, 1)
    )


def batch_moments(
    network: keras.Model, channels: Mapping[str, slice], x: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the output by the statistics of the batch, and these, as `side_by_side`."""
    found = BatchStatistics()
    with normalized_by(found):
        y = network(tf.constant(x))
    return y.numpy(), *side_by_side(found, channels)


def by_rows(
    network: keras.Model,
    channels: Mapping[str, slice],
    x: np.ndarray,
    means: np.ndarray,
    variances: np.ndarray,
) -> np.ndarray:
    """Returns the output by statistics of each picture's own, float32 [B, all channels] each."""
    own = PictureStatistics.from_table(channels, tf.constant(means), tf.constant(variances))
    with normalized_by(own):
        return network(tf.constant(x)).numpy()
