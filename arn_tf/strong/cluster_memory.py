"""A memory of clusters: unit vectors that follow the pictures, in place of a trained classifier.

Dai et al., "Cluster Contrast for Unsupervised Person Re-Identification" (ACCV 2022): cross-entropy
over cosines to one vector of each cluster, which after a step moves to the cluster's pictures. A
classifier has to learn as many rows anew in every round as there are clusters, in as many steps as
show each picture once; a memory begins with what the clusters are.

There the vectors move picture by picture, so that the order of a batch decides where they end; here
to the mean of the batch's pictures, the same on any number of replicas.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from arn_tf.layers import replicas

TEMPERATURE, MOMENTUM = 0.05, 0.1


class ClusterMemory(keras.layers.Layer):
    """Logits of clusters, float [B, D] -> [B, K]: cosines over the temperature.

    Args:
        centroids: see `begin`.

    Attributes:
        directions: of the clusters, float32 [K, D], of unit length; no weight of the layer's.
    """

    def __init__(self, centroids: np.ndarray, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.directions = replicas.resizable(np.zeros_like(centroids, np.float32))
        self.begin(centroids)
        self.built = True

    def begin(self, centroids: np.ndarray) -> None:
        """Forgets the clusters for others.

        Args:
            centroids: float [K, D], mean embedding of each cluster, of any length above zero.
        """
        self.directions.assign(tf.math.l2_normalize(tf.cast(centroids, tf.float32), axis=1))

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Returns cosines of features, of any length above zero, over the temperature."""
        units = tf.math.l2_normalize(features, axis=1)
        return tf.matmul(units, self.directions, transpose_b=True) / TEMPERATURE

    def follow(self, features: tf.Tensor, labels: tf.Tensor) -> None:
        """Moves each cluster of a batch to the mean direction of its pictures.

        Args:
            features: of all replicas' pictures, float [B, D].
            labels: their clusters, int [B].
        """
        clusters = tf.shape(self.directions)[0]
        units = tf.math.l2_normalize(features, axis=1)
        means = tf.math.l2_normalize(tf.math.unsorted_segment_sum(units, labels, clusters), axis=1)
        # Of a cluster that the batch doesn't show the mean is 0, and its direction stays.
        moved = MOMENTUM * self.directions + (1 - MOMENTUM) * means
        self.directions.assign(tf.math.l2_normalize(moved, axis=1))
