"""Unlabelled pictures of cameras from a folder, for calibration."""

import concurrent.futures
import glob
import os
import re

import numpy as np
import tensorflow as tf

from arn_tf.data.images import decode
from arn_tf.errors import ArgumentError, UserError
from arn_tf.strong import camera_statistics

_LARGEST_NUMBER = np.iinfo(np.int64).max


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
        pattern = re.compile(camera_pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ArgumentError("camera_pattern", camera_pattern, str(error)) from error
    if pattern.groups != 1:
        raise ArgumentError("camera_pattern", camera_pattern, "needs one group, as in '_c(\\d+)'")
    if not os.path.isdir(folder):
        raise ArgumentError("images", folder, "not a folder")
    paths = sorted(
        path
        for path in glob.glob(os.path.join(glob.escape(folder), "**"), recursive=True)
        if path.lower().endswith((".jpg", ".jpeg", ".png")) and os.path.isfile(path)
    )
    if not paths:
        raise ArgumentError("images", folder, "no .jpg or .png file there")
    cameras = np.array([_camera(path, pattern) for path in paths], np.int64)
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


def _camera(path: str, pattern: re.Pattern[str]) -> int:
    found = pattern.search(os.path.basename(path))
    number = found[1] if found else None
    # A group that took no part in the match is None.
    if not (number and number.isdecimal() and int(number) <= _LARGEST_NUMBER):
        raise UserError(
            f"{path}: camera_pattern={pattern.pattern} finds no camera's number in that name",
            ["camera_pattern"],
        )
    return int(number)
