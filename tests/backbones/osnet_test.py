"""OSNet beside a slow forward pass in NumPy, by the definitions of PyTorch's layers."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from arn_tf.backbones import osnet
from arn_tf.backbones.osnet_config import AFTER, INSIDE, NOWHERE, OSNETS, OSNetConfig, named
from tests.support.small_backbones import shaken
from tests.support.user_errors import refused

SMALL = OSNetConfig(
    channels=(4, 8, 12, 16),
    blocks=((INSIDE, NOWHERE), (AFTER,), (NOWHERE, INSIDE)),
    first_instance=True,
    head=(6, 5),
    reduction=2,
    gate_reduction=2,
)


def made(config=SMALL, size=(45, 34), seed=0):
    """Returns a network whose weights and statistics are all random."""
    keras.utils.set_random_seed(seed)
    network = shaken(osnet.build(config, size), seed)
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, keras.layers.GroupNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, v.shape) for v in layer.weights])
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.uniform(-0.5, 0.5, layer.bias.shape))
    return network


class Slow:
    """One picture, channels first and float64, through weights found by their layer's name."""

    def __init__(self, network):
        self.weights = {
            layer.name: [np.float64(weight) for weight in layer.get_weights()]
            for layer in network.layers
        }

    def convolved(self, x, name, stride=1):
        """`torch.nn.Conv2d` with padding for an equal size, stride 1."""
        kernel, *bias = self.weights[name]
        size = kernel.shape[0]
        x = np.pad(x, [(0, 0), (size // 2, size // 2), (size // 2, size // 2)])
        height, width = ((n - size) // stride + 1 for n in x.shape[1:])
        depthwise = kernel.shape[3] == 1 and kernel.shape[2] == x.shape[0]
        y = 0
        for i in range(size):
            for j in range(size):
                part = x[:, i : i + stride * height : stride, j : j + stride * width : stride]
                if depthwise:
                    y = y + part * kernel[i, j][..., None]
                else:
                    y = y + np.einsum("chw,co->ohw", part, kernel[i, j])
        return y + bias[0][:, None, None] if bias else y

    def normalized(self, x, name):
        """`BatchNorm2d` in evaluation, or `InstanceNorm2d(affine=True)`."""
        scale, shift, *statistics = self.weights[name]
        mean, variance = statistics or (x.mean(axis=(1, 2)), x.var(axis=(1, 2)))
        scale = scale / np.sqrt(variance + 1e-5)
        return x * scale[:, None, None] + (shift - mean * scale)[:, None, None]

    def layer(self, x, name, stride=1):
        """Convolution, normalisation, ReLU."""
        convolved = self.convolved(x, f"{name}.conv", stride)
        return np.maximum(self.normalized(convolved, f"{name}.bn"), 0)

    def lite(self, x, name):
        x = self.convolved(self.convolved(x, f"{name}.conv1"), f"{name}.conv2")
        return np.maximum(self.normalized(x, f"{name}.bn"), 0)

    def gated(self, x, name):
        weights = np.maximum(self.convolved(x.mean((1, 2), keepdims=True), f"{name}.fc1"), 0)
        return x / (1 + np.exp(-self.convolved(weights, f"{name}.fc2")))

    def block(self, x, name, kind):
        first = self.layer(x, f"{name}.conv1")
        total = self.gated(self.lite(first, f"{name}.conv2a"), f"{name}.gate")
        for letter, depth in (("b", 2), ("c", 3), ("d", 4)):
            stream = first
            for place in range(depth):
                stream = self.lite(stream, f"{name}.conv2{letter}.{place}")
            total = total + self.gated(stream, f"{name}.gate")
        residual = self.convolved(total, f"{name}.conv3.conv")
        residual = self.normalized(residual, f"{name}.IN" if kind == INSIDE else f"{name}.conv3.bn")
        if f"{name}.downsample.conv" in self.weights:
            x = self.normalized(
                self.convolved(x, f"{name}.downsample.conv"), f"{name}.downsample.bn"
            )
        x = residual + x
        return np.maximum(self.normalized(x, f"{name}.IN") if kind == AFTER else x, 0)

    def map(self, x, blocks):
        x = pooled(self.layer(x, "conv1", stride=2), 3, 1, np.max)
        for stage, kinds in enumerate(blocks):
            for place, kind in enumerate(kinds):
                x = self.block(x, f"conv{stage + 2}.{place}", kind)
            if stage < 2:
                x = pooled(self.layer(x, f"conv{stage + 2}.{len(kinds)}.0"), 2, 0, np.mean)
        return self.layer(x, "conv5")

    def feature(self, x, head):
        x = x.mean(axis=(1, 2), keepdims=True)
        for place in range(len(head)):
            x = self.convolved(x, f"fc.{3 * place}")
            x = np.maximum(self.normalized(x, f"fc.{3 * place + 1}"), 0)
        return x


def pooled(x, size, padding, take):
    """`MaxPool2d` and `AvgPool2d`, stride 2: what doesn't fill a window is left out."""
    edges = [(0, 0), (padding, padding), (padding, padding)]
    x = np.pad(x, edges, constant_values=-np.inf)
    height, width = ((n - size) // 2 + 1 for n in x.shape[1:])
    y = np.zeros((x.shape[0], height, width))
    for i in range(height):
        for j in range(width):
            y[:, i, j] = take(x[:, 2 * i : 2 * i + size, 2 * j : 2 * j + size], axis=(1, 2))
    return y


# Odd and even sizes, so that every rounding counts.
@pytest.mark.parametrize("size", [(45, 34), (32, 16), (13, 13)])
def test_it_computes_what_torchreid_does(size):
    network = made(size=size)
    assert network.output_shape == (None, 1, 1, 5)
    assert SMALL.embedding_dim == 5
    pictures = np.random.default_rng(1).normal(size=(2, *size, 3)).astype("f4")
    slow = Slow(network)
    found = network(pictures).numpy()
    last = keras.Model(network.input, network.get_layer("conv5.relu").output)(pictures).numpy()
    for picture, feature, last_map in zip(pictures, found, last, strict=True):
        expected = slow.map(np.float64(picture).transpose(2, 0, 1), SMALL.blocks)
        np.testing.assert_allclose(
            last_map.transpose(2, 0, 1), expected, rtol=1e-4, atol=1e-4 * expected.max()
        )
        expected = slow.feature(expected, SMALL.head).ravel()
        np.testing.assert_allclose(feature.ravel(), expected, atol=1e-4 * expected.max())
        assert expected.any()


def test_without_a_head_it_ends_in_the_last_map():
    config = dataclasses.replace(SMALL, head=())
    network, whole = osnet.build(config, (64, 32)), osnet.build(SMALL, (64, 32))
    assert network.output_shape == (None, 4, 2, 16)
    assert config.embedding_dim == 16
    assert [layer.name for layer in network.layers] == [
        layer.name for layer in whole.layers[: len(network.layers)]
    ]


@pytest.mark.parametrize(("name", "published"), [("OSNet", 2_193_616), ("OSNet_x0_25", 203_568)])
def test_parameters_that_torchreid_publishes(name, published):
    """Those of a block's gate counted for each of its four streams, statistics not at all."""
    network = osnet.build(named(name), (64, 32))
    assert network.output_shape == (None, 1, 1, 512)
    assert published == sum(
        np.prod(weight.shape) * (4 if ".gate." in layer.name else 1)
        for layer in network.layers
        for weight in layer.trainable_weights
    )


@pytest.mark.parametrize("name", ["ResNet50", "OSNet_x2_0", "OSNet_", "osnet", "OSNetAIN_x0_250"])
def test_names_of_others(name):
    assert named(name) is None


@pytest.mark.parametrize("config", [SMALL, *OSNETS.values(), named("OSNetIBN_x0_75")])
def test_a_configuration_through_json(config):
    assert OSNetConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_too_small_a_picture():
    with refused(r"^--input_size=12x40: .* 13 pixels or more"):
        osnet.build(SMALL, (12, 40))


def test_names_and_paths_do_not_depend_on_what_was_built_before():
    paths = [[v.path for v in osnet.build(SMALL, (32, 16)).variables] for _ in range(2)]
    assert paths[0] == paths[1]
    assert len(set(paths[0])) == len(paths[0])


def test_saved_and_loaded(tmp_path):
    network = made()
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    x = np.random.default_rng(2).normal(size=(2, 45, 34, 3)).astype("f4")
    np.testing.assert_array_equal(again(x), network(x))
