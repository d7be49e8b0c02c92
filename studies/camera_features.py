"""Pooled features of pictures by each camera's statistics of the layers, and what they score."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from arn_tf.data.split import Split
from arn_tf.layers.normalization import SOURCE, TARGET
from arn_tf.ranking import protocol
from arn_tf.strong.camera_statistics import Moments
from arn_tf.strong.model import StrongModel

LAYERS = ("running", "target", "camera")
# Training pictures of each camera whose features are computed, evenly spread ones.
MOST = 300
_BATCH = 64
_LEAST_DEVIATION = 1e-3

# {"train_running": float32 [2, N, D], ..., "train_camera_id": int64 [N], ...}, see `features`.
Found = Mapping[str, np.ndarray]
SCORED = ("query", "gallery")


def features(model: StrongModel, split: Split, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Returns features of pictures and of their mirror images by each of `LAYERS`, [2, N, D].

    Args:
        model: `StrongModel` that is calibrated on the cameras.
        split: of the pictures.
        pictures: uint8 [N, height, width, 3].
    """
    rows_of = {
        "running": np.full(len(pictures), SOURCE, np.int32),
        "target": np.full(len(pictures), TARGET, np.int32),
        "camera": model.table.rows_of(split.camera_id),
    }
    found = {
        layers: of_both_views(model.traced.camera_features, pictures, rows)
        for layers, rows in rows_of.items()
    }
    return found | {"person_id": split.person_id, "camera_id": split.camera_id}


def of_both_views(
    compiled: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], pictures: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Returns features of pictures and of their mirror images, float32 [2, N, D].

    Args:
        compiled: `StrongModel.camera_features`.
        pictures: uint8 [N, height, width, 3].
        rows: of the model's table, int [N].
    """
    parts = [
        [
            compiled(tf.constant(view[at : at + _BATCH]), tf.constant(rows[at : at + _BATCH]))
            for at in range(0, len(view), _BATCH)
        ]
        for view in (pictures, pictures[:, :, ::-1])
    ]
    return np.stack([np.concatenate(views) for views in parts])


def spread(camera_id: np.ndarray) -> np.ndarray:
    """Returns rows of up to `MOST` pictures of each camera, int [rows], evenly spread."""
    of_camera = [np.flatnonzero(camera_id == camera) for camera in np.unique(camera_id)]
    places = [np.linspace(0, len(own) - 1, min(len(own), MOST)).astype(int) for own in of_camera]
    return np.sort(np.concatenate([own[at] for own, at in zip(of_camera, places, strict=True)]))


def moments(vectors: np.ndarray) -> Moments:
    """Returns mean and variance of features, float64 [D] each, over views and pictures."""
    vectors = vectors.astype(np.float64).reshape(-1, vectors.shape[-1])
    return vectors.mean(axis=0), vectors.var(axis=0)


def precision(
    found: Found, layers: str, of_camera: Mapping[int, Moments], views: int = 2
) -> tuple[np.ndarray, float]:
    """Returns each query's average precision and rank-1, with standardised embeddings.

    Args:
        found: features of query and gallery.
        layers: of `LAYERS`.
        of_camera: {camera_id: mean and variance} of the embedding.
        views: 2 with mirror images, 1 without.
    """
    embeddings = []
    whole = moments(found[f"train_{layers}"])
    for name in ("query", "gallery"):
        camera_id, total = found[f"{name}_camera_id"], 0
        for vectors in found[f"{name}_{layers}"][:views].astype(np.float64):
            standard = np.empty_like(vectors)
            for camera in np.unique(camera_id):
                # A camera without training pictures takes the whole target's.
                mean, variance = of_camera.get(camera, whole)
                deviation = np.maximum(np.sqrt(variance), _LEAST_DEVIATION)
                standard[camera_id == camera] = (vectors[camera_id == camera] - mean) / deviation
            total = total + standard / np.linalg.norm(standard, axis=1, keepdims=True)
        embeddings.append(total)
    labels = [found[f"{name}_{key}"] for key in ("person_id", "camera_id") for name in SCORED]
    result = protocol.rank_gallery(*embeddings, *labels)
    return result.average_precision, result.rank(1)
