"""The one decoding and resizing of the product; training, evaluation and export call it."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf


def decode(encoded: tf.Tensor | bytes, image_size: tuple[int, int]) -> tf.Tensor:
    """Decodes and resizes one picture.

    Args:
        encoded: scalar string, JPEG or PNG.
        image_size: (height, width) in pixels.

    Returns:
        uint8 [height, width, 3]: bilinear, antialiased where it shrinks, rounded.
    """
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image = tf.image.resize(image, image_size, antialias=True)
    image = tf.saturate_cast(tf.round(image), tf.uint8)
    return tf.ensure_shape(image, [*image_size, 3])


def decode_rows(
    images: tf.Tensor, rows: tf.Tensor, flips: tf.Tensor, image_size: tuple[int, int]
) -> tf.Tensor:
    """Decodes pictures by row.

    Args:
        images: string [N], all encoded pictures.
        rows: int64 [B].
        flips: uint8 [B], 1 mirrors the picture.
        image_size: (height, width) in pixels.

    Returns:
        uint8 [B, height, width, 3]; see `decode`.
    """

    def one(arguments: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        encoded, flip = arguments
        image = decode(encoded, image_size)
        return tf.cond(flip > 0, lambda: tf.reverse(image, axis=[1]), lambda: image)

    return tf.map_fn(one, (tf.gather(images, rows), flips), fn_output_signature=tf.uint8)


def decoded_batches(
    images: np.ndarray, image_size: tuple[int, int], batch_size: int
) -> Iterator[tf.Tensor]:
    """Yields all pictures in order, decoded in parallel and ahead of their use.

    Args:
        images: encoded pictures, object [N].
        image_size: (height, width) in pixels.
        batch_size: pictures in a batch.

    Yields:
        uint8 [<=batch_size, height, width, 3]; see `decode`.
    """
    with tf.device("CPU"):
        dataset = tf.data.Dataset.from_tensor_slices(tf.constant(images))
    dataset = dataset.map(lambda encoded: decode(encoded, image_size), tf.data.AUTOTUNE)
    yield from dataset.batch(batch_size).prefetch(2)
