"""A narrow ResNet50 as a file of torchreid, with random weights."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tests.support import torch_files

WIDTH = 8
BLOCKS = (3, 4, 6, 3)
PERSONS = 7


def tensors(head: int = 0, blocks: Sequence[int] = BLOCKS) -> dict[str, np.ndarray]:
    """Returns its weights in PyTorch's shapes, by PyTorch's names, those of a classifier too.

    Args:
        head: width of the fully connected layer behind the average; 0: there is none.
        blocks: of each stage, where it is another ResNet.
    """
    random = np.random.default_rng(0)
    found = {}
    for name, shape in _shapes(head, blocks):
        if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            # Of a residual a fifth, so that sixteen of them don't add up to thousands.
            value = random.uniform(0.5, 1.5, shape) * (0.2 if "bn3.weight" in name else 1)
        elif len(shape) > 1:
            value = random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        else:
            value = random.normal(0, 0.1, shape)
        found[name] = value.astype("<f4")
        if name.endswith("running_var"):
            found[name.replace("running_var", "num_batches_tracked")] = np.array(3, "<i8")
    return found


def saved(path: Any, head: int = 0) -> str:
    """Writes it as torchreid does; returns its path."""
    return torch_files.saved(path, tensors(head), "state_dict")


def _shapes(head: int, of_stages: Sequence[int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _layer("conv1", (WIDTH, 3, 7, 7), "bn1")
    channels = WIDTH
    for stage, blocks in enumerate(of_stages):
        inner = WIDTH * 2**stage
        for place in range(blocks):
            own = f"layer{stage + 1}.{place}"
            yield from _layer(f"{own}.conv1", (inner, channels, 1, 1), f"{own}.bn1")
            yield from _layer(f"{own}.conv2", (inner, inner, 3, 3), f"{own}.bn2")
            yield from _layer(f"{own}.conv3", (4 * inner, inner, 1, 1), f"{own}.bn3")
            if not place:
                down = f"{own}.downsample"
                yield from _layer(f"{down}.0", (4 * inner, channels, 1, 1), f"{down}.1")
            channels = 4 * inner
    if head:
        yield from _layer("fc.0", (head, channels), "fc.1")
        yield "fc.0.bias", (head,)
    yield "classifier.weight", (PERSONS, head or channels)
    yield "classifier.bias", (PERSONS,)


def _layer(
    name: str, shape: tuple[int, ...], normalization: str
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", shape
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{normalization}.{part}", shape[:1]
