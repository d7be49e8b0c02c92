"""What the cameras of a target make different for a run, in words."""

from collections.abc import Mapping

import numpy as np

from arn_tf.layers.normalization import UNKNOWN_CAMERA
from arn_tf.strong.settings import FEW_PICTURES


def notes(camera_id: np.ndarray, names: Mapping[int, str] | None = None) -> list[str]:
    """Returns sentences about what the cameras of a target make different.

    Args:
        camera_id: int [N] of the training pictures; -1 unknown.
        names: {camera_id: name} of cameras whose names are no numbers.
    """
    names = names or {}
    known = camera_id[camera_id != UNKNOWN_CAMERA]
    cameras, counts = np.unique(known, return_counts=True)
    if not len(cameras):
        return [
            "no picture of the target has a camera: all use the statistics of the whole "
            "target, and clusters may come from one camera"
        ]
    found = []
    if len(known) < len(camera_id):
        found.append(
            f"{len(camera_id) - len(known)} pictures of the target have no camera and use "
            "the statistics of the whole target"
        )
    few = [
        f"{names.get(camera, camera)} ({count})"
        for camera, count in zip(cameras.tolist(), counts.tolist(), strict=True)
        if count < FEW_PICTURES
    ]
    if few:
        found.append(
            f"cameras with fewer than {FEW_PICTURES} pictures, whose statistics are shrunk toward "
            f"those of the whole target: {', '.join(few)}"
        )
    if len(cameras) == 1:
        only = names.get(int(cameras[0]), cameras[0])
        found.append(
            f"the target has one camera, {only}: clusters can't be held to two, and what tells "
            "cameras apart can't be learnt"
        )
    return found
