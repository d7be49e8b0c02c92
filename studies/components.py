"""Parts of other systems that a round of self-training could have, each to be measured alone.

    entropy    a picture counts the more, the more evenly cameras share its cluster (3C)
    memory     unit rows that follow every picture in place of the classifier (ClusterContrast)
    average    clusters and embeddings by a moving average of the weights

They stay out of `arn_tf` unless a study shows that they are worth it.
"""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from arn_tf.layers import replicas
from arn_tf.strong import camera_statistics, losses
from arn_tf.strong.model import StrongModel
from arn_tf.strong.self_training import SelfTrainer

# ClusterContrast's of Dai et al. (ACCV 2022, section 3).
TEMPERATURE, MOMENTUM = 0.05, 0.1
# Of 240 steps; .999, which others take of ten thousand, hardly leaves where it began.
DECAY = 0.99


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
        like: a trainer of the same round, whose model and classifier are taken over.
        weights: float32 [K]; see `camera_entropy_weights`.
    """

    def __init__(self, like: SelfTrainer, weights: np.ndarray) -> None:
        super().__init__(like.model, np.transpose(like.classifier.kernel), like.proxies)
        self._weights = tf.constant(weights)

    def target_losses(
        self, features: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        """Returns what the clusters cost; see `SelfTrainer.target_losses`."""
        (_, triplet), normalized = super().target_losses(features, labels)
        gathered = replicas.gather(labels)
        costs = losses.smoothed_costs(
            self.classifier(normalized), gathered, self.model.label_smoothing
        )
        return (tf.reduce_mean(tf.gather(self._weights, gathered) * costs), triplet), normalized


class MemoryTrainer(SelfTrainer):
    """Compares with unit rows, one a cluster; after a step, picture by picture, they follow.

    On one replica.

    Args:
        like: a trainer of the same round, whose model and centroids are taken over.
    """

    def __init__(self, like: SelfTrainer) -> None:
        super().__init__(like.model, np.transpose(like.classifier.kernel), like.proxies)
        self.rows = tf.Variable(tf.transpose(self.classifier.kernel), trainable=False)
        # Of the step that is being traced.
        self._seen: tuple[tf.Tensor, tf.Tensor] | None = None

    def train_step(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Takes one step, then lets the rows follow; returns the epoch's running means."""
        logged = super().train_step(batch)
        assert self._seen is not None
        self.rows.assign(followed(self.rows, *self._seen))
        return logged

    def target_losses(
        self, features: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        """Returns what the clusters cost; see `SelfTrainer.target_losses`."""
        normalized = self.neck(features, training=True)
        directions = tf.math.l2_normalize(normalized, axis=1)
        logits = tf.matmul(directions, self.rows, transpose_b=True) / TEMPERATURE
        self._seen = tf.stop_gradient(directions), labels
        triplet = losses.batch_hard_triplet(features, labels, self.model.margin)
        return (losses.smoothed_classification(logits, labels, 0.0), triplet), normalized

    @property
    def _heads(self) -> list[keras.Variable]:
        # The classifier's kernel has no gradient.
        return list(self.neck.trainable_variables)


def followed(rows: tf.Tensor, directions: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns the rows after each picture, in turn, has drawn that of its cluster to it.

    Args:
        rows: float [K, D], of unit length.
        directions: float [B, D], likewise; B is known when it is traced.
        labels: int [B].
    """
    found = tf.convert_to_tensor(rows)
    for at in range(directions.shape[0]):
        own = found[labels[at]]
        moved = tf.math.l2_normalize(MOMENTUM * own + (1 - MOMENTUM) * directions[at], axis=0)
        found = tf.tensor_scatter_nd_update(found, [[labels[at]]], [moved])
    return found


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


def averaged(model: StrongModel, weights: Sequence[np.ndarray]) -> StrongModel:
    """Returns a copy of a model with other weights of E_I.

    Args:
        model: which is left as it is.
        weights: of E_I, as `Average` keeps them.
    """
    found = camera_statistics.with_cameras(model, model.cameras)
    found.encoder_i.set_weights(weights)
    return found
