"""A network whose normalisations NumPy can follow, and pictures of three cameras for it."""

import keras
import numpy as np

from arn_tf.strong.model import StrongModel
from tests.support.small_data import register_network

SIZE = (16, 8)


def dots_network(
    include_top: bool, weights: None, input_shape: tuple[int, int, int]
) -> keras.Model:
    """Returns two normalisations between convolutions of single pixels: matrix products."""
    picture = keras.Input(input_shape)
    x = keras.layers.Conv2D(5, 1, 2, use_bias=False)(picture)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(epsilon=1e-3)(x))
    x = keras.layers.Conv2D(4, 1, 2, use_bias=False)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(epsilon=1e-2)(x))
    return keras.Model(picture, keras.layers.Conv2D(6, 1)(x), name="dots")


def model():
    keras.utils.set_random_seed(0)
    model = StrongModel(3, "Dots", "random", SIZE, last_stride=2)
    rng = np.random.default_rng(0)
    for variable in model.encoder_i.variables:
        value = rng.normal(size=variable.shape)
        variable.assign(np.abs(value) if "variance" in variable.path else value)
    return model


def cameras():
    """100 dark pictures of camera 7, 80 bright ones of 3, 10 of 5."""
    pictures = np.concatenate([crops(0, 100, 0, 140), crops(1, 80, 100, 256), crops(2, 10)])
    camera_id = np.array([7] * 100 + [3] * 80 + [5] * 10)
    order = np.random.default_rng(3).permutation(190)
    return pictures[order], camera_id[order]


def crops(seed, count, low=0, high=256):
    return np.random.default_rng(seed).integers(low, high, (count, *SIZE, 3)).astype(np.uint8)


def weights(model: StrongModel) -> dict[str, np.ndarray]:
    """Returns {path: value} of all but the table."""
    table = {id(variable) for variable in model.table.weights}
    return {v.path: v.numpy() for v in model.weights if id(v) not in table}


def by_hand(
    model: StrongModel,
    pictures: np.ndarray,
    moments: list[tuple[np.ndarray, np.ndarray]] | None = None,
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Embeds in NumPy: embeddings and [(mean, variance)] of each layer, float64.

    Args:
        model: of this module's network.
        pictures: uint8 [N, 16, 8, 3].
        moments: to normalise by; None: those of the batch.
    """
    layers = [layer for layer in model.encoder_i.layers if layer.weights]
    x, found = pictures.astype("f8") / 127.5 - 1, []
    for convolution, normalization in zip(layers[0:4:2], layers[1:4:2], strict=True):
        x = x[:, ::2, ::2] @ convolution.kernel.numpy()[0, 0].astype("f8")
        axes = (0, 1, 2)
        mean, variance = moments[len(found)] if moments else (x.mean(axes), x.var(axes))
        found.append((mean, variance))
        x = (x - mean) / np.sqrt(variance + normalization.epsilon)
        x = np.maximum(x * normalization.gamma.numpy() + normalization.beta.numpy(), 0)
    x = x @ layers[4].kernel.numpy()[0, 0] + layers[4].bias.numpy()
    return x.mean(axis=(1, 2)), found


register_network("Dots", dots_network)
