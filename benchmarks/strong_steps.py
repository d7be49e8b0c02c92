"""Seconds of one step of the strong recipe: `python -m benchmarks.strong_steps [BACKBONE ...]`.

At 128x64 and last stride 1, weights random, which takes the same time, augmentation included:

    source         32 source pictures through E_I and back
    self-training  32 source pictures, and 16 of each of two target cameras
    plain          embedding by the running statistics, no mirror image
    by camera      embedding by each picture's camera, with its mirror image: twice the pictures

Each runs in a process of its own. Beside the time stands the arithmetic, as in `benchmarks.steps`,
and what prototypes of the recipe reached with MobileNetV2 on an idle machine with two cores: one
in PyTorch in bfloat16, and one in Keras in float32 with plain batch normalisation and with the
network's own last stride, a smaller map.
"""

import argparse
import json
import resource
from collections.abc import Sequence
from typing import Any

from benchmarks import children, report, running
from benchmarks.report import Report
from benchmarks.step_costs import COLUMNS, Clock, cells, layer_multiply_adds, matrix_rate
from datasets import tensorflow_process

INPUT_SIZE = (128, 64)
# Pictures that one step, or one call, handles.
PICTURES = {"source": 32, "self-training": 64, "plain": 256, "by camera": 256}
_STEPS = {"source": 10, "self-training": 8, "plain": 8, "by camera": 6}
# Images a second.
PROTOTYPE = {
    "source": "torch 112-125; Keras 92",
    "self-training": "torch 94-98",  # 0.26-0.29 s for the source, 0.39 s for two cameras
    "plain": "torch 690",
    "by camera": None,
}
_BATCH, _CAMERAS, _IDENTITIES = 32, 6, 16


def main(backbones: Sequence[str], path: str | None) -> None:
    """Measures each network of `keras.applications` and prints a report.

    Args:
        backbones: their names.
        path: of a JSON file, or nothing.
    """
    where, rows = report.machine(), []
    for backbone in backbones:
        for kind, pictures in PICTURES.items():
            found = children.answer("benchmarks.strong_steps", ["--child", backbone, kind])
            prototype = PROTOTYPE[kind] if backbone == "MobileNetV2" else None
            rows.append([f"{backbone}, {kind}", *cells(found, pictures), prototype])
    notes = [
        f"{INPUT_SIZE[0]}x{INPUT_SIZE[1]}, last stride 1, augmentation included; medians of "
        f"{', '.join(f'{count} {kind}' for kind, count in _STEPS.items())} steps or calls. The "
        "bound is what the multiply-adds of E_I take at the rate of a large matrix product."
    ]
    columns = ["", *COLUMNS, "a prototype's pictures/s of the clock"]
    report.finish(Report(columns, rows, notes), where, path)


def measure(backbone: str, kind: str) -> None:
    """Measures one kind of step, in this process, and prints a line of JSON.

    Args:
        backbone: a network of `keras.applications`.
        kind: a key of `PICTURES`.
    """
    # As a command does, before it imports TensorFlow.
    tensorflow_process.prepare()
    import numpy as np
    import tensorflow as tf

    from arn_tf.strong.model import StrongModel

    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (256, *INPUT_SIZE, 3), np.uint8)
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = StrongModel(
            _IDENTITIES, backbone, "random", INPUT_SIZE, cameras=range(1, 1 + _CAMERAS)
        )
    rates = [matrix_rate(tf)]
    clock = Clock()
    if kind in ("source", "self-training"):
        _train(model, strategy, kind, pictures, clock)
    else:
        _embed(model, kind, pictures, random.integers(1, 1 + _CAMERAS, len(pictures)), clock)
    rates.append(matrix_rate(tf))
    passes = layer_multiply_adds(model.encoder_i, (*INPUT_SIZE, 3))
    # As `benchmarks.steps` counts: forward, gradients of weights and of all inputs but the first.
    each = {"plain": sum(passes), "by camera": 2 * sum(passes)}
    result = {
        **clock.medians(),
        "multiply_adds": PICTURES[kind] * each.get(kind, 3 * sum(passes) - passes[0]),
        "matrix_rate": max(rates),
        "width": model.embedding_dim,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(result))


def _train(model: Any, strategy: Any, kind: str, pictures: Any, clock: Clock) -> None:
    import keras
    import numpy as np

    from arn_tf.data.sampling import Sampler
    from arn_tf.layers.adam import Adam
    from arn_tf.strong import batches as strong_batches
    from arn_tf.strong import inter_camera, self_training, target_batches

    labels = np.repeat(np.arange(_IDENTITIES, dtype=np.int32), len(pictures) // _IDENTITIES)
    sampler = Sampler(labels, len(pictures), _BATCH, 4, 0)
    steps = 2 + _STEPS[kind]
    if kind == "source":
        trained = model
        batches = strong_batches.source_batches(sampler, pictures, range(10**6), 0)
    else:
        cameras = np.arange(len(labels)) % 2
        pairs = target_batches.PairSampler(labels, cameras, _BATCH, 0)
        batches = target_batches.batches(sampler, pictures, pairs, pictures, steps, 0, 0)
        with strategy.scope():
            centroids = np.eye(_IDENTITIES, model.embedding_dim, dtype=np.float32)
            proxies = inter_camera.of_clusters(centroids[labels], labels, cameras)
            trained = self_training.SelfTrainer(model, centroids, proxies)
    with strategy.scope():
        trained.compile(optimizer=Adam(1e-4), jit_compile=False)
    trained.fit(
        batches,
        epochs=1,
        steps_per_epoch=steps,
        verbose=0,
        shuffle=False,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=clock)],
    )


def _embed(model: Any, kind: str, pictures: Any, camera_id: Any, clock: Clock) -> None:
    from arn_tf.strong.embedding import embed_by_camera, embed_plain

    for call in range(2 + _STEPS[kind]):
        if kind == "plain":
            embed_plain(model, pictures)
        else:
            embed_by_camera(model, pictures, camera_id)
        clock(call, None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("backbones", nargs="*", default=["MobileNetV2"], metavar="BACKBONE")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    report.add_flag(parser)
    arguments = parser.parse_args()
    if arguments.child:
        running.run(lambda: measure(*arguments.child))
    else:
        running.run(lambda: main(arguments.backbones, arguments.json))
