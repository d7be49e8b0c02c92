"""Unlabelled pictures of cameras from a folder, for calibration."""

import concurrent.futures
import glob
import os

import numpy as np
import tensorflow as tf

from arn_tf.data.images import decode
from arn_tf.errors import ArgumentError, UserError
from arn_tf.layers.normalization import UNKNOWN_CAMERA
from arn_tf.strong import camera_statistics
from datasets import camera_names


def read_crops(
    folder: str, camera_pattern: str, image_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Reads pictures of a folder and the folders below it.

    Of a camera that has more, `camera_statistics.MOST_PICTURES`, evenly spread, are read.

    Args:
        folder: of JPEG and PNG files.
        camera_pattern: regular expression, its one group the number of the camera in a file's name.
        image_size: (height, width) in pixels.

    Returns:
        pictures, uint8 [N, height, width, 3], and camera_id, int64 [N].

    Raises:
        UserError: no pictures, one that can't be read, or a name without a camera.
    """
    try:
        pattern = camera_names.compile_pattern(camera_pattern)
    except ValueError as error:
        raise ArgumentError("camera_pattern", camera_pattern, str(error)) from error
    if not os.path.isdir(folder):
        raise ArgumentError("images", folder, "not a folder")
    paths = sorted(
        path
        for path in glob.glob(os.path.join(glob.escape(folder), "**"), recursive=True)
        if path.lower().endswith((".jpg", ".jpeg", ".png")) and os.path.isfile(path)
    )
    if not paths:
        raise ArgumentError("images", folder, "no .jpg or .png file there")
    cameras = np.array(camera_names.numbers_of(paths, pattern), np.int64)
    if (cameras == UNKNOWN_CAMERA).any():
        first = paths[int(np.argmax(cameras == UNKNOWN_CAMERA))]
        raise UserError(
            f"{first}: camera_pattern={camera_pattern} finds no camera's number in that name",
            ["camera_pattern"],
        )
    of_camera = [np.flatnonzero(cameras == camera) for camera in np.unique(cameras)]
    rows = np.sort(np.concatenate([all[camera_statistics.spread(len(all))] for all in of_camera]))

    def read(path: str) -> np.ndarray:
        try:
            with open(path, "rb") as file:
                return decode(tf.constant(file.read()), image_size).numpy()
        except (OSError, tf.errors.OpError) as error:
            raise UserError(f"{path}: can't be read as a picture") from error

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        pictures = np.stack(list(threads.map(read, [paths[row] for row in rows])))
    return pictures, cameras[rows]
