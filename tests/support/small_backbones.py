"""Networks with batch normalisation, original and tuned, and what tests do with them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.backbones import keras_applications as backbones
from arn_tf.strong import backbone as tuned_backbone
from arn_tf.strong.backbone import (
    BatchMoments,
    CameraBatchNormalization,
    ChosenMoments,
    normalized_by,
)

SIZE = (64, 32)


def images(seed, count=4):
    return np.random.default_rng(seed).normal(size=(count, *SIZE, 3)).astype("f4")


def shaken(network, seed=0):
    """The network with normalisations that are not those it begins with."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            values = [rng.uniform(*limits, v.shape) for v, limits in zip(
                layer.weights, [(0.5, 1.5), (-0.5, 0.5), (-0.5, 0.5), (0.5, 2)], strict=True
            )]  # fmt: skip
            layer.set_weights(values)
    return network


def pair(name, last_stride):
    """The original network, and the tuned one with its weights, the same in every run."""
    keras.utils.set_random_seed(0)
    original = shaken(backbones.build(name, SIZE, "random"))
    tuned, channels = tuned_backbone.build(name, SIZE, "random", last_stride)
    backbones.copy_weights(original, tuned)
    return original, tuned, channels


def made_from(network, last_stride=2):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backbones, "build", lambda *_: network)
        return tuned_backbone.build("Other", SIZE, "random", last_stride)


def small(middle, normalization=True):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, 2, "same")(inputs)
    x = keras.layers.BatchNormalization()(x) if normalization else x
    return keras.Model(inputs, middle(x))


def normalizations(network):
    return [layer for layer in network.layers if isinstance(layer, CameraBatchNormalization)]


def batch_moments(network, x, update=False):
    with normalized_by(BatchMoments(update)) as moments:
        y = network(tf.constant(x))
    return y.numpy(), tf.concat(moments.means, 0).numpy(), tf.concat(moments.variances, 0).numpy()


def by_rows(network, x, means, variances):
    with normalized_by(ChosenMoments(tf.constant(means), tf.constant(variances))):
        return network(tf.constant(x)).numpy()
