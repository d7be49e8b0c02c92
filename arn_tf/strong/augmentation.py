"""Random changes to training pictures, on whole batches, as a function of a seed alone."""

import tensorflow as tf


def augment(images: tf.Tensor, seed: tf.Tensor, padding: int = 8, jitter: float = 0.2) -> tf.Tensor:
    """Mirrors, shifts and recolours each picture by its own draw.

    Args:
        images: uint8 [B, height, width, 3].
        seed: int [2]; equal seeds, equal changes.
        padding: pixels by which a picture may move in each direction, grey coming in.
        jitter: largest relative change of brightness, contrast and saturation.

    Returns:
        float32 [B, height, width, 3], 0..255.
    """
    batch, height, width = tf.unstack(tf.shape(images)[:3])
    seeds = tf.random.split(seed, 3)
    images = _recolour(tf.cast(images, tf.float32), seeds[0], jitter)
    mirrored = tf.random.stateless_uniform([batch, 1, 1, 1], seeds[1]) < 0.5
    images = tf.where(mirrored, images[:, :, ::-1], images)
    grey = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
    images = tf.pad(images, grey, constant_values=127.5)
    corners = tf.random.stateless_uniform([batch, 2], seeds[2], 0, 2 * padding + 1, tf.int32)
    rows = corners[:, :1] + tf.range(height)
    columns = corners[:, 1:] + tf.range(width)
    images = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(
        images, columns[:, None, :] + tf.zeros_like(rows)[:, :, None], axis=2, batch_dims=2
    )


def _recolour(images: tf.Tensor, seed: tf.Tensor, jitter: float) -> tf.Tensor:
    factors = tf.random.stateless_uniform(
        [3, tf.shape(images)[0], 1, 1, 1], seed, 1 - jitter, 1 + jitter
    )
    images = images * factors[0]
    mean = tf.reduce_mean(_luma(images), axis=[1, 2], keepdims=True)
    images = mean + factors[1] * (images - mean)
    grey = _luma(images)
    images = grey + factors[2] * (images - grey)
    return tf.clip_by_value(images, 0.0, 255.0)


def _luma(images: tf.Tensor) -> tf.Tensor:
    """Returns the luma (ITU-R BT.601), float [B, height, width, 1]."""
    return tf.reduce_sum(images * [0.299, 0.587, 0.114], axis=-1, keepdims=True)
