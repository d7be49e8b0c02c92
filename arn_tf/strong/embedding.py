"""Embeds pictures with a `StrongModel`, in the ways that its tables compare."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from arn_tf.layers.normalization import TARGET
from arn_tf.strong import row_pictures
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


def embed_target(
    model: StrongModel,
    pictures: np.ndarray,
    camera_id: np.ndarray,
    known: Mapping[int, np.ndarray] | None = None,
) -> np.ndarray:
    """Embeds by camera the pictures that a model's statistics come from: see `embed_by_camera`.

    Those of which `camera_statistics.estimate_in_place` has embeddings take no time; without them
    they are computed as it does, and are the same to the last bit.

    Args:
        model: `StrongModel`.
        pictures: uint8 [N, height, width, 3], of the target's training split.
        camera_id: int [N]; below 0 is unknown.
        known: what `estimate_in_place` returned.
    """
    rows = model.table.rows_of(camera_id)
    found = np.empty((len(pictures), model.embedding_dim), np.float32)
    for row in np.unique(rows).tolist():
        own = np.flatnonzero(rows == row)
        if row != TARGET:
            used = own[row_pictures.spread(len(own))]
            if known is None:
                features = row_pictures.both_views(model, pictures, used, row)
                found[used] = row_pictures.embeddings(model, features, row)
            else:
                found[used] = known[row]
            own = np.setdiff1d(own, used, assume_unique=True)
        for start in range(0, len(own), _BATCH):
            some = own[start : start + _BATCH]
            found[some] = model.traced.embeddings(pictures[some], rows[some])
    return found


def _batched(
    pictures: np.ndarray, function: Callable[..., tf.Tensor], *more: np.ndarray
) -> np.ndarray:
    parts = [
        function(*(tf.constant(each[start : start + _BATCH]) for each in (pictures, *more))).numpy()
        for start in range(0, len(pictures), _BATCH)
    ]
    return np.concatenate(parts)
