"""Pictures of the strong recipe: decoded once, held in memory, changed at random in each batch."""

import numpy as np
import tensorflow as tf

from arn_tf.augmentation import augment
from arn_tf.input_pipeline import decoded_batches

_BATCH = 256


def decoded(split, image_size):
    """Every picture of a split, uint8 [N, height, width, 3]: 25 KB each at 128 x 64."""
    pictures = np.empty((len(split), *image_size, 3), np.uint8)
    start = 0
    for batch in decoded_batches(split.images, image_size, _BATCH):
        pictures[start : start + len(batch)] = batch
        start += len(batch)
    return pictures


def source_batches(sampler, pictures, epochs, seed):
    """Augmented identity-balanced batches of the source, `sampler.steps_per_epoch` an epoch.

    What a batch holds follows from the seed and its number alone, so that a resumed run sees
    what an uninterrupted one would, on any number of replicas.

    Args:
        sampler: `sampling.Sampler`.
        pictures: uint8 [N, height, width, 3].
        epochs: range of epoch numbers.
        seed: of the augmentation.

    Returns:
        `tf.data.Dataset` of {"source_images": float32 [B, height, width, 3], "source_labels":
        int32 [B]}.
    """

    def plans():
        for epoch in epochs:
            for step, rows in enumerate(sampler.epoch(epoch).source_rows):
                yield rows, np.int32(epoch * sampler.steps_per_epoch + step)

    def load(rows, step):
        images = gather_pictures(pictures, rows)
        return {
            "source_images": augment(images, tf.stack([seed, step])),
            "source_labels": tf.gather(labels, rows),
        }

    labels = tf.constant(sampler.labels)
    signature = (
        tf.TensorSpec([sampler.batch_size], tf.int64), tf.TensorSpec([], tf.int32),
    )  # fmt: skip
    return batches(plans, signature, load)


def gather_pictures(pictures, rows):
    """Pictures by row, uint8 [B, height, width, 3], inside a `tf.data` function."""
    images = tf.numpy_function(lambda rows: pictures[rows], [rows], tf.uint8)
    return tf.ensure_shape(images, [*rows.shape, *pictures.shape[1:]])


def batches(plans, signature, load):
    """A dataset of `load` of each plan, in order, prepared ahead of its use."""
    options = tf.data.Options()
    # One worker: the global batch is split over replicas, never the files.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    dataset = tf.data.Dataset.from_generator(plans, output_signature=signature)
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.prefetch(4).with_options(options)
