"""The batches that `ARN.fit` takes, from images or from a feature cache, epoch after epoch."""

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from arn_tf.data.batches import batches
from arn_tf.data.images import decode_rows
from arn_tf.data.sampling import Sampler

# Loads the pictures of rows, int64 [B], and flips, uint8 [B].
_Load = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def training_batches(
    sampler: Sampler,
    source: np.ndarray,
    target: np.ndarray | None,
    epochs: range,
    *,
    image_size: tuple[int, int] | None = None,
    with_target: bool = True,
) -> tf.data.Dataset:
    """Returns a data set of batches, `sampler.steps_per_epoch` for each epoch.

    Which pictures a batch holds, and which of them are mirrored, follows from the sampler alone:
    images and cached maps give the same training.

    Args:
        sampler: of source and target rows.
        source: encoded pictures, object [N], or their cached maps, float16 [N, 2, h, w, C].
        target: likewise; not read without `with_target`.
        epochs: range of epoch numbers.
        image_size: (height, width) in pixels, for pictures.
        with_target: whether batches hold target pictures.

    Returns:
        dicts: `source_labels` int32 [B], and `source_images`, uint8 [B, height, width, 3], or
        `source_maps`, float16 [B, h, w, C]; likewise `target_...`, without labels.
    """

    def plans() -> Iterator[dict[str, np.ndarray]]:
        for number in epochs:
            plan = sampler.epoch(number)
            for step in range(sampler.steps_per_epoch):
                yield {
                    "source_rows": plan.source_rows[step],
                    "source_flips": plan.source_flips[step],
                    "target_rows": plan.target_rows[step],
                    "target_flips": plan.target_flips[step],
                }

    signature = {
        f"{domain}_{kind}": tf.TensorSpec([sampler.batch_size], dtype)
        for domain in ("source", "target")
        for kind, dtype in (("rows", tf.int64), ("flips", tf.uint8))
    }
    labels = tf.constant(sampler.labels)
    domains = {"source": _loader(source, image_size, sampler.batch_size)}
    if with_target:
        domains["target"] = _loader(target, image_size, sampler.batch_size)

    def load(plan: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        batch = {"source_labels": tf.gather(labels, plan["source_rows"])}
        for name, (kind, loader) in domains.items():
            batch[f"{name}_{kind}"] = loader(plan[f"{name}_rows"], plan[f"{name}_flips"])
        return batch

    return batches(plans, signature, load, prefetch=2)


def _loader(
    pictures: np.ndarray, image_size: tuple[int, int] | None, batch_size: int
) -> tuple[str, _Load]:
    """Returns the kind of tensor and its loader, for encoded pictures or cached maps."""
    if pictures.dtype == object:
        encoded = tf.constant(pictures)
        return "images", lambda rows, flips: decode_rows(encoded, rows, flips, image_size)

    def read(rows: np.ndarray, flips: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(pictures[rows, flips])

    def load(rows: tf.Tensor, flips: tf.Tensor) -> tf.Tensor:
        maps = tf.numpy_function(read, [rows, flips], tf.float16)
        return tf.ensure_shape(maps, [batch_size, *pictures.shape[2:]])

    return "maps", load
