"""The EXIF orientation inside a TensorFlow graph: it says what `datasets.files.orientation` says.

As ops, so that an export honours it too, whoever runs it. Whatever the bytes are, no op here fails:
each position is held inside them, and each walk is bounded.
"""

from collections.abc import Callable

import tensorflow as tf

from datasets.files.orientation import (
    ALONE,
    APP1,
    CHUNK,
    JPEG_START,
    LAST,
    MOST_STEPS,
    PNG_START,
    PREFIX,
    SHORT,
    TAG,
    UPRIGHT,
)

# \C is any byte, where a dot would be a letter of UTF-8.
_ANY_EXIF = r"\C*(Exif\x00\x00|eXIf)\C*"
_ENTRY = 12  # bytes of an entry of EXIF data
# Zeros after the data, as many as are read at once.
_MOST_AT_ONCE = 12


def upright(image: tf.Tensor, encoded: tf.Tensor | bytes) -> tf.Tensor:
    """Turns a decoded picture as its EXIF orientation says.

    Args:
        image: [height, width, C], the pixels as they are stored.
        encoded: scalar string that they were decoded from.

    Returns:
        the same, or turned or mirrored: [height, width, C] or [width, height, C].
    """
    encoded = tf.convert_to_tensor(encoded)  # bytes would be traced anew for each picture
    # One search for what nearly no crop has; the rest is never run for those without.
    return tf.cond(
        tf.strings.regex_full_match(encoded, _ANY_EXIF),
        lambda: _as_said(image, encoded),
        lambda: image,
    )


# One op to those that don't take it: inlined, each of its hundreds would be passed over one by one.
@tf.function(reduce_retracing=True, experimental_attributes={"_noinline": True})
def _as_said(image: tf.Tensor, encoded: tf.Tensor) -> tf.Tensor:
    return turned(image, orientation(encoded))


def turned(image: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Returns an image [height, width, C] as an orientation, int64 scalar of 1 to 8, asks for."""

    def swapped() -> tf.Tensor:
        return tf.transpose(image, [1, 0, 2])

    return tf.switch_case(
        tf.cast(value - 1, tf.int32),
        [
            lambda: image,
            lambda: tf.reverse(image, [1]),
            lambda: tf.reverse(image, [0, 1]),
            lambda: tf.reverse(image, [0]),
            swapped,
            lambda: tf.reverse(swapped(), [1]),
            lambda: tf.reverse(swapped(), [0, 1]),
            lambda: tf.reverse(swapped(), [0]),
        ],
    )


def orientation(encoded: tf.Tensor | bytes) -> tf.Tensor:
    """Returns the EXIF orientation of a JPEG or PNG, int64 scalar of 1 to 8.

    Args:
        encoded: scalar string, any bytes.
    """
    data = tf.io.decode_raw(encoded, tf.uint8)
    length = tf.size(data, tf.int64)
    data = tf.concat([data, tf.zeros(_MOST_AT_ONCE, tf.uint8)], 0)
    start, end = tf.cond(
        tf.equal(tf.strings.substr(encoded, 0, len(JPEG_START)), JPEG_START),
        lambda: _in_jpeg(data, length),
        lambda: _in_png(data, length),
    )
    return _of_exif(data, start, tf.minimum(end, length))


def _of_exif(data: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """Returns the orientation in the EXIF data between two positions."""
    start += len(PREFIX) * tf.cast(_equal(data, start, PREFIX), tf.int64)
    little = _equal(data, start, b"II*\0")

    def number(numbers: tf.Tensor) -> tf.Tensor:
        """[..., size] bytes to one number."""
        places = 256 ** tf.range(numbers.shape[-1], dtype=tf.int64)
        return tf.reduce_sum(numbers * tf.where(little, places, places[::-1]), -1)

    first = start + number(_bytes(data, start + 4, 4)) + 2
    sound = (little | _equal(data, start, b"MM\0*")) & (end - start >= 8) & (first <= end)
    count = tf.minimum(number(_bytes(data, first - 2, 2)), (end - first) // _ENTRY)
    zero = tf.zeros((), tf.int64)
    count, first = tf.where(sound, count, zero), tf.where(sound, first, zero)
    entries = tf.slice(data, [first], [count * _ENTRY])
    # One more, of zeros: the first of none is an error.
    entries = tf.concat([entries, tf.zeros(_ENTRY, tf.uint8)], 0)
    entries = tf.cast(tf.reshape(entries, [-1, _ENTRY]), tf.int64)
    found = entries[tf.argmax(tf.cast(number(entries[:, :2]) == TAG, tf.int32))]
    value = number(found[8:10])
    sound = (number(found[:2]) == TAG) & (number(found[2:4]) == SHORT) & (number(found[4:8]) == 1)
    return tf.where(sound & (value >= 1) & (value <= 8), value, tf.cast(UPRIGHT, tf.int64))


def _in_jpeg(data: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns where the first block of EXIF data among a JPEG's segments begins and ends."""

    def step(at: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, ...]:
        head = _bytes(data, at, 4)
        mark, kind, size = head[0], head[1], head[2] * 256 + head[3]
        stray = (mark != 0xFF) | (kind == 0xFF)
        alone = ~stray & tf.reduce_any(kind == tf.constant(ALONE, tf.int64))
        last = ~stray & tf.reduce_any(kind == tf.constant(LAST, tf.int64))
        here = ~stray & (kind == APP1) & _equal(data, at + 4, PREFIX)
        start, end = tf.where(here, at + 4, start), tf.where(here, at + 2 + size, end)
        further = 2 + tf.where(alone, tf.zeros((), tf.int64), tf.maximum(size, 2))
        further = tf.where(stray, tf.ones((), tf.int64), further)
        return tf.where(here | last, length, at + further), start, end

    return _walk(step, len(JPEG_START), lambda at, *_: at + 4 <= length)


def _in_png(data: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns where what the first eXIf chunk of a PNG holds begins and ends."""

    def step(at: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, ...]:
        size = tf.reduce_sum(_bytes(data, at, 4) * [1 << 24, 1 << 16, 1 << 8, 1])
        here = _equal(data, at + 4, CHUNK)
        start, end = tf.where(here, at + 8, start), tf.where(here, at + 8 + size, end)
        return tf.where(here, length, at + 12 + size), start, end

    return _walk(step, PNG_START, lambda at, *_: at + 8 <= length)


def _walk(
    step: Callable[..., tuple[tf.Tensor, ...]], at: int, more: Callable[..., tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the start and end that a walk through a file comes upon, both 0 if it doesn't."""
    nowhere = tf.zeros((), tf.int64)
    _, start, end = tf.while_loop(
        more,
        step,
        (tf.constant(at, tf.int64), nowhere, nowhere),
        maximum_iterations=MOST_STEPS,
        parallel_iterations=1,
    )
    return start, end


def _bytes(data: tf.Tensor, at: tf.Tensor, size: int) -> tf.Tensor:
    """Returns `size` bytes, int64 [size]; some others where `at` lies outside."""
    at = tf.minimum(at, tf.size(data, tf.int64) - size)
    return tf.ensure_shape(tf.cast(tf.slice(data, [at], [size]), tf.int64), [size])


def _equal(data: tf.Tensor, at: tf.Tensor, text: bytes) -> tf.Tensor:
    return tf.reduce_all(_bytes(data, at, len(text)) == tf.constant(list(text), tf.int64))
