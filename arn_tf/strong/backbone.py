"""E_I as the strong recipe tunes it: batch statistics of a camera's own, and a last stride of 1.

Every BatchNormalization of a network of `keras.applications` is replaced by one that knows three
ways to normalise, chosen around the call of the network:

    plain            its running statistics, those of the source it was trained on
    `BatchMoments`   the statistics of the batch, synchronised over replicas
    `ChosenMoments`  statistics of each picture's own camera, one row of a table per picture

The table holds all layers side by side, so that a mixed batch costs one gather.
"""

import contextlib
import dataclasses
import threading

import keras
import numpy as np
import tensorflow as tf

from arn_tf.backbones import keras_applications as backbones
from arn_tf.errors import UserError
from arn_tf.layers import replicas

_STRIDED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
_scope = threading.local()


@dataclasses.dataclass
class BatchMoments:
    """Statistics of the batch that a network was called with.

    Attributes:
        update: whether the running statistics follow.
        means: of each layer in turn, float [channels].
        variances: likewise.
    """

    update: bool
    means: list = dataclasses.field(default_factory=list)
    variances: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class ChosenMoments:
    """Statistics for each picture of a batch, float [B, all channels of all layers]."""

    means: tf.Tensor
    variances: tf.Tensor


@contextlib.contextmanager
def normalized_by(moments):
    """Calls of a network inside use `BatchMoments` or `ChosenMoments`."""
    outer = getattr(_scope, "moments", None)
    _scope.moments = moments
    try:
        yield moments
    finally:
        _scope.moments = outer


@keras.saving.register_keras_serializable(package="arn_tf")
class CameraBatchNormalization(keras.layers.Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over the last axis.

    Args:
        start: where this layer's channels begin in the table of `ChosenMoments`.
        momentum: share of the running statistics that one step keeps.
        epsilon: added to the variance.
        scale: whether there is a gamma.
    """

    def __init__(self, start=0, momentum=0.9, epsilon=1e-3, scale=True, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale
        self.start = start
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.gamma = np.ones(shape, np.float32)
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma", shape=shape, initializer="ones", autocast=False
            )
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros", autocast=False)
        # All replicas compute the same statistics: "mean" keeps their copies equal.
        self.moving_mean, self.moving_variance = (
            self.add_weight(
                name=name, shape=shape, initializer=initializer, trainable=False,
                aggregation="mean", autocast=False,
            )
            for name, initializer in (("moving_mean", "zeros"), ("moving_variance", "ones"))
        )  # fmt: skip

    @property
    def channels(self):
        return self.gamma.shape[0]

    def call(self, x, mask=None):
        moments = getattr(_scope, "moments", None)
        if isinstance(moments, ChosenMoments):
            return self._each_by_its_own(x, moments)
        if moments is None:
            mean, variance = self.moving_mean, self.moving_variance
        else:
            mean, variance = self._of_batch(x, moments)
        return tf.nn.batch_normalization(
            x, *(tf.cast(value, x.dtype) for value in (mean, variance, self.beta, self.gamma)),
            self.epsilon,
        )  # fmt: skip

    def get_config(self):
        return super().get_config() | {
            "start": self.start,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "scale": self.scale,
        }

    def _of_batch(self, x, moments):
        mean, variance = replicas.moments(tf.cast(x, tf.float32))
        moments.means.append(mean)
        moments.variances.append(variance)
        if moments.update:
            for running, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                running.assign(running + (1 - self.momentum) * (tf.stop_gradient(value) - running))
        return mean, variance

    def _each_by_its_own(self, x, moments):
        own = slice(self.start, self.start + self.channels)
        mean, variance = moments.means[:, own], moments.variances[:, own]
        scale = tf.convert_to_tensor(self.gamma) * tf.math.rsqrt(variance + self.epsilon)
        offset = tf.convert_to_tensor(self.beta) - mean * scale
        wide = [-1, *[1] * (x.shape.rank - 2), self.channels]
        return x * tf.cast(tf.reshape(scale, wide), x.dtype) + tf.cast(
            tf.reshape(offset, wide), x.dtype
        )


def build(name, input_size, weights="imagenet", last_stride=1, precision="float32"):
    """Builds E_I with `CameraBatchNormalization`: float [B, height, width, 3] -> X.

    Args:
        name: of the network, as in `keras.applications`.
        input_size: (height, width) in pixels.
        weights: "imagenet", "random" or the path of a weights file.
        last_stride: 1 doubles the height and width of X (Luo et al., CVPR workshops 2019); 2
            leaves the network as it is.
        precision: "float32", or "bfloat16" for the arithmetic of its layers; weights and batch
            statistics stay float32.

    Returns:
        the network, and the number of channels of all its normalisations.

    Raises:
        UserError: as `backbone.build`; or the network's last stride can't be taken away, or it
            has no BatchNormalization.
    """
    network = backbones.build(name, input_size, weights)
    strided, paddings = _last_strides(network, name) if last_stride == 1 else (set(), set())
    channels = 0

    def replaced(layer):
        nonlocal channels
        config = layer.get_config() | {"dtype": _POLICIES[precision]}
        if isinstance(layer, keras.layers.BatchNormalization):
            start, channels = channels, channels + layer.moving_mean.shape[0]
            return CameraBatchNormalization(
                start, epsilon=layer.epsilon, scale=layer.scale, name=layer.name,
                dtype=config["dtype"],
            )  # fmt: skip
        if layer.name in strided:
            config |= {"strides": (1, 1), "padding": "same"}
        elif layer.name in paddings:
            config |= {"padding": ((0, 0), (0, 0))}
        return type(layer).from_config(config)

    try:
        tuned = keras.models.clone_model(network, clone_function=replaced)
    except ValueError as error:  # A pooling beside the convolution goes on halving the map.
        raise _fixed_stride(name) from error
    if not channels:
        raise UserError(
            f"--backbone={name} has no batch normalisation, and no statistics of a camera to take: "
            "choose another, such as MobileNetV2 or ResNet50"
        )
    backbones.copy_weights(network, tuned)
    return tuned, channels


def _last_strides(network, name):
    """Names of the layers that last halve the map, and of the paddings made for them."""
    height = network.output_shape[1]
    strided, paddings = set(), set()
    for layer in network.layers:
        if not isinstance(layer, _STRIDED) or max(layer.strides) == 1:
            continue
        if layer.output.shape[1] != height:
            continue
        strided.add(layer.name)
        before = layer.input._keras_history.operation
        if isinstance(before, keras.layers.ZeroPadding2D):
            paddings.add(before.name)
    if not strided:
        raise _fixed_stride(name)
    return strided, paddings


def _fixed_stride(name):
    return UserError(
        f"--backbone={name}: its last stride can't be taken away; pass --last_stride=2"
    )
