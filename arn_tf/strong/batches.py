"""Pictures of the strong recipe: decoded once, kept as arrays, changed at random in each batch."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from arn_tf.data.batches import batches, gather_pictures
from arn_tf.data.images import decoded_batches
from arn_tf.data.joined import JoinedPictures
from arn_tf.data.sampling import Sampler
from arn_tf.data.split import Split
from arn_tf.strong.augmentation import augment

_BATCH = 256
# Between the seeds of one kind of pictures and of change, and another's.
STREAM = 1_000_000
# Batches that are kept ready.
PREFETCH = 4


def decoded(split: Split, image_size: tuple[int, int]) -> np.ndarray:
    """Returns every picture of a split, uint8 [N, height, width, 3]: 25 KB each at 128 x 64.

    Args:
        split: of a data set.
        image_size: (height, width) in pixels.
    """
    if split.pictures is not None and split.pictures.shape[1:3] == image_size:
        return split.pictures
    pictures = np.empty((len(split), *image_size, 3), np.uint8)
    start = 0
    for batch in decoded_batches(split.images, image_size, _BATCH):
        pictures[start : start + len(batch)] = batch
        start += len(batch)
    return pictures


def source_batches(
    sampler: Sampler,
    pictures: np.ndarray | JoinedPictures,
    epochs: range,
    seed: int,
    target: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Returns augmented identity-balanced batches, `sampler.steps_per_epoch` an epoch.

    What a batch holds follows from the seed and its number alone, so that a resumed run sees
    what an uninterrupted one would, on any number of replicas.

    Args:
        sampler: of source and target rows.
        pictures: uint8 [N, height, width, 3].
        epochs: range of epoch numbers.
        seed: of the augmentation.
        target: unlabelled pictures, uint8 [M, height, width, 3], where batches hold them too; the
            source's are the same with and without.

    Returns:
        {"source_images": float32 [B, height, width, 3], "source_labels":
        int32 [B]}, and "target_images" as "source_images".
    """

    def plans() -> Iterator[tuple[np.ndarray, np.ndarray, np.int32]]:
        for epoch in epochs:
            plan, first = sampler.epoch(epoch), epoch * sampler.steps_per_epoch
            for step, rows in enumerate(zip(plan.source_rows, plan.target_rows, strict=True)):
                yield *rows, np.int32(first + step)

    def load(rows: tf.Tensor, target_rows: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = {
            "source_images": augment(gather_pictures(pictures, rows), tf.stack([seed, step])),
            "source_labels": tf.gather(labels, rows),
        }
        if target is not None:
            images = gather_pictures(target, target_rows)
            batch["target_images"] = augment(images, tf.stack([seed + STREAM, step]))
        return batch

    labels = tf.constant(sampler.labels)
    rows = tf.TensorSpec([sampler.batch_size], tf.int64)
    signature = (rows, rows, tf.TensorSpec([], tf.int32))
    return batches(plans, signature, load, prefetch=PREFETCH)
