"""Pictures per second of one run's exports, in turns: `python -m benchmarks.runtimes --help`.

Each export runs in a process of its own, as a server would run it: uint8 pictures of the model's
size in, embeddings out, in batches. Turns alternate, so that what else the machine does slows all
alike; figures are medians over the rounds, and ratios to the first are taken within a round.
"""

import argparse
import json
import os
import sys
import tempfile

import numpy as np

from benchmarks import picture_folder, turns
from serving import command

_ROUNDS = 7
_PASSES = 1


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


def main() -> None:
    """Measures all exports and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--exports", nargs="+", help="folders of versions, such as models/arn/1")
    parser.add_argument("--pictures", help="folder of pictures")
    parser.add_argument("--count", type=int, default=128, help="pictures of a turn")
    parser.add_argument("--batch_size", type=int, default=8, help="pictures of a request")
    parser.add_argument("--by_camera", action="store_true", help="each picture by a camera")
    parser.add_argument("--images", help=argparse.SUPPRESS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments)
        return
    compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    """Decodes the pictures once, gives each export its turns, and prints a table."""
    from arn_tf.data.images import decode
    from arn_tf.served import publish

    with open(os.path.join(arguments.exports[0], publish.SIDECAR), encoding="utf-8") as file:
        size = json.load(file)["input_size"]
    pictures = picture_folder.read(arguments.pictures, arguments.count)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "images.npy")
        np.save(path, np.stack([decode(picture, size).numpy() for picture in pictures]))
        line = [sys.executable, "-m", "benchmarks.runtimes", f"--images={path}"]
        line += [f"--batch_size={arguments.batch_size}"]
        line += ["--by_camera"] if arguments.by_camera else []
        commands = {export: [*line, f"--worker={export}"] for export in arguments.exports}
        found = turns.take(commands, dict.fromkeys(commands, _PASSES), _ROUNDS, os.getcwd())
    cameras = ", each by a camera" if arguments.by_camera else ""
    print(
        f"{len(pictures)} pictures of {size[0]}x{size[1]}{cameras}, batches of "
        f"{arguments.batch_size}, {os.cpu_count()} cores, {_ROUNDS} rounds\n\n"
        "| export | pictures/s | times the first | CPU ms a picture | times the first's CPU |\n"
        "|---|---|---|---|---|"
    )
    first = found[arguments.exports[0]]
    for export, taken in found.items():
        speed = len(pictures) / np.median([turn["seconds"] for turn in taken])
        cpu = 1e3 * np.median([turn["cpu_seconds"] for turn in taken]) / len(pictures)
        ratios = {
            key: np.median([one[key] / own[key] for one, own in zip(first, taken, strict=True)])
            for key in ("seconds", "cpu_seconds")
        }
        print(
            f"| {export} | {speed:.1f} | {ratios['seconds']:.2f} | {cpu:.2f} | "
            f"{ratios['cpu_seconds']:.2f} |"
        )


if __name__ == "__main__":
    command.run(main)
