"""Layers as PyTorch's modules compute, under their names: what networks of public weights share."""

from collections.abc import Sequence

import keras

# Of PyTorch's normalisations, that of batches and that of instances.
EPSILON = 1e-5


def convolution(
    name: str, channels: int, size: int, strides: int = 1, use_bias: bool = False
) -> keras.layers.Conv2D:
    """Returns a convolution without padding."""
    return keras.layers.Conv2D(
        channels,
        size,
        strides,
        use_bias=use_bias,
        kernel_initializer=initializer(),
        name=name,
    )


def initializer() -> keras.initializers.Initializer:
    """He et al. (ICCV 2015), by what leaves the layer."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


def batch(name: str) -> keras.layers.BatchNormalization:
    """Returns a batch normalisation."""
    return keras.layers.BatchNormalization(epsilon=EPSILON, name=name)


def relu(name: str, x: keras.KerasTensor) -> keras.KerasTensor:
    """Returns what is positive of x, else 0."""
    return keras.layers.ReLU(name=name)(x)


def averaged(name: str, x: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the mean of a map over its positions, [B, 1, 1, channels]."""
    return keras.layers.GlobalAveragePooling2D(keepdims=True, name=name)(x)


def pooled(x: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the largest of 3x3 pixels of a map that has nothing negative, at every other one."""
    # Zeros are as good as PyTorch's padding of -infinity there.
    x = keras.layers.ZeroPadding2D(1, name="maxpool.pad")(x)
    return keras.layers.MaxPooling2D(3, 2, name="maxpool")(x)


def head(x: keras.KerasTensor, widths: Sequence[int], prelu: bool = False) -> keras.KerasTensor:
    """Returns what torchreid's fully connected layers make of an average, [B, 1, 1, last width].

    Args:
        x: [B, 1, 1, channels].
        widths: of the layers.
        prelu: whether each ends in a PReLU, with one slope, rather than a ReLU.
    """
    for place, width in enumerate(widths):
        x = convolution(f"fc.{3 * place}", width, 1, use_bias=True)(x)
        x = batch(f"fc.{3 * place + 1}")(x)
        if prelu:
            x = keras.layers.PReLU(shared_axes=[1, 2, 3], name=f"fc.{3 * place + 2}")(x)
        else:
            x = relu(f"fc.{3 * place + 2}", x)
    return x
