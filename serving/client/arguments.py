"""Arguments of the clients, checked where they come in."""

import math
import os
import re
from collections.abc import Iterable, Sequence

import numpy as np

from datasets import camera_names
from serving.errors import BadInputError


def check(model: str, timeout: float, batch_size: int, in_flight: int) -> None:
    """Checks what a client is made with.

    Raises:
        BadInputError: one of them is wrong; it is named.
    """
    if not isinstance(model, str) or not model:
        raise BadInputError("give the model's name at the server", arguments={"model": model})
    if not _is_number(timeout) or not 0 < timeout < math.inf:
        raise BadInputError("give seconds above 0", arguments={"timeout": timeout})
    for name, value in (("batch_size", batch_size), ("in_flight", in_flight)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise BadInputError("give a whole number of at least 1", arguments={name: value})


def names(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Returns paths as str.

    Raises:
        BadInputError: one path instead of a list, or something that is no path.
    """
    if isinstance(paths, str | bytes | os.PathLike):
        raise BadInputError(f"give a list of paths, not the one path {paths!r}")
    try:
        return [os.fsdecode(path) for path in paths]
    except TypeError as error:
        raise BadInputError(f"paths must be a list of str or path objects: {error}") from error


def encoded(
    pictures: Iterable[bytes | bytearray | memoryview], names_: Iterable[str] | None
) -> tuple[list[bytes], list[str]]:
    """Returns two lists of equal length, pictures and their names.

    Args:
        pictures: bytes objects.
        names_: of the pictures; "image 0", ... where it is None.

    Raises:
        BadInputError: they are something else, or not as many.
    """
    if isinstance(pictures, bytes | bytearray | memoryview | str):
        raise BadInputError("give a list of bytes objects, not one")
    pictures = list(pictures)
    for row, data in enumerate(pictures):
        if not isinstance(data, bytes | bytearray | memoryview):
            raise BadInputError(f"picture {row} is a {type(data).__name__}, not bytes")
    if names_ is None:
        names_ = [f"image {row}" for row in range(len(pictures))]
    names_ = names(names_)
    if len(names_) != len(pictures):
        raise BadInputError(f"{len(names_)} names for {len(pictures)} pictures")
    return [bytes(data) for data in pictures], names_


def images(array: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Returns decoded pictures, checked.

    Args:
        array: should be uint8 [N, height, width, 3].
        image_size: (height, width) in pixels.

    Raises:
        BadInputError: another type or shape, or N is 0.
    """
    array = np.asarray(array)
    wanted = f"uint8 [N, {image_size[0]}, {image_size[1]}, 3] with N of at least 1"
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[1:] != (*image_size, 3):
        raise BadInputError(f"images are {array.dtype} {list(array.shape)}, not {wanted}")
    if not len(array):
        raise BadInputError(f"images are empty; give {wanted}")
    return array


def cameras(camera_id: Sequence[int] | np.ndarray | None, count: int) -> list[int] | None:
    """Returns the cameras' numbers, or None where none were given.

    Args:
        camera_id: should be whole numbers [count], -1 where a camera is unknown; or None.
        count: how many pictures there are.

    Raises:
        BadInputError: it is something else.
    """
    if camera_id is None:
        return None
    wanted = "give one whole number of 0 or more for each picture, -1 where it is unknown"
    try:
        found = np.asarray(camera_id)
    except ValueError as error:  # rows of several lengths
        raise BadInputError(f"camera_id: {wanted}") from error
    if found.ndim != 1 or (found.size and not np.issubdtype(found.dtype, np.integer)):
        raise BadInputError(f"camera_id is {found.dtype} {list(found.shape)}: {wanted}")
    if len(found) != count:
        raise BadInputError(f"camera_id has {len(found)} numbers for {count} pictures: {wanted}")
    for camera in found.tolist():
        if not camera_names.UNKNOWN_CAMERA <= camera <= camera_names.LARGEST_CAMERA:
            raise BadInputError(f"camera_id has {camera}: {wanted}")
    return found.tolist()


def camera_pattern(text: str) -> re.Pattern[str]:
    """Returns the compiled pattern of a camera in a file's name.

    Raises:
        BadInputError: it is no regular expression with exactly one group.
    """
    try:
        return camera_names.compile_pattern(text)
    except ValueError as error:
        raise BadInputError(str(error), arguments={"camera_pattern": text}) from error


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
