"""Decodes the pictures of many files, chunk by chunk: one is decoded while the next is read."""

import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from arn_tf.data.images import decode
from arn_tf.data.picture_files import HASH_BYTES, PictureFiles, UnreadableError, content_hash
from arn_tf.errors import UserError

# Pictures that are read at once.
CHUNK = 1024


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Decoded pictures.

    Attributes:
        rows: int64 [N], of the files that were tried.
        pictures: uint8 [M, height, width, 3], of the good ones, in order.
        hashes: uint8 [M, `HASH_BYTES`], of the bytes that they were decoded from.
        bad: {row, as text: what is wrong} of the others.
        unread: rows of those of them that could not even be read.
    """

    rows: np.ndarray
    pictures: np.ndarray
    hashes: np.ndarray
    bad: dict[str, str]
    unread: list[int]


# Encoded pictures, object [N], and their hashes; None where one of them can't be read.
_Read = tuple[np.ndarray, np.ndarray] | None


def chunks(files: PictureFiles, image_size: tuple[int, int], start: int = 0) -> Iterator[Chunk]:
    """Decodes and resizes pictures, in order.

    Args:
        files: N encoded pictures.
        image_size: (height, width) in pixels.
        start: row to begin with.

    Raises:
        UserError: the pictures' drive went away.
    """
    decode_rows = _decoder(image_size)
    parts = [
        np.arange(first, min(first + CHUNK, len(files)))
        for first in range(start, len(files), CHUNK)
    ]
    # One, which reads with many threads itself.
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(_read, files, parts[0]) if parts else None
        for number, rows in enumerate(parts):
            read = ahead.result() if ahead else None
            last = number + 1 == len(parts)
            ahead = None if last else reader.submit(_read, files, parts[number + 1])
            yield decode_rows(files, rows, read)


def _read(files: PictureFiles, rows: np.ndarray) -> _Read:
    try:
        encoded = files[rows]
    except UserError:  # which one is found out one by one
        return None
    return encoded, _as_array([content_hash(data) for data in encoded])


def _as_array(hashes: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, HASH_BYTES)


def _decoder(
    image_size: tuple[int, int],
) -> Callable[[PictureFiles, np.ndarray, _Read], Chunk]:
    one = tf.function(
        lambda encoded: decode(encoded, image_size),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    several = tf.function(
        lambda encoded: tf.map_fn(
            one, encoded, fn_output_signature=tf.uint8, parallel_iterations=os.cpu_count()
        ),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )

    def decode_rows(files: PictureFiles, rows: np.ndarray, read: _Read) -> Chunk:
        if read is not None:
            try:
                return Chunk(rows, several(tf.constant(read[0])).numpy(), read[1], {}, [])
            # One bad picture fails the whole chunk, and isn't named: find it.
            except tf.errors.OpError:
                pass
        good, hashes, bad, unread = [], [], {}, []
        for row in rows.tolist():
            try:
                data = files[row]
                good.append(one(tf.constant(data)).numpy())
                hashes.append(content_hash(data))
            except UnreadableError as error:
                if files.is_gone(row):
                    raise UserError(
                        f"{error}: its folder went away. Check the disk or network drive, and give "
                        "the same command again; it goes on there"
                    ) from error
                bad[str(row)] = str(error)
                unread.append(row)
            except UserError as error:
                bad[str(row)] = str(error)
            except tf.errors.OpError:
                bad[str(row)] = f"{files.path(row)}: can't be decoded"
        pictures = np.array(good, np.uint8).reshape(-1, *image_size, 3)
        return Chunk(rows, pictures, _as_array(hashes), bad, unread)

    return decode_rows
