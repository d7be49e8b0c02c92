"""Teaches a model of the strong recipe new cameras, from unlabelled pictures, without training.

    python -m arn_tf.calibrate --model_dir=runs/strong --images=crops/ --camera_pattern='_c(\\d+)'

A camera that the model knows is refreshed, another is added; `--drop_cameras=3,7` forgets some. Of
everything else in the model nothing changes.
"""

import concurrent.futures
import glob
import os
import re

import numpy as np
import tensorflow as tf
from absl import flags

from arn_tf.data.images import decode
from arn_tf.errors import UserError
from arn_tf.run import command_line
from arn_tf.run.folder import RunDir
from arn_tf.strong import camera_statistics
from arn_tf.strong.keep_stage import ORACLE

_MODEL = "model.keras"
_LARGEST_NUMBER = np.iinfo(np.int64).max


def calibrate(run, images, camera_pattern, drop_cameras=()):
    """Drops, refreshes and adds cameras of a finished run's model, and saves it.

    Args:
        run: `RunDir` of a run of the strong recipe.
        images: folder of unlabelled pictures; empty if there is only something to drop.
        camera_pattern: see `read_crops`.
        drop_cameras: numbers, as strings.

    Returns:
        the model, and {camera_id: `camera_statistics.Outcome`} of the pictures' cameras.

    Raises:
        UserError: nothing to do, another kind of run or one in use, a camera to drop that isn't
            there, pictures that can't be read, or a model that can't be saved.
    """
    settings = run.settings()
    if settings.preset != "strong":
        raise UserError(f"--model_dir={run.path}: only runs of --preset=strong have cameras")
    if not (images or drop_cameras):
        raise UserError("say what to do: --images=FOLDER or --drop_cameras=NUMBERS")
    tf.config.experimental.enable_tensor_float_32_execution(False)
    with run.claimed_for(settings):
        model = _without(run.load_model(_MODEL), drop_cameras)
        outcomes = {}
        if images:
            crops = read_crops(os.path.expanduser(images), camera_pattern, model.input_size)
            model, outcomes = camera_statistics.refresh(model, *crops)
        if drop_cameras or any(outcome.estimated for outcome in outcomes.values()):
            run.save_model(model, _MODEL)
    return model, outcomes


def read_crops(folder, camera_pattern, image_size):
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
        raise UserError(f"--camera_pattern={camera_pattern}: {error}") from error
    if pattern.groups != 1:
        raise UserError(f"--camera_pattern={camera_pattern}: needs one group, as in '_c(\\d+)'")
    if not os.path.isdir(folder):
        raise UserError(f"--images={folder}: not a folder")
    paths = sorted(
        path
        for path in glob.glob(os.path.join(glob.escape(folder), "**"), recursive=True)
        if path.lower().endswith((".jpg", ".jpeg", ".png")) and os.path.isfile(path)
    )
    if not paths:
        raise UserError(f"--images={folder}: no .jpg or .png file there")
    cameras = np.array([_camera(path, pattern) for path in paths], np.int64)
    of_camera = [np.flatnonzero(cameras == camera) for camera in np.unique(cameras)]
    rows = np.sort(np.concatenate([all[camera_statistics.spread(len(all))] for all in of_camera]))

    def read(path):
        try:
            with open(path, "rb") as file:
                return decode(tf.constant(file.read()), image_size).numpy()
        except (OSError, tf.errors.OpError) as error:
            raise UserError(f"{path}: can't be read as a picture") from error

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        pictures = np.stack(list(threads.map(read, [paths[row] for row in rows])))
    return pictures, cameras[rows]


def _camera(path, pattern):
    found = pattern.search(os.path.basename(path))
    number = found[1] if found else None
    # A group that took no part in the match is None.
    if not (number and number.isdecimal() and int(number) <= _LARGEST_NUMBER):
        raise UserError(
            f"{path}: --camera_pattern={pattern.pattern} finds no camera's number in that name"
        )
    return int(number)


def _without(model, numbers):
    dropped = []
    for number in numbers:
        if not number.isdecimal() or int(number) not in model.cameras:
            raise UserError(
                f"--drop_cameras={number}: the model knows {model.cameras or 'no camera'}"
            )
        dropped.append(int(number))
    kept = [camera for camera in model.cameras if camera not in dropped]
    return camera_statistics.with_cameras(model, kept) if dropped else model


def main():
    run = RunDir(os.path.expanduser(flags.FLAGS.model_dir))
    model, outcomes = calibrate(
        run, flags.FLAGS.images, flags.FLAGS.camera_pattern, flags.FLAGS.drop_cameras
    )
    if run.settings().keep_best == "labelled":
        print(ORACLE)
    for camera, outcome in outcomes.items():
        print(f"camera {camera}: {outcome}")
    print(f"cameras with statistics of their own: {', '.join(map(str, model.cameras)) or 'none'}")


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", "", "folder of a run of arn_tf.train --preset=strong")
    flags.DEFINE_string("images", "", "folder of unlabelled pictures of the cameras")
    flags.DEFINE_string("camera_pattern", r"_c(\d+)", "finds the camera's number in a file's name")
    flags.DEFINE_list("drop_cameras", [], "numbers of cameras to forget, separated by commas")
    command_line.run(main)
