"""What an OSNet is: widths of its stages, where it has instance normalisation, its head.

Without Keras: what only names a network, or looks at a weights file, needs no more than this.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

# Where a block has an instance normalisation: nowhere, in place of the batch normalisation that
# ends its residual (OSNet-AIN), or after the sum (OSNet-IBN).
NOWHERE, INSIDE, AFTER = "", "inside", "after"
_PLAIN = (NOWHERE, NOWHERE)
# Pixels of a picture for each of the last map.
_HALVED = 16
# Of the networks of the Open Model Zoo.
ZOO_GATE_GROUPS = 16
WIDTHS = {"x1_0": 1.0, "x0_75": 0.75, "x0_5": 0.5, "x0_25": 0.25}


@dataclasses.dataclass(frozen=True)
class OSNetConfig:
    """An OSNet (Zhou et al., ICCV 2019; with instance normalisation TPAMI 2021).

    Attributes:
        channels: of the first convolution and of the three stages.
        blocks: of each stage, of each of its blocks, where it has an instance normalisation.
        first_instance: whether the first convolution's normalisation is one.
        head: widths of the fully connected layers behind the average of the last map; none: the
            network ends in that map.
        streams: of a block; the t-th sees 2t + 1 pixels each way.
        reduction: of a block's channels, between its 1x1 convolutions.
        gate_reduction: of those, inside the gate.
        picture_instance: whether each picture is normalised by its own mean and deviation.
        gate_groups: of the normalisation that is the gate of every stage's last block; at most as
            many as divide its channels. 0: all gates are two layers.
        average_size: (height, width) of the one map that a learned average takes; empty: a mean.
        prelu: whether the head ends in a PReLU.
    """

    channels: tuple[int, ...] = (64, 256, 384, 512)
    blocks: tuple[tuple[str, ...], ...] = (_PLAIN, _PLAIN, _PLAIN)
    first_instance: bool = False
    head: tuple[int, ...] = (512,)
    streams: int = 4
    reduction: int = 4
    gate_reduction: int = 16
    # Those of the Open Model Zoo's networks.
    picture_instance: bool = False
    gate_groups: int = 0
    average_size: tuple[int, ...] = ()
    prelu: bool = False
    # That of the last stage: it keeps the size of the map.
    last_stride: ClassVar[int] = 1

    @property
    def embedding_dim(self) -> int:
        """Channels of what the network ends in."""
        return self.head[-1] if self.head else self.channels[-1]

    @property
    def input_size(self) -> tuple[int, ...]:
        """(height, width) of the pictures that a learned average takes; empty: any."""
        return tuple(_HALVED * side for side in self.average_size)

    def to_json(self) -> dict:
        """Returns the fields as JSON has them: lists for tuples."""
        return dataclasses.asdict(self) | {
            "channels": list(self.channels),
            "blocks": [list(stage) for stage in self.blocks],
            "head": list(self.head),
            "average_size": list(self.average_size),
        }

    @classmethod
    def from_json(cls, fields: Mapping) -> "OSNetConfig":
        """Returns what `to_json` was made from."""
        return cls(
            **{
                **fields,
                "channels": tuple(fields["channels"]),
                "blocks": tuple(tuple(stage) for stage in fields["blocks"]),
                "head": tuple(fields["head"]),
                "average_size": tuple(fields["average_size"]),
            }
        )


# By name, in full width, as torchreid builds them: osnet_x1_0, osnet_ibn_x1_0, osnet_ain_x1_0.
OSNETS = {
    "OSNet": OSNetConfig(),
    "OSNetIBN": OSNetConfig(blocks=((AFTER, AFTER), _PLAIN, _PLAIN), first_instance=True),
    "OSNetAIN": OSNetConfig(
        blocks=((INSIDE, INSIDE), (NOWHERE, INSIDE), (INSIDE, NOWHERE)), first_instance=True
    ),
}


def named(name: str) -> OSNetConfig | None:
    """Returns the OSNet of a name like OSNetAIN or OSNetAIN_x0_25; None: it is none."""
    kind, separator, width = name.partition("_")
    width = width if separator else "x1_0"
    if kind not in OSNETS or width not in WIDTHS:
        return None
    full, factor = OSNETS[kind], WIDTHS[width]
    channels = tuple(int(factor * channels) for channels in full.channels)
    return dataclasses.replace(full, channels=channels)
