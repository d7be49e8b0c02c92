"""What a ResNet of PyTorch is, by its tensors' names and shapes: its blocks, its width, its head.

Without Keras: what only looks at a weights file needs no more than this.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

# Of a block's last convolution, what enters the others.
EXPANSION = 4
_KIND = "resnet"
# By the blocks of their stages, as torchreid and torchvision build them.
RESNETS = {(3, 4, 6, 3): "ResNet50", (3, 4, 23, 3): "ResNet101", (3, 8, 36, 3): "ResNet152"}


@dataclasses.dataclass(frozen=True)
class ResNetConfig:
    """A ResNet of bottlenecks (He et al., CVPR 2016) as PyTorch has it.

    Attributes:
        blocks: of each stage.
        width: channels of the first convolution.
        head: widths of the fully connected layers behind the average of the last map; none: the
            network ends in that map.
    """

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    head: tuple[int, ...] = ()
    # Of the pictures that it takes: any.
    input_size: ClassVar[tuple[int, ...]] = ()

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the first convolution and of each stage."""
        stages = range(len(self.blocks))
        return self.width, *(EXPANSION * self.width * 2**stage for stage in stages)

    @property
    def embedding_dim(self) -> int:
        """Channels of what the network ends in."""
        return self.head[-1] if self.head else self.channels[-1]

    @property
    def last_stride(self) -> int:
        """That of the last stage: torchreid has 1 where a head follows, as in resnet50_fc512."""
        return 1 if self.head else 2

    def to_json(self) -> dict:
        """Returns the fields as JSON has them, lists for tuples, and what they are of."""
        return {
            "kind": _KIND,
            "blocks": list(self.blocks),
            "width": self.width,
            "head": list(self.head),
        }

    @classmethod
    def from_json(cls, fields: Mapping) -> "ResNetConfig":
        """Returns what `to_json` was made from."""
        return cls(tuple(fields["blocks"]), fields["width"], tuple(fields["head"]))


def is_json(fields: Mapping) -> bool:
    """Whether `ResNetConfig.to_json` made these fields, and not those of an OSNet."""
    return fields.get("kind") == _KIND


def config_of(tensors: Mapping[str, np.ndarray]) -> ResNetConfig | None:
    """Returns the ResNet that PyTorch's tensors look like; None: they look like none.

    Convolutions of other shapes, as of a ResNeXt, are another network's. Whether each tensor is
    there, and of its right shape, is for who gives them to a network.
    """
    blocks: list[int] = []
    while f"layer{len(blocks) + 1}.0.conv3.weight" in tensors:
        stage, count = len(blocks) + 1, 0
        while f"layer{stage}.{count}.conv3.weight" in tensors:
            count += 1
        blocks.append(count)
    first = _shape(tensors, "conv1.weight")
    width = next(iter(first), 0)
    if tuple(blocks) not in RESNETS or not width or first != (width, 3, 7, 7):
        return None
    for stage, count in enumerate(blocks):
        inner = width * 2**stage
        for place in range(count):
            own = f"layer{stage + 1}.{place}"
            if _shape(tensors, f"{own}.conv3.weight") != (EXPANSION * inner, inner, 1, 1):
                return None
            if _shape(tensors, f"{own}.conv2.weight") not in ((), (inner, inner, 3, 3)):
                return None
    head: list[int] = []
    inputs = ResNetConfig(tuple(blocks), width).embedding_dim
    while shape := _shape(tensors, f"fc.{3 * len(head)}.weight"):
        if not shape[0] or shape[1:] != (inputs,):
            return None
        inputs = shape[0]
        head.append(inputs)
    return ResNetConfig(tuple(blocks), width, tuple(head))


def _shape(tensors: Mapping[str, np.ndarray], name: str) -> tuple[int, ...]:
    return tensors[name].shape if name in tensors else ()
