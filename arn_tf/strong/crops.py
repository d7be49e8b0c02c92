"""Unlabelled pictures of cameras from a folder, for calibration."""

import concurrent.futures
import os

import numpy as np
import tensorflow as tf

from arn_tf.data import datasets_package
from arn_tf.data.images import decode, guarded
from arn_tf.errors import ArgumentError, UserError
from arn_tf.layers.normalization import UNKNOWN_CAMERA
from arn_tf.strong import camera_statistics


def read_crops(
    folder: str, camera_pattern: str, image_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Reads pictures of a folder and the folders below it.

    Of a camera that has more, `camera_statistics.MOST_PICTURES`, evenly spread, are read.

    Args:
        folder: of pictures, in any format that `datasets.files.formats` knows. What was passed over
            or left out is printed.
        camera_pattern: regular expression, its one group the number of the camera in a file's name.
        image_size: (height, width) in pixels.

    Returns:
        pictures, uint8 [N, height, width, 3], and camera_id, int64 [N].

    Raises:
        UserError: no pictures, a folder or picture that can't be read, or a name without a camera.
    """
    datasets_package.check()
    from datasets import camera_names
    from datasets.files import walk

    try:
        pattern = camera_names.compile_pattern(camera_pattern)
    except ValueError as error:
        raise ArgumentError("camera_pattern", camera_pattern, str(error)) from error
    if not os.path.isdir(folder):
        raise ArgumentError("images", folder, "not a folder")
    try:
        found = walk.pictures(folder)
    except OSError as error:
        raise ArgumentError("images", folder, f"{error.filename}: {error.strerror}") from error
    paths = found.files
    if not paths:
        raise ArgumentError(
            "images", folder, "; ".join(["no .jpg, .png or other picture there", *found.notes()])
        )
    for note in found.notes():
        print(note, flush=True)
    cameras = np.array(camera_names.numbers_of(paths, pattern), np.int64)
    if (cameras == UNKNOWN_CAMERA).any():
        first = paths[int(np.argmax(cameras == UNKNOWN_CAMERA))]
        raise UserError(
            f"{first}: camera_pattern={camera_pattern} finds no camera's number in that name",
            ["camera_pattern"],
        )
    of_camera = [np.flatnonzero(cameras == camera) for camera in np.unique(cameras)]
    rows = np.sort(np.concatenate([all[camera_statistics.spread(len(all))] for all in of_camera]))

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        chosen = [paths[row] for row in rows]
        crops = np.stack(list(threads.map(lambda path: _read(path, image_size), chosen)))
    return crops, cameras[rows]


def _read(path: str, image_size: tuple[int, int]) -> np.ndarray:
    """Returns a picture of a file, uint8 [height, width, 3]."""
    from datasets.files import pictures

    try:
        with open(path, "rb") as file:
            # One byte more than may be is enough to refuse it.
            data = pictures.as_jpeg_or_png(file.read(pictures.MAX_BYTES + 1))
        pictures.size(data)
        return decode(guarded(data), image_size).numpy()
    except (OSError, pictures.PictureError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path}: can't be read as a picture: {why}") from error
    except tf.errors.OpError as error:
        raise UserError(f"{path}: can't be read as a picture: cut off or damaged") from error
