"""Seconds and memory of one training step: `python -m benchmarks.steps [BACKBONE ...]`.

Three kinds of step on 32 source and 32 target pictures, with the paper's shapes:

    tuned    pictures through E_I and back through it
    frozen   pictures through a frozen E_I
    cached   its maps from a feature cache

Each runs in a process of its own, input pipeline included. What counts is CPU time, of all cores:
other work of the machine slows the clock more. Beside it stands the arithmetic: multiply-adds
counted from the layers, over the rate of a large matrix product measured in the same process just
before and after. Weights are random, which takes the same time. The
cache of 128 pictures stays in memory: reading a large one from a disk comes on top.
"""

import argparse
import json
import os
import resource
import tempfile
from collections.abc import Sequence
from typing import Any

from benchmarks import children, report, running
from benchmarks.report import Report
from benchmarks.step_costs import COLUMNS, Clock, cells, layer_multiply_adds, matrix_rate
from datasets import tensorflow_process

KINDS = ("tuned", "frozen", "cached")
_BATCH = 32
_STEPS = {"tuned": 4, "frozen": 6, "cached": 20}
_EMBEDDING_DIM = {"ResNet50": 2048}


def main(backbones: Sequence[str], path: str | None) -> None:
    """Measures each network of `keras.applications` and prints a report.

    Args:
        backbones: their names.
        path: of a JSON file, or nothing.
    """
    where, rows = report.machine(), []
    for backbone in backbones:
        tuned = None
        for kind in KINDS:
            found = children.answer("benchmarks.steps", ["--child", backbone, kind])
            tuned = tuned or found
            times = tuned["cpu_seconds"] / found["cpu_seconds"]
            rows.append([f"{backbone}, {kind}", times, *cells(found, 2 * _BATCH)])
    steps = ", ".join(f"{count} {kind}" for kind, count in _STEPS.items())
    notes = [
        f"{_BATCH} source and {_BATCH} target pictures a step, input pipeline included; medians of "
        f"{steps} steps. The bound is what the layers' multiply-adds take at the rate of a large "
        "matrix product."
    ]
    columns = ["step", "times tuned's rate, CPU", *COLUMNS]
    report.finish(Report(columns, rows, notes), where, path)


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
        **clock.medians(),
        "multiply_adds": step_multiply_adds(model, kind),
        "matrix_rate": max(rates),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(result))


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument(
        "backbones", nargs="*", default=["MobileNetV2", "ResNet50"], metavar="BACKBONE"
    )
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    report.add_flag(parser)
    arguments = parser.parse_args()
    if arguments.child:
        running.run(lambda: measure(*arguments.child))
    else:
        running.run(lambda: main(arguments.backbones, arguments.json))
