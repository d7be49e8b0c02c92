"""Calibrates a finished run's model on new cameras: unlabelled pictures, no training."""

import os
from collections.abc import Sequence

import tensorflow as tf

from arn_tf.errors import ArgumentError, UserError
from arn_tf.run.folder import RunDir
from arn_tf.strong import camera_statistics
from arn_tf.strong.crops import read_crops
from arn_tf.strong.model import StrongModel
from arn_tf.strong.train import RESULT
from datasets import camera_names


def calibrate(
    run: RunDir,
    images: str,
    camera_pattern: str,
    drop_cameras: Sequence[str] = (),
    names: str = "",
) -> tuple[StrongModel, dict[int, camera_statistics.Outcome]]:
    """Drops, refreshes and adds cameras of a finished run's model, and saves it.

    Args:
        run: folder of a run of the strong recipe.
        images: unlabelled pictures, see `read_crops`; empty if there is only something to drop.
        camera_pattern: see `read_crops`.
        drop_cameras: names of cameras.
        names: see `read_crops`.

    Returns:
        the model, and {camera_id: `camera_statistics.Outcome`} of the pictures' cameras.

    Raises:
        UserError: nothing to do, another kind of run or one in use, a camera to drop that isn't
            there, pictures that can't be read, or a model that can't be saved.
    """
    if run.settings().get("preset") != "strong":
        raise ArgumentError(
            "model_dir", run.path, "only runs of preset=strong have cameras", also=["preset"]
        )
    if not (images or drop_cameras):
        raise UserError(
            "name what to do: images=FOLDER or drop_cameras=NAMES", ["images", "drop_cameras"]
        )
    tf.config.experimental.enable_tensor_float_32_execution(False)
    with run.claimed():
        model = _without(run.load_model(RESULT), drop_cameras)
        outcomes = {}
        if images:
            *crops, known = read_crops(
                os.path.expanduser(images), camera_pattern, model.input_size, names
            )
            model, outcomes = camera_statistics.refresh(model, *crops, names=known)
        if drop_cameras or outcomes:
            run.save_model(model, RESULT)
    return model, outcomes


def _without(model: StrongModel, names: Sequence[str]) -> StrongModel:
    dropped = [camera_names.number_of(name) for name in names]
    for number, name in zip(dropped, names, strict=True):
        if number not in model.cameras:
            known = ", ".join(model.camera_names.values()) or "no camera"
            raise ArgumentError("drop_cameras", name, f"the model knows {known}")
    kept = [camera for camera in model.cameras if camera not in dropped]
    return camera_statistics.with_cameras(model, kept) if dropped else model
