"""Batch normalisation with several sets of statistics: one for each domain, one for each camera.

A layer keeps running statistics of its own, one set or one for each domain. Around the call of a
whole network, `normalized_by` gives its layers other statistics: those of the batch, or those of
each picture's camera.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from arn_tf.layers import gradient_order, replicas

# Sets of statistics of a model that knows two domains.
SOURCE, TARGET = 0, 1
# camera_id of a picture whose camera isn't known: it uses the statistics of the whole target.
UNKNOWN_CAMERA = -1
_scope = threading.local()


class BatchStatistics(dict):
    """Layers normalise by the batch, and leave {layer name: (mean, variance)}, float [channels].

    Args:
        update: whether the running statistics of the layers follow.
        applied: False: layers only leave the batch's, and normalise by the running ones.
    """

    def __init__(self, update: bool = False, applied: bool = True) -> None:
        super().__init__()
        self.update = update
        self.applied = applied


class PictureStatistics(dict):
    """{layer name: (means, variances)}, float [B, channels]: each picture's own."""

    @classmethod
    def from_table(
        cls, channels: Mapping[str, slice], means: tf.Tensor, variances: tf.Tensor
    ) -> "PictureStatistics":
        """Cuts rows of all layers side by side, float [B, all channels], into those of each.

        Args:
            channels: {layer name: where its channels are}.
            means: of every picture.
            variances: likewise.
        """
        return cls({name: (means[:, own], variances[:, own]) for name, own in channels.items()})


@contextlib.contextmanager
def normalized_by(statistics: BatchStatistics | PictureStatistics) -> Iterator[None]:
    """Gives the layers called inside, in this thread, these statistics."""
    outer = getattr(_scope, "statistics", None)
    _scope.statistics = statistics
    try:
        yield
    finally:
        _scope.statistics = outer


@keras.saving.register_keras_serializable(package="arn_tf")
class DomainBatchNormalization(keras.layers.Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over the last axis.

    In training, the statistics of a batch, synchronised over all replicas, normalise it and move
    the running statistics of its domain. Keras's `BatchNormalization(synchronized=True)` is the
    same for one domain, but takes the variance as E[x^2] - E[x]^2, which loses digits where the
    mean is large; here it is the mean squared deviation, and any number of replicas agrees to
    rounding.

    Args:
        domains: number of sets of running statistics; None for one set without an axis for it.
        momentum: share of the running statistics that one step keeps.
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
    """

    def __init__(
        self,
        domains: int | None = 1,
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.domains = domains
        self.momentum = momentum
        self.epsilon = epsilon
        self.center = center
        self.scale = scale

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.channels = input_shape[-1]

        # Statistics and affine map stay float32 under any policy.
        def weight(
            name: str, shape: tuple[int, ...], initializer: str, **options: Any
        ) -> keras.Variable:
            return self.add_weight(
                name=name, shape=shape, initializer=initializer, autocast=False, **options
            )

        shape = (self.channels,)
        self.gamma = weight("gamma", shape, "ones") if self.scale else np.ones(shape, np.float32)
        self.beta = weight("beta", shape, "zeros") if self.center else None
        sets = shape if self.domains is None else (self.domains, *shape)
        # All replicas compute the same statistics: "mean" keeps their copies equal.
        options = {"trainable": False, "aggregation": "mean"}
        self.moving_mean = weight("moving_mean", sets, "zeros", **options)
        self.moving_variance = weight("moving_variance", sets, "ones", **options)

    def call(
        self, x: tf.Tensor, domain: int = SOURCE, training: bool = False, mask: object = None
    ) -> tf.Tensor:
        """Normalises x, float [B, ..., channels].

        By the statistics of `normalized_by` inside of it; else by those of the batch in training,
        and by the running ones of `domain` otherwise.
        """
        given = getattr(_scope, "statistics", None)
        if isinstance(given, PictureStatistics):
            return self._normalized_each(x, *given[self.name])
        if not (training or given is not None):
            return self._normalized(x, *self.statistics(domain))
        applied = given is None or given.applied
        if applied and x.shape.rank == 4 and replicas.count() == 1:
            y, mean, variance = self._fused(x)
        else:
            x, of_moments = gradient_order.copies(x, 2)
            mean, variance = replicas.moments(tf.cast(of_moments, tf.float32))
            y = self._normalized(x, *((mean, variance) if applied else self.statistics(domain)))
        if given is None:
            self._move(domain, mean, variance)
        else:
            given[self.name] = mean, variance
            if given.update:
                self._follow(mean, variance)
        return y

    def statistics(self, domain: int = SOURCE) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns running mean and variance of a domain, float32 [channels] each."""
        if self.domains is None:
            return tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(
                self.moving_variance
            )
        return self.moving_mean[domain], self.moving_variance[domain]

    def set_statistics(self, domain: int, mean: tf.Tensor, variance: tf.Tensor) -> None:
        """Replaces the running statistics of a domain; mean, variance: float [channels]."""
        for running, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            if self.domains is None:
                running.assign(value)
            else:
                row = tf.one_hot(domain, self.domains)[:, None]
                running.assign(running * (1 - row) + row * value)

    def get_config(self) -> dict:
        return super().get_config() | {
            "domains": self.domains,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
        }

    def _move(self, domain: int, mean: tf.Tensor, variance: tf.Tensor) -> None:
        keep = self.momentum
        old_mean, old_variance = self.statistics(domain)
        self.set_statistics(
            domain,
            keep * old_mean + (1 - keep) * tf.stop_gradient(mean),
            keep * old_variance + (1 - keep) * tf.stop_gradient(variance),
        )

    def _follow(self, mean: tf.Tensor, variance: tf.Tensor) -> None:
        """Moves the one set of a tuned E_I: `_move`, with the rounding of the runs measured."""
        for running, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            running.assign(running + (1 - self.momentum) * (tf.stop_gradient(value) - running))

    def _fused(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns x normalised by its batch, and mean and variance, through which no gradient goes.

        One kernel for what `replicas.moments` and `_normalized` compute by a dozen, each of which
        reads and writes the whole map; its variance is the mean squared deviation, too.
        """
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=self.gamma,
            offset=self._offset(),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel estimates that of the population: divided by one less than there are numbers.
        count = tf.cast(tf.size(x) // self.channels, tf.float32)
        return y, mean, variance * (tf.maximum(count - 1, 1) / count)

    def _normalized(self, x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        mean, variance, beta, gamma = (
            None if value is None else tf.cast(value, x.dtype)
            for value in (mean, variance, self.beta, self.gamma)
        )
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, self.epsilon)

    def _offset(self) -> tf.Tensor:
        return tf.zeros([self.channels]) if self.beta is None else tf.convert_to_tensor(self.beta)

    def _normalized_each(self, x: tf.Tensor, means: tf.Tensor, variances: tf.Tensor) -> tf.Tensor:
        scale = tf.convert_to_tensor(self.gamma) * tf.math.rsqrt(variances + self.epsilon)
        offset = tf.convert_to_tensor(0.0 if self.beta is None else self.beta) - means * scale
        wide = [-1, *[1] * (x.shape.rank - 2), self.channels]
        return x * tf.cast(tf.reshape(scale, wide), x.dtype) + tf.cast(
            tf.reshape(offset, wide), x.dtype
        )


@keras.saving.register_keras_serializable(package="arn_tf")
class CameraBatchNormalization(DomainBatchNormalization):
    """The same layer inside a tuned E_I; Keras files name weights by the class that holds them."""
