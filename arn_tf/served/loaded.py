"""A published version of any format as one function of NumPy arrays, for what measures."""

import importlib
import json
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from arn_tf.errors import ArgumentError
from arn_tf.served.publish import SIDECAR
from arn_tf.served.runtime_graphs import BY_CAMERA, PLAIN

# Pictures, uint8 [N, height, width, 3], and their cameras, int64 [N], or None for the whole
# target's statistics -> embeddings, float32 [N, D].
Embed = Callable[[np.ndarray, np.ndarray | None], np.ndarray]


def load(folder: str) -> tuple[dict, Embed]:
    """Returns the sidecar of a version, and what embeds as its runtime does.

    Args:
        folder: of the version, as `publish.export` wrote it.

    Raises:
        UserError: it isn't one, or needs a package that isn't installed.
    """
    try:
        with open(os.path.join(folder, SIDECAR), encoding="utf-8") as file:
            sidecar = json.load(file)
    except (OSError, ValueError) as error:
        raise ArgumentError(
            "exports", folder, f"no version of an export ({error}); name one, as models/arn/1"
        ) from error
    # Exports of earlier versions don't say it.
    form = sidecar.get("format", "saved_model")
    return sidecar, _saved_model(folder) if form == "saved_model" else _other(folder, form, sidecar)


def _saved_model(folder: str) -> Embed:
    model = tf.saved_model.load(folder)

    def embed(images: np.ndarray, camera_id: np.ndarray | None) -> np.ndarray:
        # What the functions need lives as long as `model`.
        if camera_id is None:
            found = model.signatures[PLAIN](images=tf.constant(images))
        else:
            cameras = tf.constant(camera_id, tf.int64)
            found = model.signatures[BY_CAMERA](images=tf.constant(images), camera_id=cameras)
        return found["embedding"].numpy()

    return embed


def _other(folder: str, form: str, sidecar: dict) -> Embed:
    runtime = importlib.import_module(f"arn_tf.served.to_{form}")
    runtime.versions()
    graphs = runtime.load(folder)
    names = sidecar.get("camera_names", {})
    rows = {names[name]: row for name, row in sidecar["camera_rows"].items()}

    def embed(images: np.ndarray, camera_id: np.ndarray | None) -> np.ndarray:
        if camera_id is None:
            return graphs[PLAIN](images, None)
        # No camera has row 0: the whole target's statistics.
        camera_row = np.array([rows.get(int(camera), 0) for camera in camera_id], np.int32)
        return graphs[BY_CAMERA](images, camera_row)

    return embed
