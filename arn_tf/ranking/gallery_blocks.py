"""A gallery that comes in blocks: each checked, the same when read again, and cut into tiles."""

import dataclasses
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from arn_tf.ranking import arguments
from arn_tf.ranking.arguments import JUNK

# Part of a gallery: real [B, D], integers [B] and [B], as the arguments of `rank_gallery`.
Block = tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """A block without its junk.

    Attributes:
        start: number of pictures before it, without junk.
        units: float [B, D] of unit length.
        person: int64 [B].
        camera: int64 [B].
        junk: pictures that were dropped.
        checksum: of all persons and cameras of the block.
    """

    start: int
    units: np.ndarray
    person: np.ndarray
    camera: np.ndarray
    junk: int
    checksum: int


def checked(gallery: Iterable[Block], query: np.ndarray) -> Iterator[Part]:
    """Yields the blocks of a gallery.

    Args:
        gallery: its blocks.
        query: float [Q, D], which the gallery will be compared with.

    Raises:
        ValueError: a block has a wrong shape, type or value, or another width than the queries;
            its number and the argument are named.
    """
    start = 0
    for number, given in enumerate(gallery):
        try:
            part = _part(given, query, start)
        except ValueError as error:
            raise ValueError(f"gallery: block {number}: {error}") from error
        yield part
        start += len(part.units)


def _part(given: Any, query: np.ndarray, start: int) -> Part:
    if not isinstance(given, tuple) or len(given) != 3:
        raise ValueError("must be a tuple of embeddings, person_id and camera_id")
    embeddings = arguments.embeddings("embeddings", given[0])
    person = arguments.ids("person_id", given[1], embeddings, JUNK)
    camera = arguments.ids("camera_id", given[2], embeddings)
    width, dtype = query.shape[1], query.dtype
    if embeddings.shape[1] != width:
        raise ValueError(
            f"embeddings have {embeddings.shape[1]} numbers each, the query's {width}: they are "
            "not of one model"
        )
    if np.result_type(embeddings, np.float32).itemsize > dtype.itemsize:
        raise ValueError(f"embeddings are {embeddings.dtype}, the queries {dtype}: give both alike")
    keep = person != JUNK
    units = arguments.unit_rows("embeddings", embeddings, dtype.type, keep)
    checksum = zlib.crc32(camera.tobytes(), zlib.crc32(person.tobytes()))
    junk = int(np.count_nonzero(~keep))
    return Part(start, units, person[keep], camera[keep], junk, checksum)


def again(parts: Iterable[Part], checksums: Sequence[int]) -> Iterator[Part]:
    """Yields parts as they come.

    Raises:
        ValueError: they are not those of an earlier reading, which had these checksums.
    """
    number = -1
    for number, part in enumerate(parts):
        if number >= len(checksums) or part.checksum != checksums[number]:
            raise ValueError(f"gallery: block {number} had other pictures when it was read before")
        yield part
    if number + 1 != len(checksums):
        raise ValueError(f"gallery: of {len(checksums)} blocks only {number + 1} came again")


def tiles(parts: Iterable[Part], columns: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields the pictures of parts in tiles of one size, the last of which may be smaller.

    Args:
        parts: of any sizes.
        columns: pictures in a tile.

    Yields:
        the number of pictures before the tile, their units [C, D] and persons [C].
    """
    start = count = 0
    units: list[np.ndarray] = []
    person: list[np.ndarray] = []
    for part in parts:
        units.append(part.units)
        person.append(part.person)
        count += len(part.person)
        if count < columns:
            continue
        joined, joined_person = np.concatenate(units), np.concatenate(person)
        whole = count // columns * columns
        for first in range(0, whole, columns):
            tile = slice(first, first + columns)
            yield start + first, joined[tile], joined_person[tile]
        start, count = start + whole, count - whole
        units, person = [joined[whole:].copy()], [joined_person[whole:].copy()]
    if count:
        yield start, np.concatenate(units), np.concatenate(person)
