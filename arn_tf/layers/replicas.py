"""Replicas of a model on several devices: how many there are, and what crosses between them.

The functions of tensors are called by every replica inside a step; alone, it does nothing in them.
"""

import numpy as np
import tensorflow as tf

from arn_tf.errors import ArgumentError, UserError


def make_strategy(wanted: int, batch_size: int) -> tf.distribute.MirroredStrategy:
    """Returns a `MirroredStrategy`; prints the devices.

    Args:
        wanted: replicas; 0: all GPUs, or one CPU.
        batch_size: pictures that the replicas share.

    Raises:
        UserError: fewer GPUs than asked for, or a batch that doesn't divide.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        if wanted > len(gpus):
            raise ArgumentError("replicas", wanted, f"this machine has {len(gpus)} GPUs")
        devices = [f"GPU:{i}" for i in range(wanted or len(gpus))]
        print(f"training on {', '.join(devices)}")
    else:
        print(
            "training on the CPU: TensorFlow sees no GPU. On a machine that has one, "
            "pip install 'tensorflow[and-cuda]'"
        )
        wanted = wanted or 1
        if len(tf.config.list_logical_devices("CPU")) < wanted:
            raise ArgumentError("replicas", wanted, "call split_cpu before TensorFlow starts")
        devices = [f"CPU:{i}" for i in range(wanted)]
    if batch_size % len(devices):
        raise UserError(
            f"batch_size={batch_size} can't be divided by the {len(devices)} replicas: pass "
            "replicas=N or another batch",
            ["batch_size", "replicas"],
        )
    return tf.distribute.MirroredStrategy(devices)


def split_cpu(replicas: int) -> None:
    """Makes a CPU without GPU count as several devices; before TensorFlow has used it."""
    if replicas < 2 or tf.config.list_physical_devices("GPU"):
        return
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * replicas
    )


def count() -> int:
    """Returns the number of replicas of the strategy in force."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def gather(value: tf.Tensor) -> tf.Tensor:
    """Concatenates the replicas' batches, [B, ...] each, in replica order."""
    context = _context()
    return value if context is None else context.all_gather(value, axis=0)


def mean(value: tf.Tensor) -> tf.Tensor:
    """Returns the mean over replicas of a value of each, with its gradient."""
    context = _context()
    return value if context is None else context.all_reduce(tf.distribute.ReduceOp.MEAN, value)


def moments(value: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns mean and variance over all axes but the last and over replicas: float [channels].

    The variance is the mean squared deviation: E[x^2] - E[x]^2 loses digits where means are large.
    """
    axes = list(range(value.shape.rank - 1))
    centre = mean(tf.reduce_mean(value, axes))
    return centre, mean(tf.reduce_mean(tf.math.squared_difference(value, centre), axes))


def total(values: list[tf.Tensor]) -> list[tf.Tensor]:
    """Sums a list of tensors of each replica over replicas."""
    context = _context()
    return values if context is None else context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def resizable(value: np.ndarray) -> tf.Variable:
    """Returns a variable, [N, ...], that takes values of any other N; what is traced holds for all.

    Of what the replicas assign to it the first one's counts.
    """
    return tf.Variable(
        value,
        trainable=False,
        shape=[None, *value.shape[1:]],
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


def _context() -> tf.distribute.ReplicaContext | None:
    """Returns the replica's context, or None where it is alone or outside a step."""
    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None
