"""Losses of both stages: label-smoothed cross-entropy and the batch-hard triplet loss."""

import tensorflow as tf

from arn_tf.layers import gradient_order


def smoothed_classification(
    logits: tf.Tensor, labels: tf.Tensor, smoothing: float = 0.1
) -> tf.Tensor:
    """Returns the mean of `smoothed_costs`, a scalar."""
    return tf.reduce_mean(smoothed_costs(logits, labels, smoothing))


def smoothed_costs(logits: tf.Tensor, labels: tf.Tensor, smoothing: float = 0.1) -> tf.Tensor:
    """Returns each cross-entropy with smoothed targets (Szegedy et al., CVPR 2016, section 7).

    Args:
        logits: float [N, K].
        labels: int [N].
        smoothing: share of the target that is spread evenly over all K identities.

    Returns:
        float [N].
    """
    log_probabilities = tf.nn.log_softmax(logits)
    right = tf.gather(log_probabilities, labels, axis=1, batch_dims=1)
    even = tf.reduce_mean(log_probabilities, axis=1)
    return -((1 - smoothing) * right + smoothing * even)


def batch_hard_triplet(features: tf.Tensor, labels: tf.Tensor, margin: float = 0.3) -> tf.Tensor:
    """Returns the mean of max(0, margin + d(farthest of the same) - d(nearest other)).

    Hermans, Beyer and Leibe, "In Defense of the Triplet Loss", 2017, equation 5; Euclidean
    distances. A picture without another of its identity has itself, at distance 0; a batch of a
    single identity has no triplets and costs nothing.

    Args:
        features: float [N, D].
        labels: int [N].
        margin: in units of the distance.

    Returns:
        scalar.
    """
    features, of_norms = gradient_order.copies(features, 2)
    norms = tf.reduce_sum(tf.square(of_norms), axis=1)
    squares = norms[:, None] + norms[None] - 2 * tf.matmul(features, features, transpose_b=True)
    # By subtraction a picture is as far from itself as rounding takes it.
    squares = tf.linalg.set_diag(squares, tf.zeros_like(norms))
    # The root has no gradient at 0, where every picture meets itself.
    distances = tf.sqrt(tf.maximum(squares, 1e-12))
    same = labels[:, None] == labels[None]
    farthest = tf.reduce_max(tf.where(same, distances, 0.0), axis=1)
    nearest = tf.reduce_min(tf.where(same, distances.dtype.max, distances), axis=1)
    cost = tf.nn.relu(margin + farthest - nearest)
    return tf.reduce_mean(tf.where(nearest < distances.dtype.max, cost, 0.0))
