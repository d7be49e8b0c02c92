"""Estimates the table of a `StrongModel` from unlabelled pictures: no training, no labels.

The batch statistics of every layer of E_I, taken over the pictures of one camera, make the network
see that camera as it saw the source (Li et al., "Revisiting Batch Normalization for Practical
Domain Adaptation", 2016, per camera). Measured, it is what adapts: README, "The strong recipe".
"""

import keras
import numpy as np
import tensorflow as tf

from arn_tf import tuned_backbone
from arn_tf.strong_model import SOURCE_ROW, TARGET_ROW, UNKNOWN_CAMERA, StrongModel

# A camera with fewer pictures uses the statistics of the whole target.
LEAST_PICTURES = 64
# More tell no more, and take longer.
MOST_PICTURES = 1024
_BATCH = 128
# Variances of a dead channel would blow it up.
_LEAST_DEVIATION = 1e-3


def estimate(model, pictures, camera_id, least=LEAST_PICTURES):
    """Gives a model rows for the target and for each camera that has pictures enough.

    Args:
        model: `StrongModel`; it is left as it is.
        pictures: uint8 [N, height, width, 3], of the target's training split.
        camera_id: int [N].
        least: pictures that a camera needs.

    Returns:
        a `StrongModel` with the same weights and a new table, and {camera_id: pictures} of the
        cameras that had too few.

    Raises:
        ValueError: no pictures.
    """
    if not len(pictures):
        raise ValueError("there are no pictures to estimate statistics from")
    adapted = with_cameras(model, [])
    _fill_source(adapted)
    _fill(adapted, TARGET_ROW, pictures)
    return refresh(adapted, pictures, camera_id, least)


def refresh(model, pictures, camera_id, least=LEAST_PICTURES):
    """Adds the cameras of some pictures to a model's table, or estimates them anew.

    Arguments and results are those of `estimate`; the row of the whole target stays, and a camera
    that has too few pictures keeps what it had.
    """
    known = np.asarray(camera_id)[np.asarray(camera_id) != UNKNOWN_CAMERA]
    cameras, counts = np.unique(known, return_counts=True)
    few = {int(c): int(n) for c, n in zip(cameras, counts, strict=True) if n < least}
    enough = [int(camera) for camera in cameras if int(camera) not in few]
    adapted = with_cameras(model, sorted({*model.cameras, *enough}))
    for camera in enough:
        _fill(adapted, adapted.rows_of([camera])[0], pictures[camera_id == camera])
    return adapted, few


def with_cameras(model, cameras):
    """The same model with a table for other cameras; rows that stay keep their statistics."""
    config = model.get_config() | {"cameras": list(cameras)}
    other = StrongModel.from_config(config)
    tables = {id(variable) for variable in other.table.values()}
    old = {id(variable) for variable in model.table.values()}
    for new, value in zip(
        [v for v in other.weights if id(v) not in tables],
        [v for v in model.weights if id(v) not in old],
        strict=True,
    ):
        new.assign(value)
    kept = [camera for camera in cameras if camera in model.cameras]
    for key, variable in other.table.items():
        values = variable.numpy()
        values[:2] = model.table[key].numpy()[:2]
        values[other.rows_of(kept)] = model.table[key].numpy()[model.rows_of(kept)]
        variable.assign(values)
    return other


def _fill_source(model):
    """Sets the source's row to the running statistics; its embeddings stay as they are."""
    layers = [
        layer
        for layer in model.encoder_i.layers
        if isinstance(layer, tuned_backbone.CameraBatchNormalization)
    ]
    _assign(
        model, SOURCE_ROW,
        mean=np.concatenate([layer.moving_mean.numpy() for layer in layers]),
        variance=np.concatenate([layer.moving_variance.numpy() for layer in layers]),
    )  # fmt: skip


def _fill(model, row, pictures):
    """Sets one row from pictures: moments of every layer first, then those of the embedding."""
    rows = np.unique(
        np.linspace(0, len(pictures) - 1, min(len(pictures), MOST_PICTURES)).astype(int)
    )
    pictures = pictures[rows]
    batches = np.array_split(pictures, -(-len(pictures) // _BATCH))
    progress = keras.utils.Progbar(2 * len(batches), unit_name="batch")
    totals = np.zeros((2, model.channels))
    for batch in batches:
        moments = _moments(model, tf.constant(batch))
        totals += len(batch) / len(pictures) * np.stack([value.numpy() for value in moments])
        progress.add(1)
    _assign(model, row, mean=totals[0], variance=totals[1])
    vectors = []
    for batch in batches:
        own = tf.fill([len(batch)], row)
        for view in (batch, batch[:, :, ::-1]):
            vectors.append(model.features_by(tf.constant(view), own).numpy())
        progress.add(1)
    vectors = np.concatenate(vectors).astype(np.float64)
    _assign(
        model, row, embedding_mean=vectors.mean(axis=0),
        embedding_deviation=np.maximum(vectors.std(axis=0), _LEAST_DEVIATION),
    )  # fmt: skip


def _moments(model, batch):
    """Mean and variance of every layer over a batch, float [all channels] each."""
    with tuned_backbone.normalized_by(tuned_backbone.BatchMoments(update=False)) as moments:
        model.features(batch)
    return tf.concat(moments.means, axis=0), tf.concat(moments.variances, axis=0)


def _assign(model, row, **values):
    for key, value in values.items():
        variable = model.table[key]
        changed = variable.numpy()
        changed[row] = value
        variable.assign(changed)
