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

from arn_tf.backbones import keras_applications
from arn_tf.layers.normalization import SOURCE, TARGET, UNKNOWN_CAMERA
from arn_tf.strong import row_pictures
from arn_tf.strong.model import StrongModel
from arn_tf.strong.settings import FEW_PICTURES, PRIOR_PICTURES

# Variances of a dead channel would blow it up.
_LEAST_DEVIATION = 1e-3
# Mean and variance, float [D] each.
Moments = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one camera; as text, half a sentence.

    Attributes:
        used: number of its pictures that its statistics come from, evenly spread ones of many.
        known: whether the model had statistics of it before.
        name: of the camera.
    """

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
    adapted = for_cameras(model, camera_id, names)
    estimate_in_place(adapted, pictures, camera_id, layers)
    return adapted, _outcomes(_counted(camera_id), adapted.camera_names, [])


def estimate_in_place(
    model: StrongModel, pictures: np.ndarray, camera_id: np.ndarray, layers: bool = True
) -> dict[int, np.ndarray]:
    """Fills a model's rows of the target and of its cameras, which are those of the pictures.

    Arguments and error are those of `estimate`; the model is changed.

    Returns:
        {row of a camera: embeddings of the pictures that it comes from, float32 [n, D]}, for
        `embedding.embed_target`.
    """
    if not len(pictures):
        raise ValueError("there are no pictures to estimate statistics from")
    # The source's embeddings stay as they are by its running statistics.
    model.table.set_moments(SOURCE, *model.running_statistics())
    whole = {TARGET: _Origin(row_pictures.spread(len(pictures), row_pictures.MOST_OF_TARGET))}
    return _fill(model, pictures, whole | _of_cameras(model, camera_id, []), layers)


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
    _fill(adapted, pictures, _of_cameras(adapted, camera_id, model.cameras), layers)
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
    most = row_pictures.MOST_PICTURES
    return {
        camera: Outcome(min(count, most), camera in known, names[camera])
        for camera, count in counts.items()
    }


def _of_cameras(
    model: StrongModel, camera_id: np.ndarray, known: Collection[int]
) -> dict[int, "_Origin"]:
    """Returns what each camera's row comes from; a known one is shrunk toward what it was."""
    found = {}
    for camera in _counted(camera_id):
        [row] = model.table.rows_of([camera]).tolist()
        own = np.flatnonzero(np.asarray(camera_id) == camera)
        used = own[row_pictures.spread(len(own))]
        found[row] = _Origin(used, row if camera in known else TARGET)
    return found


def for_cameras(
    model: StrongModel, camera_id: np.ndarray, names: Mapping[int, str] | None = None
) -> StrongModel:
    """Returns the same model with a table for some pictures' cameras alone, to be estimated.

    Args:
        model: `StrongModel`; it is left as it is.
        camera_id: of every picture, int [N].
        names: {camera_id: name} of cameras whose names are no numbers.
    """
    names = names or {}
    own = {camera: names.get(camera, str(camera)) for camera in _counted(camera_id)}
    return with_cameras(model, list(own), own)


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
    other = type(model).from_config(config)
    for new, value in zip(_without_table(other), _without_table(model), strict=True):
        new.assign(value)
    # Some layers compute with copies of their statistics.
    keras_applications.copy_weights(model.encoder_i, other.encoder_i)
    other.table.copy_from(model.table)
    return other


def _without_table(model: StrongModel) -> list[keras.Variable]:
    table = {id(variable) for variable in model.table.weights}
    return [variable for variable in model.weights if id(variable) not in table]


@dataclasses.dataclass(frozen=True, eq=False)
class _Origin:
    """Rows of the pictures that a row of the table comes from, int [n], and the row that it is
    shrunk toward; None: it isn't.
    """

    used: np.ndarray
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


def _fill(
    model: StrongModel, pictures: np.ndarray, origins: Mapping[int, _Origin], layers: bool
) -> dict[int, np.ndarray]:
    """Sets rows from their pictures: moments of every layer first, then those of the embedding.

    Rows that others are shrunk toward come before them. Returns what `estimate_in_place` does.
    """
    found = {}
    count_all = sum(len(row_pictures.batches(own.used)) for own in origins.values())
    progress = keras.utils.Progbar((1 + layers) * count_all, unit_name="batch")
    for row, own in origins.items():
        share = own_share(len(own.used))
        if layers:
            mean, variance = row_pictures.layer_moments(model, pictures, own.used, progress.add)
            if own.prior is not None:
                prior = model.table.row_moments(own.prior)
                mean, variance = shrunk((mean, variance), prior, share)
            model.table.set_moments(row, mean, variance)
        else:
            model.table.set_moments(row, *model.running_statistics())
        features = row_pictures.both_views(model, pictures, own.used, row, progress.add)
        vectors = features.reshape(-1, features.shape[-1]).astype(np.float64)
        mean, variance = vectors.mean(axis=0), vectors.var(axis=0)
        if own.prior is not None:
            other, deviation = model.table.embedding_statistics(own.prior)
            mean, variance = shrunk((mean, variance), (other, deviation**2), share)
        if not layers:
            # One for all channels: cosines are those of embeddings less their camera's mean.
            variance = np.full_like(variance, variance.mean())
        deviation = np.maximum(np.sqrt(variance), _LEAST_DEVIATION)
        model.table.set_embedding_statistics(row, mean, deviation)
        if row != TARGET:
            found[row] = row_pictures.embeddings(model, features, row)
    return found
