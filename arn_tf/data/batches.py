"""Batches for training, in an order that the caller plans, prepared ahead of their use."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from arn_tf.data.joined import JoinedPictures


def batches(
    plans: Callable[[], Iterable[Any]],
    signature: Any,
    load: Callable[..., Any],
    *,
    prefetch: int,
) -> tf.data.Dataset:
    """Returns a dataset of `load` of each plan, in the order of the plans.

    Plans are loaded in parallel. Equal plans give equal batches if `load` is a function of its
    plan alone.

    Args:
        plans: makes an iterator of plans, nested structures of numbers and arrays.
        signature: `tf.TensorSpec`s of a plan, in the same structure.
        load: makes a batch of a plan's tensors; a tuple is passed as one argument each.
        prefetch: batches that are kept ready.
    """
    options = tf.data.Options()
    # One worker: the global batch is split over replicas, never the files.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    dataset = tf.data.Dataset.from_generator(plans, output_signature=signature)
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.prefetch(prefetch).with_options(options)


def gather_pictures(pictures: np.ndarray | JoinedPictures, rows: tf.Tensor) -> tf.Tensor:
    """Returns pictures by row, uint8 [B, height, width, 3], inside a `tf.data` function.

    Args:
        pictures: uint8 [N, height, width, 3], kept in memory as they are.
        rows: int64 [B].
    """
    images = tf.numpy_function(lambda rows: pictures[rows], [rows], tf.uint8)
    return tf.ensure_shape(images, [*rows.shape, *pictures.shape[1:]])
