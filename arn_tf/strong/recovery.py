"""Gives statistics to normalisations that were folded into the convolutions before them.

A network saved for inference has each batch normalisation folded: y = W'x + b'. It computes what it
did, but a camera's statistics can replace none. So each normalisation gets the mean and variance of
W'x over pictures as its statistics and, for the same y, their root as its scale and their mean,
with b', as its shift. Which pictures they are changes nothing until other statistics are put in
their place; then it says what a usual picture is. These are the target's, without labels.
"""

import keras
import numpy as np
import tensorflow as tf

from arn_tf.layers.normalization import (
    BatchStatistics,
    CameraBatchNormalization,
    normalized_by,
)
from arn_tf.strong.model import StrongModel
from arn_tf.strong.row_pictures import spread

_BATCH = 64


def is_folded(model: StrongModel) -> bool:
    """Returns whether no normalisation of E_I has statistics, as a file of folded ones leaves it.

    Each then subtracts 0 and divides by 1, the root of the variance and epsilon; a network that
    begins at random has a variance of 1.
    """
    return all(
        not layer.moving_mean.numpy().any()
        and (layer.moving_variance.numpy() == np.float32(1 - layer.epsilon)).all()
        for layer in _normalizations(model)
    )


def recover(model: StrongModel, pictures: np.ndarray) -> None:
    """Sets statistics, scale and shift of E_I's normalisations; what it computes stays the same.

    Args:
        model: `StrongModel`, which is changed.
        pictures: uint8 [N, height, width, 3]; of more than `MOST_PICTURES`, evenly spread ones.

    Raises:
        ValueError: no pictures.
    """
    if not len(pictures):
        raise ValueError("there are no pictures to recover statistics from")
    rows = spread(len(pictures))
    batches = np.array_split(rows, -(-len(rows) // _BATCH))
    layers = _normalizations(model)

    def moments(images: tf.Tensor) -> list[tf.Tensor]:
        found = BatchStatistics(applied=False)
        with normalized_by(found):
            model.feature_maps(images)
        return [tf.stack(found[layer.name]) for layer in layers]

    compiled = tf.function(
        moments, input_signature=[tf.TensorSpec([None, *model.input_size, 3], tf.uint8)]
    )
    progress = keras.utils.Progbar(len(batches), unit_name="batch")
    # Of each batch, of each layer: mean and variance, float64 [2, channels].
    seen = []
    for batch in batches:
        images = tf.constant(pictures[batch])
        seen.append([each.numpy().astype(np.float64) for each in compiled(images)])
        progress.add(1)
    shares = np.array([len(batch) / len(rows) for batch in batches])[:, None]
    for layer, parts in zip(layers, zip(*seen, strict=True), strict=True):
        means, variances = np.stack(parts, axis=1)
        mean = np.sum(shares * means, axis=0)
        # Within the batches, and of their means.
        variance = np.sum(shares * (variances + (means - mean) ** 2), axis=0)
        _replace(layer, mean, variance)


def _replace(layer: CameraBatchNormalization, mean: np.ndarray, variance: np.ndarray) -> None:
    """Gives a layer other statistics, and the scale and shift by which it computes the same."""
    old_mean, old_variance = (each.numpy().astype(np.float64) for each in layer.statistics())
    slope = layer.gamma.numpy() / np.sqrt(old_variance + layer.epsilon)
    layer.gamma.assign(slope * np.sqrt(variance + layer.epsilon))
    layer.beta.assign(layer.beta.numpy() + slope * (mean - old_mean))
    layer.set_statistics(0, mean, variance)


def _normalizations(model: StrongModel) -> list[CameraBatchNormalization]:
    return [
        layer for layer in model.encoder_i.layers if isinstance(layer, CameraBatchNormalization)
    ]
