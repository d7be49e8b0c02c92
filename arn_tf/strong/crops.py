"""Unlabelled pictures of cameras from a folder, for calibration."""

import concurrent.futures
import os

import numpy as np
import tensorflow as tf

from arn_tf.data.images import decode, guarded
from arn_tf.errors import ArgumentError, UserError
from arn_tf.layers.normalization import UNKNOWN_CAMERA
from arn_tf.strong import row_pictures
from datasets import camera_names
from datasets.files import pictures, walk
from datasets.files.printable import printable
from datasets.own_cameras import listing


def read_crops(
    images: str, camera_pattern: str, image_size: tuple[int, int], names: str = ""
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Reads pictures of a folder and the folders below it, or of a table.

    Of a camera that has more, `row_pictures.MOST_PICTURES`, evenly spread, are read.

    Args:
        images: folder of pictures, in any format that `datasets.files.formats` knows, or a table
            of them, CSV. What was passed over or left out, or guessed, is printed.
        camera_pattern: regular expression, its one group the camera in a file's name.
        image_size: (height, width) in pixels.
        names: without `camera_pattern`, template of the paths; a guess if it is empty.

    Returns:
        pictures, uint8 [N, height, width, 3]; camera_id, int64 [N]; and {camera_id: name} of the
        cameras.

    Raises:
        UserError: no pictures, a folder or picture that can't be read, one without a camera, or
            two names of cameras that stand for one number.
    """
    if camera_pattern and names:
        raise UserError(
            "names and camera_pattern both say where the camera is told: give one of them",
            ["names", "camera_pattern"],
        )
    told = _by_pattern(images, camera_pattern) if camera_pattern else _by_listing(images, names)
    try:
        known = camera_names.named(dict.fromkeys(told.values()))
    except ValueError as error:
        raise ArgumentError("images", images, str(error)) from error
    paths = list(told)
    numbers = {name: number for number, name in known.items()}
    cameras = np.array([numbers[name] for name in told.values()], np.int64)
    of_camera = [np.flatnonzero(cameras == camera) for camera in np.unique(cameras)]
    rows = np.sort(np.concatenate([all[row_pictures.spread(len(all))] for all in of_camera]))

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        chosen = [paths[row] for row in rows]
        crops = np.empty((len(chosen), *image_size, 3), np.uint8)
        for row, crop in enumerate(threads.map(lambda path: _read(path, image_size), chosen)):
            crops[row] = crop
    return crops, cameras[rows], known


def _by_pattern(folder: str, camera_pattern: str) -> dict[str, str]:
    """Returns {path: camera} of a folder's pictures, by their names."""
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
    if not found.files:
        raise ArgumentError("images", folder, "; ".join(["no pictures there", *found.notes()]))
    for note in found.notes():
        print(note, flush=True)
    told = {}
    for path in found.files:
        camera = camera_names.name_of(path, pattern)
        if camera_names.number_of(camera) == UNKNOWN_CAMERA:
            raise UserError(
                f"{path}: camera_pattern={camera_pattern} finds no camera in that name",
                ["camera_pattern"],
            )
        told[path] = str(camera)
    return told


def _by_listing(images: str, names: str) -> dict[str, str]:
    """Returns {path: camera} of the pictures of a folder or table."""
    try:
        found = listing.read(images, names)
    except listing.ListingError as error:
        problem = str(error).removeprefix(f"{os.path.abspath(images)}: ")
        raise UserError(f"images={images}: {problem}", ["images", "names"]) from error
    for line in [f"{found.told_by}", *found.examples(), *found.notes]:
        print(printable(line), flush=True)
    unknown = np.flatnonzero(found.camera.codes == listing.UNKNOWN)
    if len(unknown):
        raise UserError(
            f"{found.path(int(unknown[0]))}: its camera is not told. Say what the paths mean with "
            "names, such as names={camera}/{*}, or with camera_pattern",
            ["names", "camera_pattern"],
        )
    return {
        found.path(row): found.camera.names[code]
        for row, code in enumerate(found.camera.codes.tolist())
    }


def _read(path: str, image_size: tuple[int, int]) -> np.ndarray:
    """Returns a picture of a file, uint8 [height, width, 3]."""
    try:
        data = pictures.from_file(path)
        return decode(guarded(data), image_size).numpy()
    except (OSError, pictures.PictureError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path}: can't be read as a picture: {why}") from error
    except tf.errors.OpError as error:
        raise UserError(f"{path}: can't be read as a picture: cut off or damaged") from error
