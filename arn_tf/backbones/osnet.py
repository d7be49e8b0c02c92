"""E_I: OSNet, which looks at several scales at once and was made for re-identification.

Zhou et al., "Omni-Scale Feature Learning for Person Re-Identification" (ICCV 2019), and with
instance normalisation "Learning Generalisable Omni-Scale Representations" (TPAMI 2021).

Layers that have weights are named as torchreid names its modules, so that those of a file are found
by a rule (`torchreid_names`): `conv2.0.conv2b.1.bn` is the normalisation of the second convolution
of the second stream of the first block of the first stage.
"""

import math
import string
from collections.abc import Callable

import keras

from arn_tf.backbones import torch_modules
from arn_tf.backbones.group_normalization import GroupNormalization
from arn_tf.backbones.osnet_config import AFTER, INSIDE, OSNetConfig
from arn_tf.backbones.torch_modules import EPSILON, averaged, batch, convolution, initializer, relu
from arn_tf.errors import UserError

# Four halvings of the picture, rounded up twice and then down: what is left of 13 is 1.
_LEAST = 13
# Of a stream's name and average, the weights of its channels before the sigmoid.
_Gate = Callable[[str, keras.KerasTensor], keras.KerasTensor]


def build(config: OSNetConfig, input_size: tuple[int, int], name: str = "osnet") -> keras.Model:
    """Builds an OSNet with random weights: float [B, height, width, 3] -> X, float [B, h, w, C].

    With a head X is the feature: h = w = 1, and C is the width of its last layer. Averaging it over
    positions changes nothing.

    Args:
        config: which OSNet.
        input_size: (height, width) in pixels.
        name: of the model.

    Raises:
        UserError: an input that is too small, or not of the one size that the weights take.
    """
    if min(input_size) < _LEAST:
        raise UserError(
            f"input_size={input_size[0]}x{input_size[1]}: an OSNet halves a picture four times; "
            f"give {_LEAST} pixels or more each way, such as 256x128",
            ["input_size"],
        )
    if config.input_size not in ((), tuple(input_size)):
        taken = "x".join(map(str, config.input_size))
        raise UserError(
            f"input_size={input_size[0]}x{input_size[1]}: the weights average the last map by "
            f"position, so they take pictures of one size; pass input_size={taken}",
            ["input_size"],
        )
    pictures = keras.Input((*input_size, 3), name="pictures")
    x = _instance("in_first")(pictures) if config.picture_instance else pictures
    x = keras.layers.ZeroPadding2D(3, name="conv1.pad")(x)
    x = convolution("conv1.conv", config.channels[0], 7, strides=2)(x)
    x = _instance("conv1.bn")(x) if config.first_instance else batch("conv1.bn")(x)
    x = relu("conv1.relu", x)
    x = torch_modules.pooled(x)
    for stage, (kinds, channels) in enumerate(zip(config.blocks, config.channels[1:], strict=True)):
        own = f"conv{stage + 2}"
        for place, kind in enumerate(kinds):
            grouped = bool(config.gate_groups) and place == len(kinds) - 1
            x = _block(config, f"{own}.{place}", x, channels, kind, grouped)
        if stage < len(config.blocks) - 1:
            x = _pointwise(f"{own}.{len(kinds)}.0", x, channels)
            x = keras.layers.AveragePooling2D(2, name=f"{own}.{len(kinds)}.1")(x)
    x = _pointwise(f"conv{len(config.blocks) + 2}", x, config.channels[-1])
    if config.average_size:
        # A sum over positions, each weighed by channel.
        x = keras.layers.DepthwiseConv2D(config.average_size, name="global_avgpool")(x)
    elif config.head:
        x = averaged("global_avgpool", x)
    x = torch_modules.head(x, config.head, config.prelu)
    return keras.Model(pictures, x, name=name)


def _block(
    config: OSNetConfig,
    name: str,
    x: keras.KerasTensor,
    channels: int,
    kind: str,
    grouped: bool,
) -> keras.KerasTensor:
    """A residual of streams of growing depth, which one gate weighs by channel and picture."""
    inner = channels // config.reduction
    first = _pointwise(f"{name}.conv1", x, inner)
    gate = _grouped_gate if grouped else _gate
    weigh = gate(config, name, inner)
    gated = []
    for depth, letter in enumerate(string.ascii_lowercase[: config.streams], 1):
        own, stream = f"{name}.conv2{letter}", first
        for place in range(depth):
            stream = _lite(own if depth == 1 else f"{own}.{place}", stream, inner)
        weights = weigh(own, averaged(f"{own}.gate.pool", stream))
        weights = keras.layers.Activation("sigmoid", name=f"{own}.gate.sigmoid")(weights)
        gated.append(keras.layers.Multiply(name=f"{own}.gated")([stream, weights]))
    residual = gated[0]
    if len(gated) > 1:
        residual = keras.layers.Add(name=f"{name}.streams")(gated)
    residual = convolution(f"{name}.conv3.conv", channels, 1)(residual)
    if kind == INSIDE:
        residual = _instance(f"{name}.IN")(residual)
    else:
        residual = batch(f"{name}.conv3.bn")(residual)
    if x.shape[-1] != channels:
        x = convolution(f"{name}.downsample.conv", channels, 1)(x)
        x = batch(f"{name}.downsample.bn")(x)
    x = keras.layers.Add(name=f"{name}.sum")([residual, x])
    if kind == AFTER:
        x = _instance(f"{name}.IN")(x)
    return relu(f"{name}.relu", x)


def _gate(config: OSNetConfig, name: str, inner: int) -> _Gate:
    """Two layers, shared by a block's streams."""
    squeeze = convolution(f"{name}.gate.fc1", inner // config.gate_reduction, 1, use_bias=True)
    excite = convolution(f"{name}.gate.fc2", inner, 1, use_bias=True)
    return lambda own, x: excite(relu(f"{own}.gate.relu", squeeze(x)))


def _grouped_gate(config: OSNetConfig, name: str, inner: int) -> _Gate:
    """A normalisation over groups of channels in place of the layers."""
    shared = GroupNormalization(
        math.gcd(inner, config.gate_groups), epsilon=EPSILON, name=f"{name}.gate.gn"
    )
    return lambda own, x: shared(x)


def _lite(name: str, x: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    """A 3x3 convolution in two: 1x1 over channels, then 3x3 within each."""
    x = convolution(f"{name}.conv1", channels, 1)(x)
    x = keras.layers.DepthwiseConv2D(
        3,
        padding="same",
        use_bias=False,
        depthwise_initializer=initializer(),
        name=f"{name}.conv2",
    )(x)
    return relu(f"{name}.relu", batch(f"{name}.bn")(x))


def _pointwise(name: str, x: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    x = batch(f"{name}.bn")(convolution(f"{name}.conv", channels, 1)(x))
    return relu(f"{name}.relu", x)


def _instance(name: str) -> GroupNormalization:
    """Each picture's channels by their own mean and variance: one group for each."""
    return GroupNormalization(groups=-1, epsilon=EPSILON, name=name)
