"""What a network of public weights expects of its pixels: it travels with the weights."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

RGB, BGR = "RGB", "BGR"


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """(pixel / divisor - mean) / deviation, for each channel.

    Attributes:
        order: of the channels, `RGB` or `BGR`.
        divisor: 255 for a network that takes 0..1.
        mean: of each channel, in that order, after the division.
        deviation: likewise.
    """

    order: str = RGB
    divisor: float = 255.0
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    deviation: tuple[float, ...] = (0.229, 0.224, 0.225)

    def __call__(self, images: "tf.Tensor") -> "tf.Tensor":
        """Returns RGB images in 0..255, float [B, height, width, 3], as the network takes them."""
        if self.order == BGR:
            images = images[..., ::-1]
        return (images / self.divisor - np.float32(self.mean)) / np.float32(self.deviation)

    def __str__(self) -> str:
        numbers = f"mean {_listed(self.mean)}, deviation {_listed(self.deviation)}"
        return f"{self.order}, 0..{255 / self.divisor:g}, {numbers}"

    def to_json(self) -> dict:
        """Returns the fields as JSON has them: lists for tuples."""
        fields = dataclasses.asdict(self)
        return fields | {"mean": list(self.mean), "deviation": list(self.deviation)}

    @classmethod
    def from_json(cls, fields: Mapping) -> "Preprocessing":
        """Returns what `to_json` was made from."""
        return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()})


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
