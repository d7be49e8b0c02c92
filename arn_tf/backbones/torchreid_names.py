"""Which OSNet the tensors of torchreid are, by their names and shapes.

torchreid's OSNet and OSNet-IBN name their modules alike; OSNet-AIN names two of them otherwise.
`canonical` gives all the names of the first, which are those of the layers of `osnet.build`.
"""

import math
import re
import string
from collections.abc import Mapping

import numpy as np

from arn_tf.backbones.osnet_config import (
    AFTER,
    INSIDE,
    NOWHERE,
    OSNETS,
    WIDTHS,
    ZOO_GATE_GROUPS,
    OSNetConfig,
)
from arn_tf.weight_files.bad_weights import BadWeights

# Of every normalisation of PyTorch: how many batches it has seen.
_COUNTER = ".num_batches_tracked"
_CLASSIFIER = "classifier"
# Of torchvision's ResNets.
_RESNET, _RESNETS_CLASSIFIER = "layer1.0.conv3.weight", "fc"
_PARTS = ("weight", "bias")
# Channels of a stage, of whose gates one is left.
_LEAST = OSNetConfig.reduction * OSNetConfig.gate_reduction
# How many times as many channels may leave a layer as enter it; in real ones 4.
_MOST_WIDENED = 64


def canonical(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the tensors of the network itself, an OSNet's by the names of its layers.

    Raises:
        BadWeights: two are of one layer.
    """
    unused, found = _of_classifiers(tensors), dict[str, np.ndarray]()
    for name, tensor in tensors.items():
        if name.endswith(_COUNTER) or name in unused:
            continue
        own = _canonical(name)
        if own in found:
            raise BadWeights(
                f"two tensors are {own[:80]}, one of them by the name {name[:80]}: the file is of "
                "two networks"
            )
        found[own] = tensor
    return found


def classes(tensors: Mapping[str, np.ndarray]) -> int | None:
    """Returns how many persons or things the classifier tells apart; None: the file has none."""
    found = (tensors.get(name) for name in _of_classifiers(tensors) if name.endswith(".weight"))
    return next((each.shape[0] for each in found if each is not None and each.ndim == 2), None)


def config_of(tensors: Mapping[str, np.ndarray]) -> OSNetConfig | None:
    """Returns the OSNet that canonical tensors look like; None: they look like none.

    Whether each tensor is there, and of its right shape, is for who gives them to a network.
    """
    channels, blocks = [_outputs(tensors, "conv1.conv.weight")], []
    stage = 2
    while f"conv{stage}.0.conv3.conv.weight" in tensors:
        channels.append(_outputs(tensors, f"conv{stage}.0.conv3.conv.weight"))
        kinds = []
        while f"conv{stage}.{len(kinds)}.conv3.conv.weight" in tensors:
            kinds.append(_kind(tensors, f"conv{stage}.{len(kinds)}"))
        blocks.append(tuple(kinds))
        stage += 1
    head = []
    while f"fc.{3 * len(head)}.weight" in tensors:
        head.append(_outputs(tensors, f"fc.{3 * len(head)}.weight"))
    average = _shape(tensors, "global_avgpool.weight")[2:]
    if len(blocks) != 3 or min(channels[1:]) < _LEAST or not all((*channels, *head, *average)):
        return None
    if "global_avgpool.weight" in tensors and len(average) != 2:
        return None
    return OSNetConfig(
        channels=tuple(channels),
        blocks=tuple(blocks),
        first_instance="conv1.bn.running_mean" not in tensors,
        head=tuple(head),
        picture_instance="in_first.weight" in tensors,
        gate_groups=ZOO_GATE_GROUPS if "conv2.1.gate.gn.weight" in tensors else 0,
        average_size=average,
        prelu="fc.2.weight" in tensors,
    )


def name_of(config: OSNetConfig) -> tuple[str, str] | None:
    """Returns name and width, such as OSNetAIN and x0_25; None: another arrangement.

    The width is "" where it is none of those that torchreid has.
    """
    for name, full in OSNETS.items():
        # The Open Model Zoo's are a kind of OSNetAIN: each picture loses its own mean.
        alike = (full.blocks, full.first_instance) == (config.blocks, config.first_instance)
        if name == "OSNetAIN" if config.picture_instance else alike:
            widths = (
                width
                for width, factor in WIDTHS.items()
                if config.channels == tuple(int(factor * channels) for channels in full.channels)
            )
            return name, next(widths, "")
    return None


def _of_classifiers(tensors: Mapping[str, np.ndarray]) -> list[str]:
    layers = [_CLASSIFIER, *([_RESNETS_CLASSIFIER] if _RESNET in tensors else [])]
    return [f"{layer}.{part}" for layer in layers for part in _PARTS]


def _canonical(name: str) -> str:
    name = re.sub(r"^pool([23])\.", r"conv\1.2.", name)
    found = re.fullmatch(r"(conv\d\.\d+)\.conv2\.(\d)\.layers\.(\d)\.(.*)", name)
    if not found:
        return name
    block, stream, place, rest = found.groups()
    own = f"{block}.conv2{string.ascii_lowercase[int(stream)]}"
    return f"{own}.{rest}" if stream == "0" else f"{own}.{place}.{rest}"


def _kind(tensors: Mapping[str, np.ndarray], block: str) -> str:
    if f"{block}.IN.weight" not in tensors:
        return NOWHERE
    return AFTER if f"{block}.conv3.bn.weight" in tensors else INSIDE


def _outputs(tensors: Mapping[str, np.ndarray], name: str) -> int:
    """Returns how many channels leave a layer; 0 for a tensor that is none, or holds nothing, or
    too little: a network of so many would need far more memory than the file has.
    """
    shape = _shape(tensors, name)
    if len(shape) < 2 or not all(shape) or shape[0] > _MOST_WIDENED * math.prod(shape[1:]):
        return 0
    return shape[0]


def _shape(tensors: Mapping[str, np.ndarray], name: str) -> tuple[int, ...]:
    return tensors[name].shape if name in tensors else ()
