"""Parts of other systems that a round of self-training could have, each to be measured alone.

    entropy    a picture counts the more, the more evenly cameras share its cluster (3C)
    average    clusters and embeddings by a moving average of the weights
    gem        generalised-mean pooling of X in place of its mean

They stay out of `arn_tf` unless a study shows that they are worth it.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from arn_tf.backbones import keras_applications
from arn_tf.errors import UserError
from arn_tf.layers import replicas
from arn_tf.strong import losses
from arn_tf.strong.model import StrongModel
from arn_tf.strong.self_training import SelfTrainer

# Of some hundred steps; .999, which others take of ten thousand, hardly leaves where it began.
DECAY = 0.98


def camera_entropy_weights(labels: np.ndarray, camera_id: np.ndarray) -> np.ndarray:
    """Returns each cluster's weight, float32 [K]: exp of the entropy of its cameras.

    Divided so that the mean over all pictures in clusters is 1.

    Args:
        labels: int64 [N], clusters from 0; -1 for a picture that isn't used.
        camera_id: int [N]; pictures of unknown cameras, below 0, count as of one.
    """
    used = labels >= 0
    _, cameras = np.unique(np.maximum(camera_id[used], -1), return_inverse=True)
    counts = np.zeros((labels.max() + 1, cameras.max() + 1))
    np.add.at(counts, (labels[used], cameras), 1)
    sizes = counts.sum(axis=1)
    shares = counts / sizes[:, None]
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    weights = np.exp(-(shares * logs).sum(axis=1))
    return (weights / np.average(weights, weights=sizes)).astype(np.float32)


class EntropyTrainer(SelfTrainer):
    """Weighs each picture's cross-entropy by its cluster.

    Args:
        like: a trainer of the same round without a loss between cameras, whose model and memory
            are taken over.
        weights: float32 [K]; see `camera_entropy_weights`.
    """

    def __init__(self, like: SelfTrainer, weights: np.ndarray) -> None:
        super().__init__(like.model, like.memory.directions.numpy())
        self._weights = replicas.resizable(weights)

    def weigh(self, weights: np.ndarray) -> None:
        """Takes the weights of another round's clusters, float32 [K]."""
        self._weights.assign(weights)

    def target_losses(
        self, features: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        """Returns what the clusters cost; see `SelfTrainer.target_losses`."""
        (_, triplet), normalized = super().target_losses(features, labels)
        gathered = replicas.gather(labels)
        costs = losses.smoothed_costs(self.memory(normalized), gathered, 0.0)
        return (tf.reduce_mean(tf.gather(self._weights, gathered) * costs), triplet), normalized


class Average(keras.callbacks.Callback):
    """Keeps a moving average of E_I's weights after every step.

    Args:
        encoder: E_I of the model that is trained.
        begun: the average before the first step.
    """

    def __init__(self, encoder: keras.Model, begun: Sequence[np.ndarray]) -> None:
        super().__init__()
        self._encoder = encoder
        self.weights = [each.copy() for each in begun]

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Draws the average to the weights."""
        for mean, weight in zip(self.weights, self._encoder.get_weights(), strict=True):
            mean += (1 - DECAY) * (weight - mean)


@keras.saving.register_keras_serializable(package="arn_tf_studies")
class GeneralisedMean(keras.layers.Layer):
    """Pools X, float [B, h, w, D], to [B, 1, 1, D], a power p of it averaged over positions.

    p is learnt, from 3 on; of 1 it is the plain mean (Radenović et al., TPAMI 2019).
    """

    def build(self, _input_shape: tuple) -> None:
        """Makes p."""
        self.power = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(3.0), name="power"
        )

    def call(self, maps: tf.Tensor) -> tf.Tensor:
        """Returns what is pooled; below 1e-6 X counts as that."""
        powers = tf.pow(tf.maximum(maps, 1e-6), self.power)
        return tf.pow(tf.reduce_mean(powers, axis=[1, 2], keepdims=True), 1 / self.power)


@keras.saving.register_keras_serializable(package="arn_tf_studies")
class GemModel(StrongModel):
    """A `StrongModel` whose E_I ends with `GeneralisedMean`; what it takes is the same."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        plain = self.encoder_i
        del self.encoder_i
        self.encoder_i = keras.Model(plain.input, GeneralisedMean(name="gem")(plain.output))


def with_gem(model: StrongModel) -> GemModel:
    """Returns the same model with `GeneralisedMean`; its statistics must be estimated anew.

    Args:
        model: as the backbone is given, without a classifier; it is left as it is.

    Raises:
        UserError: its X has one position, or negative values.
    """
    last = model.encoder_i.layers[-1]
    positive = isinstance(last, keras.layers.ReLU) or (
        isinstance(last, keras.layers.Activation) and last.activation is keras.activations.relu
    )
    if last.output.shape[1:3] == (1, 1) or not positive:
        raise UserError("row gem: X has no positions to pool, or values below 0")
    found = GemModel.from_config(model.get_config())
    plain = keras.Model(found.encoder_i.input, found.encoder_i.get_layer("gem").input)
    keras_applications.copy_weights(model.encoder_i, plain)
    found.table.copy_from(model.table)
    return found
