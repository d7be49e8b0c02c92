"""What a batch of mixed cameras costs: `python -m benchmarks.camera_batches [BACKBONE ...]`.

64 pictures of 128x64 from six cameras, once through E_I: by the running statistics, and in one
pass by the statistics of each picture's own camera. Both are compiled, run on the same batch in
turns, and are compared within each round; what is printed are medians over the rounds. The clock
depends on what else the machine does, so seconds of the CPU (summed over its cores) stand beside
it. Weights are random, which takes the same time.

The mixed batch must give what each camera gives alone, to 1e-4 of the largest number, and
something else with the cameras swapped; the exit status says so. It should be at most 5 % slower.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from arn_tf.strong.model import StrongModel
from benchmarks import report, running
from benchmarks.report import Report, Target

INPUT_SIZE = (128, 64)
CAMERAS, BATCH, ROUNDS, WARM_UP = 6, 64, 40, 3
TOLERANCE = 1e-4
# Of a mixed batch, of a plain one.
MOST = 1.05
COLUMNS = (
    "network",
    "mixed / plain, CPU",
    "mixed / plain, clock",
    "plain, CPU ms",
    "mixed, CPU ms",
    "plain, clock ms",
    "mixed, clock ms",
    "cameras alone differ by",
    "swapped cameras by",
)


def main(backbones: Sequence[str], path: str | None) -> int:
    """Measures each network and prints a report.

    Args:
        backbones: networks of `keras.applications`.
        path: of a JSON file, or nothing.

    Returns:
        1 where one gives something else for cameras alone, or 0.
    """
    where = report.machine()
    measured = [measure(backbone) for backbone in backbones]
    targets = [
        Target(f"{row[0]}: CPU of a mixed batch to that of a plain one", MOST, row[1], at_most=True)
        for row, _ in measured
    ]
    notes = [
        f"{BATCH} pictures of {INPUT_SIZE[0]}x{INPUT_SIZE[1]} from {CAMERAS} cameras, medians of "
        f"{ROUNDS} rounds in turns. Differences are of the largest number."
    ]
    rows = [row for row, _ in measured]
    report.finish(Report(COLUMNS, rows, notes, targets), where, path)
    return int(not all(right for _, right in measured))


def measure(backbone: str) -> tuple[list[Any], bool]:
    """Measures one network.

    Args:
        backbone: a network of `keras.applications`.

    Returns:
        a row of the report, and whether the mixed batch gives what each camera gives alone.
    """
    random = np.random.default_rng(0)
    model = StrongModel(2, backbone, "random", INPUT_SIZE, cameras=range(1, 1 + CAMERAS))
    # Unlike each other, and near those that random weights have.
    for row in range(2 + CAMERAS):
        shape = model.table.channels
        mean, variance = (start + random.uniform(-0.2, 0.2, shape) for start in (0.0, 1.0))
        model.table.set_moments(row, mean, variance)
    pictures = tf.constant(random.integers(0, 256, (BATCH, *INPUT_SIZE, 3), np.uint8))
    camera_id = random.integers(1, 1 + CAMERAS, BATCH)
    rows = tf.constant(model.table.rows_of(camera_id))
    plain, mixed = model.traced.features, model.traced.camera_features

    together = mixed(pictures, rows).numpy()
    alone = np.empty_like(together)
    for camera in np.unique(camera_id):
        own = camera_id == camera
        alone[own] = mixed(pictures[own], rows[own]).numpy()
    worst, swapped = (
        np.abs(together - other).max() / np.abs(together).max()
        for other in (alone, mixed(pictures, rows[::-1]).numpy())
    )

    calls = [lambda: plain(pictures), lambda: mixed(pictures, rows)]
    rounds = np.zeros((ROUNDS, 2, 2))  # of plain and mixed, on the clock and of CPU
    for number in range(-WARM_UP, ROUNDS):
        for which in (0, 1) if number % 2 else (1, 0):
            seconds = _seconds(calls[which])
            if number >= 0:
                rounds[number, which] = seconds
    clock, cpu = np.median(rounds, axis=0).T
    ratio_clock, ratio_cpu = np.median(rounds[:, 1] / rounds[:, 0], axis=0)
    ratios = [float(ratio_cpu), float(ratio_clock)]
    times = [1e3 * float(each) for each in (*cpu, *clock)]
    row = [backbone, *ratios, *times, f"{worst:.1e}", f"{swapped:.1e}"]
    return row, bool(worst <= TOLERANCE < swapped)


def _seconds(call: Callable[[], tf.Tensor]) -> tuple[float, float]:
    """Returns the seconds that a call takes, on the clock and of CPU."""
    start = time.perf_counter(), time.process_time()
    call().numpy()
    return time.perf_counter() - start[0], time.process_time() - start[1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("backbones", nargs="*", default=["MobileNetV2"], metavar="BACKBONE")
    report.add_flag(parser)
    arguments = parser.parse_args()
    running.run(lambda: sys.exit(main(arguments.backbones, arguments.json)))
