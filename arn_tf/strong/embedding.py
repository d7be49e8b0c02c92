"""Embeds pictures with a `StrongModel`, in the ways that its tables compare."""

import numpy as np
import tensorflow as tf

_BATCH = 64


def embed_plain(model, pictures):
    """By the running statistics, those of the source: float32 [N, D], of unit length.

    Args:
        model: `StrongModel`.
        pictures: uint8 [N, height, width, 3].
    """
    features = _batched(pictures, lambda batch: model.compiled_features(batch))
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def embed_by_camera(model, pictures, camera_id):
    """By each picture's camera, with its mirror image: float32 [N, D], of unit length.

    A camera that isn't calibrated takes the statistics of the whole target.
    """
    rows = model.rows_of(camera_id)
    return _batched(pictures, model.compiled_call, rows)


def source_logits(model, pictures, camera_id):
    """What the source's classifier says of pictures, by their cameras: float32 [N, identities]."""
    return _batched(pictures, model.compiled_logits, model.rows_of(camera_id))


def _batched(pictures, function, *more):
    parts = [
        function(*(tf.constant(each[start : start + _BATCH]) for each in (pictures, *more))).numpy()
        for start in range(0, len(pictures), _BATCH)
    ]
    return np.concatenate(parts)
