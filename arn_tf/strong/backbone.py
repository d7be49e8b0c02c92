"""E_I as the strong recipe tunes it: statistics of batches and of cameras, and a last stride of 1.

Every BatchNormalization of a network of `backbones.networks` is replaced by one that
`layers.normalization.normalized_by` can give other statistics: those of the batch, or those of each
picture's camera from a table that holds all layers side by side.
"""

import keras
import numpy as np

from arn_tf.backbones import keras_applications, networks, osnet_config
from arn_tf.errors import ArgumentError
from arn_tf.layers.normalization import CameraBatchNormalization
from arn_tf.strong.settings import check_last_stride

_STRIDED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def build(
    name: str,
    input_size: tuple[int, int],
    weights: str = "imagenet",
    last_stride: int = 1,
    precision: str = "float32",
) -> tuple[keras.Model, dict[str, slice]]:
    """Builds E_I by name, tuned: see `networks.build` and `tuned`."""
    network, _ = networks.build(name, input_size, weights)
    return tuned(network, name, last_stride, precision)


def tuned(
    network: keras.Model, name: str, last_stride: int = 1, precision: str = "float32"
) -> tuple[keras.Model, dict[str, slice]]:
    """Returns a network with `CameraBatchNormalization`: float [B, height, width, 3] -> X.

    Args:
        network: as `networks.build` makes it.
        name: of the network.
        last_stride: 1 doubles the height and width of X (Luo et al., CVPR workshops 2019); 2
            leaves the network as it is. An OSNet has none to take away.
        precision: "float32", or "bfloat16" for the arithmetic of its layers; weights and batch
            statistics stay float32.

    Returns:
        the network, and {name of a normalisation: where its channels are in a row that holds all}.

    Raises:
        UserError: the network's last stride can't be taken away, or it has no BatchNormalization.
    """
    strided, paddings = _strides_to_take_away(network, name, last_stride)
    channels = {}

    def replaced(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config() | {"dtype": _POLICIES[precision]}
        if isinstance(layer, keras.layers.BatchNormalization):
            start = next(reversed(channels.values())).stop if channels else 0
            channels[layer.name] = slice(start, start + layer.moving_mean.shape[0])
            return CameraBatchNormalization(
                domains=None,
                epsilon=layer.epsilon,
                scale=layer.scale,
                name=layer.name,
                dtype=config["dtype"],
            )
        if layer.name in strided:
            config |= {"strides": (1, 1), "padding": "same"}
        elif layer.name in paddings:
            config |= {"padding": ((0, 0), (0, 0))}
        return type(layer).from_config(config)

    try:
        clone = keras.models.clone_model(network, clone_function=replaced)
    except ValueError as error:  # A pooling beside the convolution goes on halving the map.
        raise _fixed_stride(name) from error
    if not channels:
        raise ArgumentError(
            "backbone",
            name,
            "it has no batch normalisation, and no statistics of a camera to take: choose "
            "another, such as MobileNetV2 or ResNet50",
        )
    keras_applications.copy_weights(network, clone)
    return clone, channels


def running_statistics(network: keras.Model, channels: dict[str, slice]) -> list[np.ndarray]:
    """Returns running mean and variance of E_I's normalisations, float32 [all channels] each."""
    layers = [network.get_layer(name) for name in channels]
    return [
        np.concatenate([variable.numpy() for variable in variables])
        for variables in (
            [layer.moving_mean for layer in layers],
            [layer.moving_variance for layer in layers],
        )
    ]


def _strides_to_take_away(
    network: keras.Model, name: str, last_stride: int
) -> tuple[set[str], set[str]]:
    check_last_stride(name, last_stride)
    if last_stride != 1 or osnet_config.named(name):
        return set(), set()
    return _last_strides(network, name)


def _last_strides(network: keras.Model, name: str) -> tuple[set[str], set[str]]:
    """Returns names of the layers that last halve the map, and of the paddings made for them."""
    height = network.output_shape[1]
    strided, paddings = set(), set()
    for layer in network.layers:
        if not isinstance(layer, _STRIDED) or max(layer.strides) == 1:
            continue
        if layer.output.shape[1] != height:
            continue
        strided.add(layer.name)
        before = layer.input._keras_history.operation
        if isinstance(before, keras.layers.ZeroPadding2D):
            paddings.add(before.name)
    if not strided:
        raise _fixed_stride(name)
    return strided, paddings


def _fixed_stride(name: str) -> ArgumentError:
    return ArgumentError(
        "backbone",
        name,
        "its last stride can't be taken away; pass last_stride=2",
        also=["last_stride"],
    )
