"""Small OSNets as files of torchreid, with random weights."""

import functools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from arn_tf.backbones import osnet
from arn_tf.backbones.osnet_config import named
from tests.support import torch_files
from tests.support.small_backbones import shaken

SIZE = (64, 32)


@functools.cache
def network(name: str, seed: int = 0) -> keras.Model:
    """Returns an OSNet whose normalisations are not those that it begins with; made once."""
    keras.utils.set_random_seed(seed)
    return shaken(osnet.build(named(name), SIZE), seed)


def tensors(network: keras.Model, ain: bool = False, persons: int = 7) -> dict[str, np.ndarray]:
    """Returns a network's weights in PyTorch's shapes, by torchreid's names.

    Args:
        network: an OSNet.
        ain: whether by the names of `osnet_ain.py`.
        persons: of the classifier.
    """
    found: dict[str, np.ndarray] = {}
    for layer in network.layers:
        name = _ain_name(layer.name) if ain else layer.name
        parts = ["weight", "bias", "running_mean", "running_var"]
        for part, value in zip(parts, layer.get_weights(), strict=False):
            if value.ndim == 4:
                depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
                value = value.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
            if name.startswith("fc.") and value.ndim == 4:
                value = value[:, :, 0, 0]
            found[f"{name}.{part}"] = np.ascontiguousarray(value, "<f4")
        if len(layer.weights) == 4:
            found[f"{name}.num_batches_tracked"] = np.array(3, "<i8")
    rows = network.output_shape[-1]
    found["classifier.weight"] = np.zeros((persons, rows), "<f4")
    found["classifier.bias"] = np.zeros(persons, "<f4")
    return found


def saved(
    path: Any, name: str, seed: int = 0, changes: Mapping[str, np.ndarray | None] | None = None
) -> str:
    """Writes a file of torchreid; returns its path.

    Args:
        path: of the file.
        name: of the OSNet, such as OSNetAIN_x0_25.
        seed: of its weights.
        changes: {tensor: another, or None for none}.
    """
    arrays = tensors(network(name, seed), ain=name.startswith("OSNetAIN")) | dict(changes or {})
    return torch_files.saved(path, {k: v for k, v in arrays.items() if v is not None}, "state_dict")


def _ain_name(name: str) -> str:
    """conv2.0.conv2b.1.bn -> conv2.0.conv2.1.layers.1.bn, conv2.2.0.conv -> pool2.0.conv."""
    parts = name.split(".")
    if len(parts) > 2 and parts[2].startswith("conv2") and len(parts[2]) == 6:
        stream = "abcd".index(parts[2][-1])
        rest = parts[3:] if stream else ["0", *parts[3:]]
        return ".".join([*parts[:2], "conv2", str(stream), "layers", *rest])
    if parts[0] in ("conv2", "conv3") and parts[1:3] == ["2", "0"]:
        return ".".join([parts[0].replace("conv", "pool"), *parts[2:]])
    return name
