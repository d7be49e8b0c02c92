"""Embeds pictures with a `StrongModel`, in the ways that its tables compare."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from arn_tf.strong.model import StrongModel

_BATCH = 64


def embed_plain(model: StrongModel, pictures: np.ndarray) -> np.ndarray:
    """Embeds by the running statistics, those of the source: float32 [N, D], of unit length.

    Args:
        model: `StrongModel`.
        pictures: uint8 [N, height, width, 3].
    """
    features = _batched(pictures, model.traced.features)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def embed_by_camera(model: StrongModel, pictures: np.ndarray, camera_id: np.ndarray) -> np.ndarray:
    """Embeds by each picture's camera, with its mirror image: float32 [N, D], of unit length.

    A camera that isn't calibrated takes the statistics of the whole target.

    Args:
        model: `StrongModel`.
        pictures: uint8 [N, height, width, 3].
        camera_id: int [N]; below 0 is unknown.
    """
    rows = model.table.rows_of(camera_id)
    return _batched(pictures, model.traced.embeddings, rows)


def source_logits(model: StrongModel, pictures: np.ndarray, camera_id: np.ndarray) -> np.ndarray:
    """Returns the source classifier's logits of pictures by their cameras, float32 [N, K].

    Args:
        model: `StrongModel`.
        pictures: uint8 [N, height, width, 3].
        camera_id: int [N]; below 0 is unknown.
    """
    return _batched(pictures, model.traced.logits, model.table.rows_of(camera_id))


def _batched(
    pictures: np.ndarray, function: Callable[..., tf.Tensor], *more: np.ndarray
) -> np.ndarray:
    parts = [
        function(*(tf.constant(each[start : start + _BATCH]) for each in (pictures, *more))).numpy()
        for start in range(0, len(pictures), _BATCH)
    ]
    return np.concatenate(parts)
