"""Batch normalisation with statistics of its own for each domain and one shared affine map."""

import keras
import tensorflow as tf

from arn_tf.layers import replicas


@keras.saving.register_keras_serializable(package="arn_tf")
class DomainBatchNormalization(keras.layers.Layer):
    """y = gamma (x - mean_domain) / sqrt(variance_domain + epsilon) + beta.

    A batch holds pictures of one domain only, named by `domain`. In training its own statistics,
    synchronised over all replicas, normalise it and move that domain's running statistics. Keras's
    `BatchNormalization(synchronized=True)` is the same for one domain, but takes the variance as
    E[x^2] - E[x]^2, which loses digits where the mean is large; here it is the mean squared
    deviation, and any number of replicas agrees to rounding.

    Args:
        domains: number of sets of statistics.
        momentum: share of the running statistics that one step keeps.
        epsilon: added to the variance.
        center: whether there is a beta.
    """

    def __init__(self, domains=1, momentum=0.9, epsilon=1e-3, center=True, **kwargs):
        super().__init__(**kwargs)
        self.center = center
        self.domains = domains
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        channels = input_shape[-1]
        self.gamma = self.add_weight(name="gamma", shape=(channels,), initializer="ones")
        self.beta = None
        if self.center:
            self.beta = self.add_weight(name="beta", shape=(channels,), initializer="zeros")
        # All replicas compute the same statistics: "mean" keeps their copies equal.
        self.moving_mean, self.moving_variance = (
            self.add_weight(
                name=name,
                shape=(self.domains, channels),
                initializer=initializer,
                trainable=False,
                aggregation="mean",
            )
            for name, initializer in (("moving_mean", "zeros"), ("moving_variance", "ones"))
        )

    def call(self, x, domain=0, training=False):
        """Normalises x, float [B, ..., channels], by the statistics of `domain`."""
        if training:
            mean, variance = replicas.moments(x)
            self._move(domain, mean, variance)
        else:
            mean, variance = self.moving_mean[domain], self.moving_variance[domain]
        beta = None if self.beta is None else tf.convert_to_tensor(self.beta)
        return tf.nn.batch_normalization(
            x, mean, variance, beta, tf.convert_to_tensor(self.gamma), self.epsilon
        )

    def set_statistics(self, domain, mean, variance):
        """Replaces the running statistics of one domain; mean, variance: float [channels]."""
        row = tf.one_hot(domain, self.domains)[:, None]
        self.moving_mean.assign(self.moving_mean * (1 - row) + row * mean)
        self.moving_variance.assign(self.moving_variance * (1 - row) + row * variance)

    def get_config(self):
        return super().get_config() | {
            "domains": self.domains,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
        }

    def _move(self, domain, mean, variance):
        keep = self.momentum
        self.set_statistics(
            domain,
            keep * self.moving_mean[domain] + (1 - keep) * tf.stop_gradient(mean),
            keep * self.moving_variance[domain] + (1 - keep) * tf.stop_gradient(variance),
        )
