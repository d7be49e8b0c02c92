"""Embeds whole splits, from images or from a feature cache, in bounded memory."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from arn_tf.data.split import Split
from arn_tf.layers.normalization import TARGET
from arn_tf.paper.feature_cache import maps_of_pictures
from arn_tf.paper.model import ARN

_BATCH = 64
# Unlabelled target pictures whose maps set the target's batch statistics: 0.4 GB with ResNet-50.
STATISTICS_PICTURES = 2048


def map_batches(
    model: ARN, split: Split, maps: np.ndarray | None = None, rows: Sequence[int] | None = None
) -> Iterator[np.ndarray]:
    """Yields X of the rows (default: all), float32 [<=64, h, w, C], in order.

    Args:
        model: an `ARN`.
        split: its pictures.
        maps: its cached maps [N, views, h, w, C]; None runs the pictures through E_I.
        rows: int [n].
    """
    rows = np.arange(len(split)) if rows is None else np.asarray(rows)
    if maps is None:
        for views in maps_of_pictures(model, split.images[rows], 1, _BATCH):
            yield views[:, 0]
        return
    for start in range(0, len(rows), _BATCH):
        yield maps[rows[start : start + _BATCH], 0].astype(np.float32)


def embed_split(
    model: ARN, split: Split, maps: np.ndarray | None = None, domain: int = TARGET
) -> np.ndarray:
    """Returns embeddings of every picture, float32 [N, D], of unit length; see `map_batches`."""
    batches = map_batches(model, split, maps)
    return np.concatenate([model.compiled_embed_maps(x, domain).numpy() for x in batches])


def pool_split(model: ARN, split: Split, maps: np.ndarray | None = None) -> np.ndarray:
    """Returns X averaged over positions, float32 [N, C]: what E_I gives without E_C."""
    return np.concatenate([x.mean(axis=(1, 2)) for x in map_batches(model, split, maps)])


def estimate_target_statistics(model: ARN, train: Split, maps: np.ndarray | None = None) -> None:
    """Sets the target's batch statistics in E_C from unlabelled training pictures.

    Exact over up to `STATISTICS_PICTURES` pictures, evenly spread over the split.

    Args:
        model: an `ARN`.
        train: the target's training `Split`; its labels are not read.
        maps: its cached maps or None.
    """
    count = min(len(train), STATISTICS_PICTURES)
    rows = np.linspace(0, len(train) - 1, count).astype(np.int64)
    batches = [
        model.scaled(x).numpy().astype(np.float16) for x in map_batches(model, train, maps, rows)
    ]
    model.encoder_c.estimate_statistics(_Float32(batches), TARGET)


class _Float32:
    """Batches stored as float16 and iterated as float32, any number of times."""

    def __init__(self, batches: list[np.ndarray]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[tf.Tensor]:
        return (tf.cast(batch, tf.float32) for batch in self._batches)
