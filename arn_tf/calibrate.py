"""Teaches a model of the strong recipe new cameras, from unlabelled pictures, without training.

    python -m arn_tf.calibrate --model_dir=runs/strong --images=crops/ --camera_pattern='_c(\\d+)'

A camera that the model knows is refreshed, another is added; `--drop_cameras=3,7` forgets some.
"""

import glob
import os
import re

import numpy as np
import tensorflow as tf
from absl import flags

from arn_tf import camera_statistics, cli, strong_train
from arn_tf.errors import UserError
from arn_tf.input_pipeline import decode
from arn_tf.run_dir import RunDir
from arn_tf.strong_model import StrongModel


def read_crops(folder, camera_pattern, image_size):
    """Reads the pictures of a folder and the folders below it.

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
    except re.error as error:
        raise UserError(f"--camera_pattern={camera_pattern}: {error}") from error
    if pattern.groups != 1:
        raise UserError(f"--camera_pattern={camera_pattern}: needs one group, as in '_c(\\d+)'")
    paths = sorted(
        path
        for path in glob.glob(os.path.join(glob.escape(folder), "**"), recursive=True)
        if path.lower().endswith((".jpg", ".jpeg", ".png"))
    )
    if not paths:
        raise UserError(f"--images={folder}: no .jpg or .png file there")
    pictures, cameras = [], []
    for path in paths:
        found = pattern.search(os.path.basename(path))
        if not found or not found[1].isdecimal():
            raise UserError(f"{path}: no camera's number in its name by --camera_pattern")
        try:
            pictures.append(decode(tf.io.read_file(path), image_size).numpy())
        except tf.errors.OpError as error:
            raise UserError(f"{path}: can't be read as a picture") from error
        cameras.append(int(found[1]))
    return np.stack(pictures), np.array(cameras, np.int64)


def main():
    run = RunDir(os.path.expanduser(flags.FLAGS.model_dir))
    if run.settings().preset != "strong":
        raise UserError(f"--model_dir={run.path}: only runs of --preset=strong have cameras")
    model = run.load_model(strong_train.RESULT)
    if not (flags.FLAGS.images or flags.FLAGS.drop_cameras):
        raise UserError("say what to do: --images=FOLDER or --drop_cameras=NUMBERS")
    model = _without(model, flags.FLAGS.drop_cameras)
    if flags.FLAGS.images:
        folder = os.path.expanduser(flags.FLAGS.images)
        crops = read_crops(folder, flags.FLAGS.camera_pattern, model.input_size)
        model, few = camera_statistics.refresh(model, *crops)
        for camera, count in few.items():
            print(
                f"camera {camera}: {count} pictures are fewer than "
                f"{camera_statistics.LEAST_PICTURES}; it keeps what it has, or uses the statistics "
                "of the whole target"
            )
    run.save_model(model, strong_train.RESULT)
    print(f"cameras with statistics of their own: {', '.join(map(str, model.cameras)) or 'none'}")


def _without(model: StrongModel, numbers):
    dropped = []
    for number in numbers:
        if not number.isdecimal() or int(number) not in model.cameras:
            raise UserError(
                f"--drop_cameras={number}: the model knows {model.cameras or 'no camera'}"
            )
        dropped.append(int(number))
    kept = [camera for camera in model.cameras if camera not in dropped]
    return camera_statistics.with_cameras(model, kept) if dropped else model


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", "", "folder of a run of arn_tf.train --preset=strong")
    flags.DEFINE_string("images", "", "folder of unlabelled pictures of the cameras")
    flags.DEFINE_string("camera_pattern", r"_c(\d+)", "finds the camera's number in a file's name")
    flags.DEFINE_list("drop_cameras", [], "numbers of cameras to forget, separated by commas")
    cli.run(main)
