"""Pictures per second of one run's exports, in turns: `python -m benchmarks.runtimes --help`.

Each export runs in a process of its own, as a server would run it: uint8 pictures of the model's
size in, embeddings out, in batches. Turns alternate, so that what else the machine does slows all
alike; CPU time is of all threads. Figures are medians over the rounds, ratios to the first are
taken within a round.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks import flags, picture_folder, report, running, turns
from benchmarks.report import Report, Target

_ROUNDS = 7
_PASSES = 1
# Of OpenVINO's exports to the SavedModel, by precision: times the pictures a second of CPU.
_WANTED = {"float32": 1.6, "int8": 2.5}


def work(arguments: argparse.Namespace) -> None:
    """Embeds all pictures once a step, as `turns` asks for them."""
    from datasets import tensorflow_process

    tensorflow_process.prepare()
    # After the allocator is told what to keep.
    from arn_tf.served import loaded

    images, size = np.load(arguments.images), arguments.batch_size
    sidecar, embed = loaded.load(arguments.worker)
    cameras = None
    if arguments.by_camera:
        cameras = np.resize(np.array(sidecar["cameras"], np.int64), len(images))
    for steps in turns.requested():
        for _ in range(steps):
            for start in range(0, len(images), size):
                part = slice(start, start + size)
                embed(images[part], None if cameras is None else cameras[part])


COLUMNS = (
    "export",
    "times the first's rate, CPU",
    "times the first's rate, clock",
    "CPU ms a picture",
    "pictures/s of the clock",
)


def main() -> None:
    """Measures all exports and prints a report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--exports", nargs="+", help="folders of versions, such as models/arn/1")
    parser.add_argument("--pictures", type=flags.folder, help="folder of pictures")
    parser.add_argument("--count", type=flags.count, default=128, help="pictures of a turn")
    parser.add_argument("--batch_size", type=flags.count, default=8, help="pictures of a request")
    parser.add_argument("--by_camera", action="store_true", help="each picture by a camera")
    parser.add_argument("--images", help=argparse.SUPPRESS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    report.add_flag(parser)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments)
        return
    if not arguments.exports or not arguments.pictures:
        parser.error("--exports and --pictures are needed")
    compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    """Decodes the pictures once, gives each export its turns, and prints a report."""
    from arn_tf.data.images import decode
    from arn_tf.served import publish

    where, kinds = report.machine(), []
    for export in arguments.exports:
        path = os.path.join(export, publish.SIDECAR)
        try:
            with open(path, encoding="utf-8") as file:
                sidecar = json.load(file)
            kinds.append((sidecar.get("format", "saved_model"), sidecar["precision"]))
            size = sidecar["input_size"]
        except (OSError, ValueError, KeyError) as error:
            raise SystemExit(f"--exports: {path} can't be read: {error}") from error
    pictures = picture_folder.read(arguments.pictures, arguments.count)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "images.npy")
        np.save(path, np.stack([decode(picture, size).numpy() for picture in pictures]))
        line = [sys.executable, "-m", "benchmarks.runtimes", f"--images={path}"]
        line += [f"--batch_size={arguments.batch_size}"]
        line += ["--by_camera"] if arguments.by_camera else []
        commands = {export: [*line, f"--worker={export}"] for export in arguments.exports}
        found = turns.take(commands, dict.fromkeys(commands, _PASSES), _ROUNDS, os.getcwd())
    first, rows, targets = _turns(found[arguments.exports[0]]), [], []
    for kind, (export, taken) in zip(kinds, found.items(), strict=True):
        clock, cpu = np.median(_turns(taken), axis=0) / len(pictures)
        ratios = np.median(first / _turns(taken), axis=0)
        rows.append([export, ratios[1], ratios[0], 1e3 * cpu, 1 / clock])
        wanted = _WANTED.get(kind[1]) if kind[0] == "openvino" else None
        if wanted and kinds[0][0] == "saved_model":
            targets.append(Target(f"OpenVINO, {kind[1]}, to the SavedModel", wanted, ratios[1]))
    cameras = ", each by a camera" if arguments.by_camera else ""
    notes = [
        f"{len(pictures)} pictures of {size[0]}x{size[1]}{cameras}, batches of "
        f"{arguments.batch_size}, medians of {_ROUNDS} rounds in turns, ratios within a round."
    ]
    report.finish(Report(COLUMNS, rows, notes, targets), where, arguments.json)


def _turns(taken: Sequence[Mapping[str, float]]) -> np.ndarray:
    """Returns the seconds of each turn, [rounds, 2]: on the clock and of CPU."""
    return np.array([[turn["seconds"], turn["cpu_seconds"]] for turn in taken])


if __name__ == "__main__":
    running.run(main)
