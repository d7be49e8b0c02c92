"""Estimates the table of a `StrongModel` from unlabelled pictures: no training, no labels.

The batch statistics of every layer of E_I, taken over the pictures of one camera, make the network
see that camera as it saw the source (Li et al., "Revisiting Batch Normalization for Practical
Domain Adaptation", 2016, per camera).

How: the pictures pass in batches of up to 128, each layer normalised by the batch it sees, as in
training. A row's mean and variance are the means of those of its batches, weighted by their size:
the variance is that within a batch, without that of the batches' means, which are alike: with it
the embeddings keep a cosine of .9999 to these.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from arn_tf.backbones import keras_applications
from arn_tf.layers.normalization import SOURCE, TARGET, UNKNOWN_CAMERA
from arn_tf.strong.model import StrongModel
from arn_tf.strong.settings import LEAST_PICTURES

# More tell no more, and take longer.
MOST_PICTURES = 1024
_BATCH = 128
# Variances of a dead channel would blow it up.
_LEAST_DEVIATION = 1e-3


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one camera; as text, half a sentence.

    Attributes:
        pictures: number of its pictures.
        least: number that it needs.
        used: number that its statistics come from, evenly spread ones of many; 0: too few.
        known: whether the model had statistics of it before.
        name: of the camera.
    """

    pictures: int
    least: int
    used: int
    known: bool
    name: str = ""

    @property
    def estimated(self) -> bool:
        """Whether its statistics were computed from its pictures."""
        return self.used > 0

    def __str__(self) -> str:
        if self.estimated:
            return f"{'refreshed' if self.known else 'added'} from {self.used} pictures"
        rest = "keeps what it has" if self.known else "uses the statistics of the whole target"
        return f"{self.pictures} pictures are fewer than {self.least}, so it {rest}"


def estimate(
    model: StrongModel,
    pictures: np.ndarray,
    camera_id: np.ndarray,
    least: int = LEAST_PICTURES,
    names: Mapping[int, str] | None = None,
) -> tuple[StrongModel, dict[int, Outcome]]:
    """Gives a model rows for the target and for each camera that has pictures enough.

    Args:
        model: `StrongModel`; it is left as it is.
        pictures: uint8 [N, height, width, 3], of the target's training split.
        camera_id: int [N].
        least: pictures that a camera needs.
        names: {camera_id: name} of cameras whose names are no numbers.

    Returns:
        a `StrongModel` with the same weights and a new table, and {camera_id: `Outcome`} of every
        camera but `UNKNOWN_CAMERA`.

    Raises:
        ValueError: no pictures.
    """
    if not len(pictures):
        raise ValueError("there are no pictures to estimate statistics from")
    model = with_cameras(model, [])
    return _adapted(model, pictures, camera_id, least, names or {}, whole_target=True)


def refresh(
    model: StrongModel,
    pictures: np.ndarray,
    camera_id: np.ndarray,
    least: int = LEAST_PICTURES,
    names: Mapping[int, str] | None = None,
) -> tuple[StrongModel, dict[int, Outcome]]:
    """Adds the cameras of some pictures to a model's table, or estimates them anew.

    Arguments and results are those of `estimate`; the row of the whole target stays, and a camera
    that has too few pictures keeps what it had.
    """
    return _adapted(model, pictures, camera_id, least, names or {}, whole_target=False)


def _adapted(
    model: StrongModel,
    pictures: np.ndarray,
    camera_id: np.ndarray,
    least: int,
    names: Mapping[int, str],
    whole_target: bool,
) -> tuple[StrongModel, dict[int, Outcome]]:
    camera_id = np.asarray(camera_id)
    cameras, counts = np.unique(camera_id[camera_id != UNKNOWN_CAMERA], return_counts=True)
    outcomes = {
        camera: Outcome(
            count,
            least,
            min(count, MOST_PICTURES) if count >= least else 0,
            camera in model.cameras,
            names.get(camera) or model.camera_names.get(camera, str(camera)),
        )
        for camera, count in zip(cameras.tolist(), counts.tolist(), strict=True)
    }
    enough = [camera for camera, outcome in outcomes.items() if outcome.estimated]
    adapted = with_cameras(model, sorted({*model.cameras, *enough}), names)
    own = {int(adapted.table.rows_of([c])[0]): pictures[camera_id == c] for c in enough}
    if whole_target:
        # The source's embeddings stay as they are by its running statistics.
        adapted.table.set_moments(SOURCE, *adapted.running_statistics())
        own = {TARGET: pictures} | own
    _fill(adapted, own)
    return adapted, outcomes


def with_cameras(
    model: StrongModel, cameras: Sequence[int], names: Mapping[int, str] | None = None
) -> StrongModel:
    """Returns the same model with a table for other cameras; rows that stay are copied.

    Args:
        model: `StrongModel`; it is left as it is.
        cameras: camera_id of each row of the table after the first two.
        names: {camera_id: name} of new cameras whose names are no numbers.
    """
    config = model.get_config()
    config["cameras"] = list(cameras)
    config["camera_names"] |= {str(camera): name for camera, name in (names or {}).items()}
    other = StrongModel.from_config(config)
    for new, value in zip(_without_table(other), _without_table(model), strict=True):
        new.assign(value)
    # Some layers compute with copies of their statistics.
    keras_applications.copy_weights(model.encoder_i, other.encoder_i)
    other.table.copy_from(model.table)
    return other


def _without_table(model: StrongModel) -> list[keras.Variable]:
    table = {id(variable) for variable in model.table.weights}
    return [variable for variable in model.weights if id(variable) not in table]


def _fill(model: StrongModel, pictures_of_row: Mapping[int, np.ndarray]) -> None:
    """Sets rows from their pictures: moments of every layer first, then those of the embedding."""
    batches_of_row = {row: _batches(pictures) for row, pictures in pictures_of_row.items()}
    # Traced once for all rows and batch sizes.
    images = tf.TensorSpec([None, *model.input_size, 3], tf.uint8)
    moments = tf.function(model.batch_moments, input_signature=[images])
    features = tf.function(
        model.camera_features, input_signature=[images, tf.TensorSpec([None], tf.int32)]
    )
    progress = keras.utils.Progbar(2 * sum(map(len, batches_of_row.values())), unit_name="batch")
    for row, batches in batches_of_row.items():
        shares = [len(batch) / sum(map(len, batches)) for batch in batches]
        totals = np.zeros((2, model.table.channels))
        for share, batch in zip(shares, batches, strict=True):
            totals += share * np.stack([value.numpy() for value in moments(tf.constant(batch))])
            progress.add(1)
        model.table.set_moments(row, *totals)
        vectors = []
        for batch in batches:
            own = tf.fill([len(batch)], row)
            for view in (batch, batch[:, :, ::-1]):
                vectors.append(features(tf.constant(view), own).numpy())
            progress.add(1)
        vectors = np.concatenate(vectors).astype(np.float64)
        model.table.set_embedding_statistics(
            row, vectors.mean(axis=0), np.maximum(vectors.std(axis=0), _LEAST_DEVIATION)
        )


def spread(count: int) -> np.ndarray:
    """Returns rows of evenly spread pictures, all or `MOST_PICTURES` of `count`; int [<= count]."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_PICTURES)).astype(int))


def _batches(pictures: np.ndarray) -> list[np.ndarray]:
    """Returns evenly spread pictures, in batches of nearly equal size."""
    rows = spread(len(pictures))
    return np.array_split(pictures[rows], -(-len(rows) // _BATCH))
