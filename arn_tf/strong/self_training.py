"""Self-training: clusters of the unlabelled target as identities, source loss kept.

After Fan et al. ("Unsupervised Person Re-identification: Clustering and Fine-tuning", 2018) and Ge
et al. (ICLR 2020), with a memory of clusters in place of a classifier (`cluster_memory`) and a loss
between cameras (`inter_camera`). Every target batch holds two cameras, each normalised by its own
batch statistics, so that the look of a camera tells nothing of the cluster. Without a source the
target is trained on alone.
"""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from arn_tf.layers import gradient_order, replicas
from arn_tf.strong import inter_camera
from arn_tf.strong.cluster_memory import ClusterMemory
from arn_tf.strong.heads import neck
from arn_tf.strong.model import StrongModel, pooled

# Begins the names of its head.
_TARGET = "target"


class SelfTrainer(keras.Model):
    """Trains a `StrongModel` on source and clustered target together, or on the target alone.

    Args:
        model: the `StrongModel`, changed by training; without identities of a source it takes
            batches without a source.
        centroids: float [K, D], mean embedding of each cluster, where the memory of them begins.
        proxies: of the clusters in each camera; None: there is no loss between cameras.
    """

    def __init__(
        self,
        model: StrongModel,
        centroids: np.ndarray,
        proxies: inter_camera.Proxies | None = None,
    ) -> None:
        super().__init__(name="self_trainer")
        self.model = model
        self.proxies = proxies.resizable() if proxies else None
        self._between = keras.metrics.Mean(name="cameras")
        self.neck = self._new_neck()
        self.memory = ClusterMemory(centroids, name=f"{_TARGET}_memory")
        self.built = True

    def begin_again(self, centroids: np.ndarray, proxies: inter_camera.Proxies | None) -> None:
        """Begins another round with a memory of other clusters; what was traced stays.

        The weights of E_I and the source's head go on; the target's neck and the optimizer forget
        what they have learnt.

        Args:
            centroids: as the trainer takes them.
            proxies: None where the trainer was made without.
        """
        self.memory.begin(centroids)
        if self.proxies:
            self.proxies.begin(proxies)
        for own, new in zip(self.neck.weights, self._new_neck().weights, strict=True):
            own.assign(new)
        rate = self.optimizer.learning_rate
        for variable in self.optimizer.variables:
            if variable is not rate:
                variable.assign(tf.zeros_like(variable))

    def train_step(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Takes one step; returns the epoch's running means by name."""
        model, heads = self.model, self._heads
        domains = ("source", "first", "second") if model.num_identities else ("first", "second")
        features, tapes = zip(
            *(self._features(batch[f"{name}_images"], name == "source") for name in domains),
            strict=True,
        )
        with tf.GradientTape() as tape:
            tape.watch(features)
            losses = []
            if model.num_identities:
                head = model.neck, model.classifier
                found, _ = model.identity_losses(
                    features[0], batch["source_labels"], head, model.label_smoothing
                )
                losses = [found]
            labels = tf.tile(batch["target_labels"], [2])
            found, normalized = self.target_losses(tf.concat(features[-2:], axis=0), labels)
            losses.append(found)
            terms = [sum(each) for each in zip(*losses, strict=True)]
            if self.proxies:
                terms.append(self._between_cameras(normalized, batch))
            total = gradient_order.summed(terms)
            scaled = total / replicas.count()
        of_features, of_heads = tape.gradient(scaled, (features, heads))
        encoder = model.encoder_i.trainable_variables
        passes = [
            tape.gradient(output, encoder, output_gradients=gradient)
            for tape, output, gradient in zip(tapes, features, of_features, strict=True)
        ]
        # One tape over all three passes would add up in an order that varies: see `gradient_order`.
        of_encoder = [gradient_order.summed(each) for each in zip(*passes, strict=True)]
        model.descend(self.optimizer, of_encoder + of_heads, self.learnt)
        self.memory.follow(normalized, replicas.gather(labels))
        logged = model.logged(total, *terms[:2])
        if self.proxies:
            self._between.update_state(terms[2])
            logged["cameras"] = self._between.result()
        return logged

    @property
    def learnt(self) -> list[keras.Variable]:
        """What a step changes by gradients: E_I, then the heads."""
        return [*self.model.encoder_i.trainable_variables, *self._heads]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [*self.model.metrics, self._between]

    def target_losses(
        self, features: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        """Returns what the clusters cost, as `StrongModel.identity_losses` returns it.

        Args:
            features: one replica's of both cameras, float [B, D].
            labels: their clusters, int [B].
        """
        return self.model.identity_losses(features, labels, (self.neck, self.memory), 0.0)

    def _between_cameras(self, normalized: tf.Tensor, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the loss between cameras, of all replicas' pictures behind the normalisation."""
        cameras = tf.concat([batch["first_cameras"], batch["second_cameras"]], axis=0)
        directions = tf.math.l2_normalize(normalized, axis=1)
        return inter_camera.WEIGHT * inter_camera.loss(
            tf.matmul(directions, self.proxies.directions, transpose_b=True),
            replicas.gather(tf.tile(batch["target_labels"], [2])),
            replicas.gather(cameras),
            self.proxies,
        )

    @property
    def _heads(self) -> list[keras.Variable]:
        layers = [self.neck]
        if self.model.num_identities:
            layers = [self.model.neck, self.model.classifier, *layers]
        return [variable for layer in layers for variable in layer.trainable_variables]

    def _new_neck(self) -> keras.layers.Layer:
        return neck(self.model.embedding_dim, _TARGET)

    def _features(self, images: tf.Tensor, update: bool) -> tuple[tf.Tensor, tf.GradientTape]:
        """Returns features by the statistics of their batch, and the tape that recorded them."""
        with tf.GradientTape() as tape:
            return pooled(self.model.batch_maps(images, update=update)), tape
