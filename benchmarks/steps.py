"""Seconds and memory of one training step: `python -m benchmarks.steps [BACKBONE ...]`.

Three kinds of step on 32 source and 32 target pictures, with the paper's shapes:

    tuned    pictures through E_I and back through it
    frozen   pictures through a frozen E_I
    cached   its maps from a feature cache

Each runs in a process of its own, input pipeline included. Beside the time stands the arithmetic:
multiply-adds counted from the layers, over the rate of a large matrix product measured in the same
process just before and after. Weights are random, which takes the same time. The
cache of 128 pictures stays in memory: reading a large one from a disk comes on top.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import tensorflow_process
from serving import command

KINDS = ("tuned", "frozen", "cached")
_BATCH = 32
_STEPS = {"tuned": 4, "frozen": 6, "cached": 20}
_EMBEDDING_DIM = {"ResNet50": 2048}
_MATRIX = 2048


def main(backbones: Sequence[str]) -> None:
    """Measures each network of `keras.applications` and prints a table."""
    print(
        f"{'':24}{'s/step':>8}{'images/s':>10}{'G mult-adds':>13}{'bound s':>9}{'of bound':>10}"
        f"{'peak MiB':>10}"
    )
    for backbone in backbones:
        seconds = {}
        for kind in KINDS:
            command = [sys.executable, "-m", "benchmarks.steps", "--child", backbone, kind]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            result = json.loads(output.strip().splitlines()[-1])
            seconds[kind] = result["seconds"]
            bound = result["multiply_adds"] / result["matrix_rate"]
            print(
                f"{backbone + ' ' + kind:24}{result['seconds']:8.3f}"
                f"{2 * _BATCH / result['seconds']:10.1f}{result['multiply_adds'] / 1e9:13.1f}"
                f"{bound:9.3f}{bound / result['seconds']:10.0%}{result['peak_mib']:10.0f}",
                flush=True,
            )
        print(
            f"{backbone}: cached is {seconds['frozen'] / seconds['cached']:.1f} times as fast as "
            f"frozen, {seconds['tuned'] / seconds['cached']:.1f} times as fast as tuned",
            flush=True,
        )


def measure(backbone: str, kind: str) -> None:
    """Measures one kind of step, in this process, and prints a line of JSON.

    Args:
        backbone: a network of `keras.applications`.
        kind: one of `KINDS`.
    """
    # As a command does, before it imports TensorFlow.
    tensorflow_process.prepare()
    import keras
    import numpy as np
    import tensorflow as tf

    import arn_tf
    from arn_tf.data.sampling import Sampler
    from arn_tf.paper.batches import training_batches

    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        embedding_dim = _EMBEDDING_DIM.get(backbone, 512)
        model = arn_tf.ARN(16, backbone, "random", embedding_dim=embedding_dim)
        model.compile(optimizer=arn_tf.grouped_optimizer(model), jit_compile=False)
    model.tune_encoder_i = kind == "tuned"
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        if kind == "cached":
            maps = np.lib.format.open_memmap(
                os.path.join(folder, "maps.npy"), "w+", np.float16, (128, 2, *model.map_shape)
            )
            maps[:] = rng.random(maps.shape[1:], dtype=np.float32)
            pictures = [maps, maps]
        else:
            noise = rng.integers(0, 256, (128, 128, 64, 3), dtype=np.uint8)
            encoded = np.empty(128, dtype=object)
            encoded[:] = [tf.io.encode_jpeg(image).numpy() for image in noise]
            pictures = [encoded, encoded]
        sampler = Sampler(np.repeat(np.arange(16, dtype=np.int32), 8), 128, _BATCH, 4, 0)
        batches = training_batches(sampler, *pictures, range(10**6), image_size=model.input_size)
        clock = Clock()
        rates = [matrix_rate(tf)]
        model.fit(
            batches,
            epochs=1,
            steps_per_epoch=2 + _STEPS[kind],
            verbose=0,
            shuffle=False,
            callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=clock)],
        )
        rates.append(matrix_rate(tf))
    result = {
        # The first two steps trace and warm up.
        "seconds": float(np.median(np.diff(clock.times)[1:])),
        "multiply_adds": step_multiply_adds(model, kind),
        "matrix_rate": max(rates),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(result))


class Clock:
    """Keeps when each batch ended, as a callback's `on_train_batch_end`.

    Attributes:
        times: of `time.perf_counter`, seconds.
    """

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, batch: int, logs: Mapping[str, Any] | None) -> None:
        self.times.append(time.perf_counter())


def matrix_rate(tf: types.ModuleType) -> float:
    """Returns the multiply-adds a second of a large float32 matrix product, the best of several.

    Args:
        tf: the module tensorflow, which only child processes import.
    """
    left = tf.random.normal((_MATRIX, _MATRIX))
    best = float("inf")
    for _ in range(8):
        start = time.perf_counter()
        tf.matmul(left, left).numpy()
        best = min(best, time.perf_counter() - start)
    return _MATRIX**3 / best


def step_multiply_adds(model: Any, kind: str) -> int:
    """Returns the multiply-adds of one step on 2 x 32 pictures.

    A layer costs three times its forward pass: forward, gradient of the weights, gradient of the
    input; the last is not needed in the first layer of what is trained.

    Args:
        model: an `ARN`.
        kind: one of `KINDS`.
    """
    image, maps = (*model.input_size, 3), model.map_shape
    code = (model.decoder_c.expand.kernel.shape[0],)
    backbone = layer_multiply_adds(model.encoder_i, image)
    encoder = layer_multiply_adds(model.encoder_c, maps)
    decoder = layer_multiply_adds(model.decoder_c, code)
    heads = 2 * 3 * sum(encoder) + 3 * sum(decoder)
    if kind != "tuned":
        heads -= 2 * encoder[0]
    passes = {"tuned": 3 * sum(backbone) - backbone[0], "frozen": sum(backbone), "cached": 0}
    return 2 * _BATCH * (heads + passes[kind])


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument(
        "backbones", nargs="*", default=["MobileNetV2", "ResNet50"], metavar="BACKBONE"
    )
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure(*arguments.child)
    else:
        command.run(lambda: main(arguments.backbones))
