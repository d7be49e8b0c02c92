"""Gives tensors of PyTorch to the Keras layers that have their names."""

from collections.abc import Mapping

import keras
import numpy as np

from arn_tf.weight_files.bad_weights import BadWeights

_VARIANCE = "running_var"


def assign(network: keras.Model, tensors: Mapping[str, np.ndarray]) -> None:
    """Sets every weight of a network.

    Args:
        network: whose layers are named as PyTorch's modules.
        tensors: {module.weight: array} in PyTorch's shapes; one for each weight and no more.

    Raises:
        BadWeights: a tensor is missing, left over, of another shape or not finite; it is named.
    """
    left = dict(tensors)
    for layer in network.layers:
        names = [f"{layer.name}.{part}" for part in _parts(layer)]
        layer.set_weights(
            [
                _laid_out(layer, variable, name, left.pop(name, None))
                for name, variable in zip(names, layer.weights, strict=True)
            ]
        )
    if left:
        name = next(iter(left))
        raise BadWeights(
            f"{len(left)} tensors are none of {network.name}'s, the first is {name[:80]}, of "
            f"shape {left[name].shape}: the file belongs to another network"
        )


def _parts(layer: keras.layers.Layer) -> list[str]:
    """Returns PyTorch's names of a layer's weights, in Keras's order."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return ["weight", "bias", "running_mean", _VARIANCE]
    return ["weight", "bias"][: len(layer.weights)]


def _laid_out(
    layer: keras.layers.Layer,
    variable: keras.Variable,
    name: str,
    tensor: np.ndarray | None,
) -> np.ndarray:
    """Returns a tensor in Keras's shape, checked against the one that it must have."""
    shape = tuple(variable.shape)
    if len(shape) == 4:
        # Keras: height, width, in, out, or of a depthwise one channel, 1. PyTorch: out, in, h, w.
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        order = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
        expected = tuple(shape[axis] for axis in order)
    else:
        order, expected = tuple(range(len(shape))), shape
    if tensor is None:
        raise BadWeights(
            f"{name}, of shape {expected}, is missing: the file is cut off or belongs to "
            "another network"
        )
    # A fully connected layer is a 1x1 convolution here.
    found = tensor.shape
    if len(expected) == 4 and expected[2:] == (1, 1) and len(found) == 2:
        tensor = tensor[..., None, None]
    # One slope for all channels has an axis for each that it is shared over.
    if isinstance(layer, keras.layers.PReLU) and found == (1,):
        tensor = tensor.reshape(expected[:1] + (1,) * (len(expected) - 1))
    if tensor.shape != expected:
        raise BadWeights(
            f"{name} has the shape {found}, not {expected}: the file belongs to another network"
        )
    with np.errstate(over="ignore"):  # Of float64; what comes of it isn't finite.
        numbers = tensor.astype(np.float32)
    if tensor.dtype.kind != "f" or not np.isfinite(numbers).all():
        raise BadWeights(
            f"{name} holds numbers that are not finite, or no fractions ({tensor.dtype}): "
            "nothing can be computed with it"
        )
    if name.endswith(_VARIANCE) and (numbers < 0).any():
        raise BadWeights(f"{name} holds variances below 0: the file is damaged; fetch it again")
    return numbers.transpose(np.argsort(order))
