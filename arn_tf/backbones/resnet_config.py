"""What a ResNet of PyTorch is, by its tensors' names and shapes: its blocks, its width, its head.

Without Keras: what only looks at a weights file needs no more than this.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

# Of a block's last convolution, what enters the others.
EXPANSION = 4
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
        """That of the last stage when it was trained."""
        return 2

    @property
    def input_size(self) -> tuple[int, ...]:
        """(height, width) of the pictures that it takes; empty: any."""
        return ()

    def to_json(self) -> dict:
        """Returns the fields as JSON has them: lists for tuples."""
        return {"blocks": list(self.blocks), "width": self.width, "head": list(self.head)}

    @classmethod
    def from_json(cls, fields: Mapping) -> "ResNetConfig":
        """Returns what `to_json` was made from."""
        return cls(tuple(fields["blocks"]), fields["width"], tuple(fields["head"]))


def is_json(fields: Mapping) -> bool:
    """Whether `ResNetConfig.to_json` made these fields, and not those of an OSNet."""
    return "width" in fields


def config_of(tensors: Mapping[str, np.ndarray]) -> ResNetConfig | None:
    """Returns the ResNet that PyTorch's tensors look like; None: they look like none.

    Whether each tensor is there, and of its right shape, is for who gives them to a network.
    """
    blocks: list[int] = []
    while f"layer{len(blocks) + 1}.0.conv3.weight" in tensors:
        stage, count = len(blocks) + 1, 0
        while f"layer{stage}.{count}.conv3.weight" in tensors:
            count += 1
        blocks.append(count)
    head: list[int] = []
    while f"fc.{3 * len(head)}.weight" in tensors:
        head.append(_outputs(tensors, f"fc.{3 * len(head)}.weight"))
    width = _outputs(tensors, "conv1.weight")
    if tuple(blocks) not in RESNETS or not width or not all(head):
        return None
    return ResNetConfig(tuple(blocks), width, tuple(head))


def _outputs(tensors: Mapping[str, np.ndarray], name: str) -> int:
    return next(iter(tensors[name].shape), 0) if name in tensors else 0
