"""What a step costs: its time, its memory, and the arithmetic that it can't do without."""

import math
import time
import types
from collections.abc import Mapping
from typing import Any

_MATRIX = 2048
COLUMNS = (
    "% of the bound, CPU",
    "pictures/CPU s",
    "CPU ms",
    "bound, CPU ms",
    "clock ms",
    "pictures/s of the clock",
    "G multiply-adds",
    "peak MiB",
)


def cells(found: Mapping[str, float], pictures: int) -> list[float]:
    """Returns the cells of `COLUMNS`.

    Args:
        found: what a child printed.
        pictures: of a step.
    """
    bound = found["multiply_adds"] / found["matrix_rate"]
    return [
        100 * bound / found["cpu_seconds"],
        pictures / found["cpu_seconds"],
        1e3 * found["cpu_seconds"],
        1e3 * bound,
        1e3 * found["seconds"],
        pictures / found["seconds"],
        found["multiply_adds"] / 1e9,
        found["peak_mib"],
    ]


class Clock:
    """Keeps when each batch ended, as a callback's `on_train_batch_end`."""

    def __init__(self) -> None:
        self._times: list[tuple[float, float]] = []

    def __call__(self, batch: int, logs: Mapping[str, Any] | None) -> None:
        self._times.append((time.perf_counter(), time.process_time()))

    def medians(self) -> dict[str, float]:
        """Returns the seconds of a batch, on the clock and of CPU; the first two warm up."""
        import numpy as np

        seconds, cpu = np.median(np.diff(self._times, axis=0)[1:], axis=0)
        return {"seconds": float(seconds), "cpu_seconds": float(cpu)}


def matrix_rate(tf: types.ModuleType) -> float:
    """Returns the multiply-adds of a CPU second of a large float32 product, the best of several.

    Args:
        tf: the module tensorflow, which only child processes import.
    """
    left = tf.random.normal((_MATRIX, _MATRIX))
    best = float("inf")
    for _ in range(8):
        start = time.process_time()
        tf.matmul(left, left).numpy()
        best = min(best, time.process_time() - start)
    return _MATRIX**3 / best


def layer_multiply_adds(network: Any, shape: tuple[int, ...]) -> list[int]:
    """Returns the multiply-adds for one picture of each convolution and matrix product, in order.

    Args:
        network: a `keras.Model` or layer.
        shape: of its input for one picture.
    """
    import tensorflow as tf

    signature = tf.TensorSpec([1, *shape], tf.float32)
    graph = tf.function(lambda x: network(x, training=False)).get_concrete_function(signature).graph
    counts = []
    for operation in graph.get_operations():
        if operation.type == "MatMul":
            counts.append(math.prod(operation.inputs[1].shape))
        elif operation.type in ("Conv2D", "DepthwiseConv2dNative"):
            positions = operation.outputs[0].shape[1:3]
            counts.append(math.prod(operation.inputs[1].shape) * math.prod(positions))
        elif operation.type == "Conv2DBackpropInput":
            # A transposed convolution: its kernel is applied at every position of its input.
            positions = operation.inputs[2].shape[1:3]
            counts.append(math.prod(operation.inputs[1].shape) * math.prod(positions))
    return counts
