"""Estimates the table of a `StrongModel` from unlabelled pictures: no training, no labels.

The batch statistics of every layer of E_I, taken over the pictures of one camera, make the network
see that camera as it saw the source (Li et al., "Revisiting Batch Normalization for Practical
Domain Adaptation", 2016, per camera).

How: the pictures pass in batches of up to 128, each layer normalised by the batch it sees, as in
training. A row's mean and variance are the means of those of its batches, weighted by their size:
the variance is that within a batch, without that of the batches' means, which are alike: with it
the embeddings keep a cosine of .9999 to these.

Of a network that nothing trained here, each camera has the mean of the embedding alone: see
`estimate`.

A camera's row is then shrunk toward the target's: few pictures tell little of a camera, and nothing
of the persons that it will see (James and Stein, 1961). See `shrunk`.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from arn_tf.backbones import keras_applications
from arn_tf.layers.normalization import SOURCE, TARGET, UNKNOWN_CAMERA
from arn_tf.strong.model import StrongModel
from arn_tf.strong.settings import FEW_PICTURES, PRIOR_PICTURES

# More tell no more, and take longer.
MOST_PICTURES = 1024
_BATCH = 128
# Variances of a dead channel would blow it up.
_LEAST_DEVIATION = 1e-3
# Mean and variance, float [D] each.
Moments = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one camera; as text, half a sentence.

    Attributes:
        pictures: number of its pictures.
        used: number that its statistics come from, evenly spread ones of many.
        known: whether the model had statistics of it before.
        name: of the camera.
    """

    pictures: int
    used: int
    known: bool
    name: str = ""

    def __str__(self) -> str:
        done, prior = (
            ("refreshed", "those that it had")
            if self.known
            else ("added", "those of the whole target")
        )
        text = f"{done} from {self.used} picture{'s' * (self.used != 1)}"
        if self.used >= FEW_PICTURES:
            return text
        rest = 1 - own_share(self.used)
        return (
            f"{text}, fewer than {FEW_PICTURES}: its statistics are shrunk, {rest:.0%} of them "
            f"are {prior}"
        )


def estimate(
    model: StrongModel,
    pictures: np.ndarray,
    camera_id: np.ndarray,
    names: Mapping[int, str] | None = None,
    layers: bool = True,
) -> tuple[StrongModel, dict[int, Outcome]]:
    """Gives a model rows for the target and for each camera, shrunk toward the target's.

    Args:
        model: `StrongModel`; it is left as it is.
        pictures: uint8 [N, height, width, 3], of the target's training split.
        camera_id: int [N].
        names: {camera_id: name} of cameras whose names are no numbers.
        layers: whether rows have statistics of the layers, and each channel's deviation in the
            embedding; False: layers keep those that the network runs by, and the embedding's mean
            alone is the camera's. That was better where nothing trained the network here
            (docs/results.md#calibration).

    Returns:
        a `StrongModel` with the same weights and a new table, and {camera_id: `Outcome`} of every
        camera but `UNKNOWN_CAMERA`.

    Raises:
        ValueError: no pictures.
    """
    found = _counted(camera_id)
    # What the model had is forgotten, names too.
    names = {camera: (names or {}).get(camera, str(camera)) for camera in found}
    adapted = with_cameras(model, list(found), names)
    estimate_again(adapted, pictures, camera_id, layers)
    return adapted, _outcomes(found, names, [])


def estimate_again(
    model: StrongModel, pictures: np.ndarray, camera_id: np.ndarray, layers: bool = True
) -> None:
    """Gives a model that was trained on new rows for the target and for its cameras, in place.

    Arguments and error are those of `estimate`; the pictures' cameras are those that the model has.
    """
    if not len(pictures):
        raise ValueError("there are no pictures to estimate statistics from")
    # The source's embeddings stay as they are by its running statistics.
    model.table.set_moments(SOURCE, *model.running_statistics())
    cameras = _of_cameras(model, pictures, camera_id, [])
    _fill(model, {TARGET: _Pictures(pictures)} | cameras, layers)


def refresh(
    model: StrongModel,
    pictures: np.ndarray,
    camera_id: np.ndarray,
    names: Mapping[int, str] | None = None,
) -> tuple[StrongModel, dict[int, Outcome]]:
    """Adds the cameras of some pictures to a model's table, or estimates them anew.

    Arguments and results are those of `estimate`, and rows have statistics of the layers where it
    gave them. The row of the whole target stays; a camera that the model knows is shrunk toward
    what it had, so that few pictures change little of it.
    """
    layers = _has_layers(model)
    found = _counted(camera_id)
    adapted = with_cameras(model, sorted({*model.cameras, *found}), names)
    _fill(adapted, _of_cameras(adapted, pictures, camera_id, model.cameras), layers)
    return adapted, _outcomes(found, adapted.camera_names, model.cameras)


def _has_layers(model: StrongModel) -> bool:
    """Whether rows have statistics of the layers: those of the target aren't the source's."""
    source, target = (model.table.row_moments(row) for row in (SOURCE, TARGET))
    return not all(map(np.array_equal, source, target))


def _counted(camera_id: np.ndarray) -> dict[int, int]:
    """Returns {camera_id: number of its pictures} of all cameras that are known, in order."""
    camera_id = np.asarray(camera_id)
    cameras, counts = np.unique(camera_id[camera_id != UNKNOWN_CAMERA], return_counts=True)
    return dict(zip(cameras.tolist(), counts.tolist(), strict=True))


def _outcomes(
    counts: Mapping[int, int], names: Mapping[int, str], known: Collection[int]
) -> dict[int, Outcome]:
    return {
        camera: Outcome(count, min(count, MOST_PICTURES), camera in known, names[camera])
        for camera, count in counts.items()
    }


def _of_cameras(
    model: StrongModel, pictures: np.ndarray, camera_id: np.ndarray, known: Collection[int]
) -> dict[int, "_Pictures"]:
    """Returns what each camera's row is made from; a known one is shrunk toward what it was."""
    found = {}
    for camera in _counted(camera_id):
        [row] = model.table.rows_of([camera]).tolist()
        prior = row if camera in known else TARGET
        found[row] = _Pictures(pictures[np.asarray(camera_id) == camera], prior)
    return found


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


@dataclasses.dataclass(frozen=True)
class _Pictures:
    """Pictures that a row is made from, and the row that it is shrunk toward; None: it isn't."""

    pictures: np.ndarray
    prior: int | None = None


def own_share(pictures: int) -> float:
    """Returns the share of a camera's statistics that comes from so many pictures of its own."""
    return pictures / (pictures + PRIOR_PICTURES)


def shrunk(own: Moments, prior: Moments, share: float) -> Moments:
    """Returns the moments of a mixture: few pictures of a camera's own, among others.

    With w their share,

        mean = w m + (1 - w) m0
        variance = w v + (1 - w) v0 + w (1 - w) (m - m0)^2

    which for w = n / (n + n0) is the posterior of a normal distribution whose conjugate prior
    counts for n0 pictures (Murphy, "Conjugate Bayesian analysis of the Gaussian distribution",
    2007, section 3).

    Args:
        own: mean and variance of the pictures, float [D] each.
        prior: of the others, likewise.
        share: from 0, the others', to 1, their own.
    """
    shift = own[0] - prior[0]
    mean = prior[0] + share * shift
    variance = share * own[1] + (1 - share) * (prior[1] + share * shift**2)
    return mean, variance


def _fill(model: StrongModel, pictures_of_row: Mapping[int, _Pictures], layers: bool) -> None:
    """Sets rows from their pictures: moments of every layer first, then those of the embedding.

    Rows that others are shrunk toward come before them.
    """
    batches_of_row = {row: _batches(own.pictures) for row, own in pictures_of_row.items()}
    count_all = sum(map(len, batches_of_row.values()))
    progress = keras.utils.Progbar((1 + layers) * count_all, unit_name="batch")
    for row, batches in batches_of_row.items():
        count, prior = sum(map(len, batches)), pictures_of_row[row].prior
        if layers:
            shares = [len(batch) / count for batch in batches]
            totals = np.zeros((2, model.table.channels))
            for share, batch in zip(shares, batches, strict=True):
                found = model.traced.moments(tf.constant(batch))
                totals += share * np.stack([value.numpy() for value in found])
                progress.add(1)
            mean, variance = totals
            if prior is not None:
                share = own_share(count)
                mean, variance = shrunk((mean, variance), model.table.row_moments(prior), share)
            model.table.set_moments(row, mean, variance)
        else:
            model.table.set_moments(row, *model.running_statistics())
        views = []
        for batch in batches:
            own = tf.fill([len(batch)], row)
            for view in (batch, batch[:, :, ::-1]):
                views.append(model.traced.camera_features(tf.constant(view), own).numpy())
            progress.add(1)
        vectors = np.concatenate(views).astype(np.float64)
        mean, variance = vectors.mean(axis=0), vectors.var(axis=0)
        if prior is not None:
            other, deviation = model.table.embedding_statistics(prior)
            share = own_share(count)
            mean, variance = shrunk((mean, variance), (other, deviation**2), share)
        if not layers:
            # One for all channels: cosines are those of embeddings less their camera's mean.
            variance = np.full_like(variance, variance.mean())
        deviation = np.maximum(np.sqrt(variance), _LEAST_DEVIATION)
        model.table.set_embedding_statistics(row, mean, deviation)


def spread(count: int) -> np.ndarray:
    """Returns rows of evenly spread pictures, all or `MOST_PICTURES` of `count`; int [<= count]."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_PICTURES)).astype(int))


def _batches(pictures: np.ndarray) -> list[np.ndarray]:
    """Returns evenly spread pictures, in batches of nearly equal size."""
    rows = spread(len(pictures))
    return np.array_split(pictures[rows], -(-len(rows) // _BATCH))
