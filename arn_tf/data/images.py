"""The one decoding and resizing of the product; training, evaluation and export call it."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from arn_tf.data import orientation
from datasets.files.pictures import MAX_BYTES, MAX_PIXELS

JPEG_MAGIC = b"\xff\xd8\xff"
# With the header of the chunk that must come first: libpng would pass over another before it, and
# the guard would read that one's bytes as width and height.
PNG_MAGIC = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def decode(encoded: tf.Tensor | bytes, image_size: tuple[int, int]) -> tf.Tensor:
    """Decodes and resizes one picture.

    Args:
        encoded: scalar string, JPEG or PNG.
        image_size: (height, width) in pixels.

    Returns:
        uint8 [height, width, 3]: upright, as the EXIF orientation says; resized bilinearly,
        antialiased where it shrinks, and rounded.
    """
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image = orientation.upright(image, encoded)
    # Resizing to its own size changes no bit, and takes three times as long as decoding a crop.
    image = tf.cond(
        tf.reduce_all(tf.equal(tf.shape(image)[:2], image_size)),
        lambda: image,
        lambda: _resized(image, image_size),
    )
    return tf.ensure_shape(image, [*image_size, 3])


def _resized(image: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    resized = tf.image.resize(image, image_size, antialias=True)
    return tf.saturate_cast(tf.round(resized), tf.uint8)


def guarded(encoded: tf.Tensor | bytes) -> tf.Tensor:
    """Returns an encoded picture, if `decode` may be given it; every guard is an op.

    Args:
        encoded: scalar string, any bytes.

    Raises:
        InvalidArgumentError: it is no JPEG or PNG, or has more than `MAX_BYTES` or `MAX_PIXELS`.
    """
    encoded = _short(tf.convert_to_tensor(encoded))
    is_jpeg = tf.equal(tf.strings.substr(encoded, 0, len(JPEG_MAGIC)), JPEG_MAGIC)
    # Width and height are at byte 16.
    is_png = tf.logical_and(
        tf.equal(tf.strings.substr(encoded, 0, len(PNG_MAGIC)), PNG_MAGIC),
        tf.strings.length(encoded) >= 24,
    )
    known = tf.debugging.Assert(
        tf.logical_or(is_jpeg, is_png), ["a picture is neither JPEG nor PNG, or cut off"]
    )
    with tf.control_dependencies([known]):
        encoded = tf.identity(encoded)
    size = tf.cond(
        is_jpeg,
        lambda: tf.image.extract_jpeg_shape(encoded)[:2],
        lambda: tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.int32, little_endian=False),
    )
    pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    small = tf.debugging.Assert(
        tf.logical_and(pixels > 0, pixels <= MAX_PIXELS),
        [f"a picture must have 1 to {MAX_PIXELS} pixels (crop the person); it has", pixels],
    )
    with tf.control_dependencies([small]):
        return tf.identity(encoded)


def _short(encoded: tf.Tensor) -> tf.Tensor:
    size = tf.strings.length(encoded)
    check = tf.debugging.Assert(
        size <= MAX_BYTES, [f"a picture must have at most {MAX_BYTES} bytes; it has", size]
    )
    with tf.control_dependencies([check]):
        return tf.identity(encoded)


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
