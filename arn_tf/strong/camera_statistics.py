"""Estimates the table of a `StrongModel` from unlabelled pictures: no training, no labels.

The batch statistics of every layer of E_I, taken over the pictures of one camera, make the network
see that camera as it saw the source (Li et al., "Revisiting Batch Normalization for Practical
Domain Adaptation", 2016, per camera). Measured, it is what adapts: README, "The strong recipe".

How: the pictures pass in batches of up to 128, each layer normalised by the batch it sees, as in
training. A row's mean and variance are the means of those of its batches, weighted by their size:
the variance is that within a batch, without that of the batches' means, which are alike (strong.md,
section 6, has the same; with it the embeddings keep a cosine of .9999 to these).
"""

import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf

from arn_tf.backbones import keras_applications
from arn_tf.strong import backbone as tuned_backbone
from arn_tf.strong.model import SOURCE_ROW, TARGET_ROW, UNKNOWN_CAMERA, StrongModel

# A camera with fewer pictures uses the statistics of the whole target.
LEAST_PICTURES = 64
# More tell no more, and take longer.
MOST_PICTURES = 1024
_BATCH = 128
# Variances of a dead channel would blow it up.
_LEAST_DEVIATION = 1e-3


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one camera; as text, half a sentence that says so.

    Attributes:
        pictures: how many there were of it.
        least: how many it needs.
        used: how many its statistics come from, evenly spread ones of many; 0: it has too few.
        known: whether the model knew it before.
    """

    pictures: int
    least: int
    used: int
    known: bool

    @property
    def estimated(self):
        return self.used > 0

    def __str__(self):
        if self.estimated:
            return f"{'refreshed' if self.known else 'added'} from {self.used} pictures"
        rest = "keeps what it has" if self.known else "uses the statistics of the whole target"
        return f"{self.pictures} pictures are fewer than {self.least}, so it {rest}"


def estimate(model, pictures, camera_id, least=LEAST_PICTURES):
    """Gives a model rows for the target and for each camera that has pictures enough.

    Args:
        model: `StrongModel`; it is left as it is.
        pictures: uint8 [N, height, width, 3], of the target's training split.
        camera_id: int [N].
        least: pictures that a camera needs.

    Returns:
        a `StrongModel` with the same weights and a new table, and {camera_id: `Outcome`} of every
        camera but `UNKNOWN_CAMERA`.

    Raises:
        ValueError: no pictures.
    """
    if not len(pictures):
        raise ValueError("there are no pictures to estimate statistics from")
    return _adapted(with_cameras(model, []), pictures, camera_id, least, whole_target=True)


def refresh(model, pictures, camera_id, least=LEAST_PICTURES):
    """Adds the cameras of some pictures to a model's table, or estimates them anew.

    Arguments and results are those of `estimate`; the row of the whole target stays, and a camera
    that has too few pictures keeps what it had.
    """
    return _adapted(model, pictures, camera_id, least, whole_target=False)


def _adapted(model, pictures, camera_id, least, whole_target):
    camera_id = np.asarray(camera_id)
    cameras, counts = np.unique(camera_id[camera_id != UNKNOWN_CAMERA], return_counts=True)
    outcomes = {
        camera: Outcome(
            count, least, min(count, MOST_PICTURES) if count >= least else 0,
            camera in model.cameras,
        )
        for camera, count in zip(cameras.tolist(), counts.tolist(), strict=True)
    }  # fmt: skip
    enough = [camera for camera, outcome in outcomes.items() if outcome.estimated]
    adapted = with_cameras(model, sorted({*model.cameras, *enough}))
    own = {int(adapted.rows_of([c])[0]): pictures[camera_id == c] for c in enough}
    if whole_target:
        _fill_source(adapted)
        own = {TARGET_ROW: pictures} | own
    _fill(adapted, own)
    return adapted, outcomes


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
    # Some layers compute with copies of their statistics.
    keras_applications.copy_weights(model.encoder_i, other.encoder_i)
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
    # In the order of the table, which branches of a network needn't follow.
    layers.sort(key=lambda layer: layer.start)
    _assign(
        model, SOURCE_ROW,
        mean=np.concatenate([layer.moving_mean.numpy() for layer in layers]),
        variance=np.concatenate([layer.moving_variance.numpy() for layer in layers]),
    )  # fmt: skip


def _fill(model, pictures_of_row):
    """Sets rows from their pictures: moments of every layer first, then those of the embedding."""
    batches_of_row = {row: _batches(pictures) for row, pictures in pictures_of_row.items()}
    # Traced once for all rows and batch sizes.
    images = tf.TensorSpec([None, *model.input_size, 3], tf.uint8)
    moments = tf.function(functools.partial(_moments, model), input_signature=[images])
    features_by = tf.function(
        model.features_by, input_signature=[images, tf.TensorSpec([None], tf.int32)]
    )
    progress = keras.utils.Progbar(2 * sum(map(len, batches_of_row.values())), unit_name="batch")
    for row, batches in batches_of_row.items():
        shares = [len(batch) / sum(map(len, batches)) for batch in batches]
        totals = np.zeros((2, model.channels))
        for share, batch in zip(shares, batches, strict=True):
            totals += share * np.stack([value.numpy() for value in moments(tf.constant(batch))])
            progress.add(1)
        _assign(model, row, mean=totals[0], variance=totals[1])
        vectors = []
        for batch in batches:
            own = tf.fill([len(batch)], row)
            for view in (batch, batch[:, :, ::-1]):
                vectors.append(features_by(tf.constant(view), own).numpy())
            progress.add(1)
        vectors = np.concatenate(vectors).astype(np.float64)
        _assign(
            model, row, embedding_mean=vectors.mean(axis=0),
            embedding_deviation=np.maximum(vectors.std(axis=0), _LEAST_DEVIATION),
        )  # fmt: skip


def spread(count):
    """Rows of evenly spread pictures, all or `MOST_PICTURES` of `count`; int [<= count]."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_PICTURES)).astype(int))


def _batches(pictures):
    """Pictures of use, in batches of nearly equal size."""
    rows = spread(len(pictures))
    return np.array_split(pictures[rows], -(-len(rows) // _BATCH))


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
