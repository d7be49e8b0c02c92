"""Random changes to training pictures, on whole batches, as a function of a seed alone."""

import tensorflow as tf

# Random erasing: the share of a picture and the height over the width of what is erased.
_LEAST_ERASED, _MOST_ERASED, _LEAST_RATIO = 0.02, 0.4, 0.3
# What padding and erasing fill with.
_GREY = 127.5
# Of red, green and blue, ITU-R BT.601.
_LUMA = [0.299, 0.587, 0.114]


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
    mirrored = tf.random.stateless_uniform([batch, 1], seeds[1]) < 0.5
    grey = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
    images = tf.pad(images, grey, constant_values=_GREY)
    corners = tf.random.stateless_uniform([batch, 2], seeds[2], 0, 2 * padding + 1, tf.int32)
    wide = width + 2 * padding
    rows = corners[:, :1] + tf.range(height)
    columns = corners[:, 1:] + tf.range(width)
    columns = tf.where(mirrored, wide - 1 - columns, columns)
    # In one go: each reading and writing of a whole batch takes milliseconds.
    pixels = rows[:, :, None] * wide + columns[:, None]
    return tf.gather(tf.reshape(images, [batch, -1, 3]), pixels, axis=1, batch_dims=1)


def _recolour(images: tf.Tensor, seed: tf.Tensor, jitter: float) -> tf.Tensor:
    """Changes brightness, then contrast about the mean luma, then saturation.

    Together that is one affine map of each picture's colours.
    """
    batch = tf.shape(images)[0]
    factors = tf.random.stateless_uniform([3, batch, 1, 1], seed, 1 - jitter, 1 + jitter)
    brightness, contrast, saturation = tf.unstack(factors)
    luma = tf.constant(_LUMA)[:, None]
    colours = tf.reshape(images, [batch, -1, 3])
    mean = brightness * tf.matmul(tf.reduce_mean(colours, axis=1, keepdims=True), luma)
    mix = saturation * tf.eye(3) + (1 - saturation) * luma
    colours = tf.matmul(colours, brightness * contrast * mix) + (1 - contrast) * mean
    return tf.reshape(tf.clip_by_value(colours, 0.0, 255.0), tf.shape(images))


def erase(images: tf.Tensor, seed: tf.Tensor, probability: float = 0.5) -> tf.Tensor:
    """Makes a rectangle of some pictures grey (Zhong et al., "Random Erasing", AAAI 2020).

    A network that has to do without parts of a picture learns it less by heart.

    Args:
        images: float32 [B, height, width, 3], 0..255.
        seed: int [2]; equal seeds, equal changes.
        probability: that a picture loses anything. A rectangle has 2 to 40% of it, and is .3 to 3.3
            times as high as wide; where that is higher or wider than the picture, as much as it.

    Returns:
        float32 [B, height, width, 3], 0..255.
    """
    batch, height, width = tf.unstack(tf.shape(images)[:3])
    draws = tf.random.stateless_uniform([5, batch, 1], seed)
    drawn, area, ratio, top, left = tf.unstack(draws)
    pixels = tf.cast(height * width, tf.float32)
    area = pixels * (_LEAST_ERASED + (_MOST_ERASED - _LEAST_ERASED) * area)
    ratio = _LEAST_RATIO ** (1 - 2 * ratio)
    rows = _between(height, tf.sqrt(area * ratio), top) & (drawn < probability)
    columns = _between(width, tf.sqrt(area / ratio), left)
    return tf.where((rows[:, :, None] & columns[:, None])[..., None], _GREY, images)


def _between(length: tf.Tensor, size: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """Returns which of so many pixels in a row lie inside, bool [B, length].

    Args:
        length: of the row.
        size: float [B, 1], of what is inside.
        place: float [B, 1], where of 0 to 1 it lies.
    """
    length = tf.cast(length, tf.float32)
    size = tf.minimum(tf.round(size), length)
    begin = tf.floor(place * (length - size + 1))
    at = tf.range(length)
    return (at >= begin) & (at < begin + size)
