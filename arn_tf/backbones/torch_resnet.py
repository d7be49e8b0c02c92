"""E_I: a ResNet as PyTorch has it, with weights that torchreid trained for re-identification.

He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016), with the stride of a stage in
the 3x3 convolution of its first block. `keras.applications` has it in the 1x1 before, and biases:
the weights of one aren't the other's.

Layers that have weights are named as PyTorch's modules: `layer1.0.bn2` is the normalisation of the
second convolution of the first block of the first stage.
"""

import keras

from arn_tf.backbones import torch_modules
from arn_tf.backbones.resnet_config import EXPANSION, ResNetConfig
from arn_tf.backbones.torch_modules import averaged, batch, convolution, relu


def build(config: ResNetConfig, input_size: tuple[int, int], name: str = "resnet") -> keras.Model:
    """Builds a ResNet with random weights: float [B, height, width, 3] -> X, float [B, h, w, C].

    With a head X is the feature: h = w = 1, and C is the width of its last layer.

    Args:
        config: which ResNet.
        input_size: (height, width) in pixels.
        name: of the model.
    """
    pictures = keras.Input((*input_size, 3), name="pictures")
    x = keras.layers.ZeroPadding2D(3, name="conv1.pad")(pictures)
    x = batch("bn1")(convolution("conv1", config.width, 7, strides=2)(x))
    x = torch_modules.pooled(relu("relu", x))
    strides = (1, 2, 2, config.last_stride)
    for stage, blocks in enumerate(config.blocks):
        for place in range(blocks):
            own, channels = f"layer{stage + 1}.{place}", config.width * 2**stage
            x = _block(own, x, channels, 1 if place else strides[stage])
    if config.head:
        x = torch_modules.head(averaged("avgpool", x), config.head)
    return keras.Model(pictures, x, name=name)


def _block(name: str, x: keras.KerasTensor, channels: int, strides: int) -> keras.KerasTensor:
    """A residual of three convolutions, the last of which has four times the channels."""
    residual = batch(f"{name}.bn1")(convolution(f"{name}.conv1", channels, 1)(x))
    residual = relu(f"{name}.relu1", residual)
    residual = keras.layers.ZeroPadding2D(1, name=f"{name}.pad")(residual)
    residual = convolution(f"{name}.conv2", channels, 3, strides=strides)(residual)
    residual = relu(f"{name}.relu2", batch(f"{name}.bn2")(residual))
    residual = batch(f"{name}.bn3")(convolution(f"{name}.conv3", EXPANSION * channels, 1)(residual))
    if strides > 1 or x.shape[-1] != EXPANSION * channels:
        x = convolution(f"{name}.downsample.0", EXPANSION * channels, 1, strides=strides)(x)
        x = batch(f"{name}.downsample.1")(x)
    return relu(f"{name}.relu", keras.layers.Add(name=f"{name}.sum")([residual, x]))
