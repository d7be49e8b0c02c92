"""What serving costs beyond the model itself: `python -m benchmarks.serving --help`.

Everything is timed in one run and in turns, so that other work of the machine slows all alike;
figures are medians over the rounds, and ratios are taken within a round. CPU time is that of the
client and the server together.

- bare: the exported SavedModel's function, in a process of its own, batches of 8;
- served: the same pictures through the development server and the client, 1 and 8 callers, and one
  that waits for each answer;
- OpenVINO: the same network in another runtime, for reference, where it is installed.
"""

import argparse
import concurrent.futures
import importlib.util
import os
import subprocess
import time
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from arn_tf.data.images import decode
from arn_tf.served import openvino_package, to_openvino
from arn_tf.served.version_folders import published_versions
from benchmarks import flags, picture_folder, report, running, server_process
from benchmarks.report import Report
from serving.client import EmbeddingClient

BATCH_SIZE = 8
_PICTURES = 256
_ROUNDS = 5
COLUMNS = (
    "",
    "of bare, CPU",
    "of bare, clock",
    "CPU ms a picture",
    "pictures/CPU s",
    "pictures/s of the clock",
)


class Workload:
    """The same pictures through each of the ways.

    Args:
        model_dir: as arn_tf.export wrote it.
        pictures: encoded pictures; a multiple of 8 x BATCH_SIZE.
        address: of a server of this model.

    Attributes:
        size: height and width that the model takes.
        width: numbers of an embedding.
    """

    def __init__(self, model_dir: str, pictures: Sequence[bytes], address: str) -> None:
        self._address = address
        newest = published_versions(model_dir)[-1]
        self._model = tf.saved_model.load(os.path.join(model_dir, str(newest)))
        images = self._model.signatures["images"]
        self.size = tuple(images.structured_input_signature[1]["images"].shape[1:3])
        self.width = images.structured_outputs["embedding"].shape[-1]
        self._pictures = pictures
        self._images = np.stack([decode(picture, self.size).numpy() for picture in pictures])

    def ways(self) -> dict[str, Callable[[], None]]:
        """Returns {name: function that embeds all pictures once}."""
        ways = {
            "bare, JPEG": lambda: self._bare("serving_default", "image_bytes", self._pictures),
            "served, JPEG, 1 caller": lambda: self._served(1, self._pictures),
            "served, JPEG, 8 callers": lambda: self._served(8, self._pictures),
            "served, JPEG, each answer awaited": lambda: self._served(1, self._pictures, 1),
            "bare, uint8": lambda: self._bare("images", "images", self._images),
            "served, uint8, 1 caller": lambda: self._served(1, self._images),
            "served, uint8, 8 callers": lambda: self._served(8, self._images),
        }
        if importlib.util.find_spec("openvino"):
            ways["OpenVINO, uint8"] = self._openvino()
        return ways

    def _bare(self, signature: str, name: str, values: Sequence[bytes] | np.ndarray) -> None:
        function = self._model.signatures[signature]
        for start in range(0, len(values), BATCH_SIZE):
            function(**{name: tf.constant(values[start : start + BATCH_SIZE])})["embedding"].numpy()

    def _served(
        self, callers: int, values: Sequence[bytes] | np.ndarray, in_flight: int = 4
    ) -> None:
        def call(part: Sequence[bytes] | np.ndarray) -> None:
            options = {"in_flight": in_flight, "batch_size": BATCH_SIZE}
            with EmbeddingClient(self._address, **options) as client:
                if isinstance(part, np.ndarray):
                    client.embed_images(part)
                else:
                    client.embed_encoded(part)

        share = len(values) // callers
        parts = [values[i * share : (i + 1) * share] for i in range(callers)]
        with concurrent.futures.ThreadPoolExecutor(callers) as pool:
            list(pool.map(call, parts))

    def _openvino(self) -> Callable[[], None]:
        openvino = openvino_package.imported()
        images = self._model.signatures["images"]
        spec = tf.TensorSpec([BATCH_SIZE, *self.size, 3], tf.uint8)
        network = tf.function(lambda x: images(images=x)["embedding"], input_signature=[spec])
        frozen = convert_variables_to_constants_v2(network.get_concrete_function())
        model = openvino.convert_model(frozen.graph)
        compiled = openvino.compile_model(model, "CPU", to_openvino.CONFIG)

        def run() -> None:
            for start in range(0, len(self._images), BATCH_SIZE):
                compiled(self._images[start : start + BATCH_SIZE])

        return run


def compare(workload: Workload, server: subprocess.Popen[str]) -> Report:
    """Returns the rates of each way, and the shares of the bare one's.

    Args:
        workload: whose ways they are.
        server: its process, whose CPU time counts too.
    """

    def seconds(run: Callable[[], None]) -> tuple[float, float]:
        start = time.perf_counter(), time.process_time(), server_process.cpu_seconds(server)
        run()
        cpu = time.process_time() - start[1] + server_process.cpu_seconds(server) - start[2]
        return time.perf_counter() - start[0], cpu

    ways = workload.ways()
    times = {name: [] for name in ways}
    for number in range(_ROUNDS + 1):
        for name, run in ways.items():
            taken = seconds(run)
            if number:  # the first warms up
                times[name].append(taken)
    rows = []
    for name, taken in times.items():
        bare = times["bare, JPEG" if "JPEG" in name else "bare, uint8"]
        share_clock, share_cpu = np.median(np.array(bare) / taken, axis=0)
        clock, cpu = np.median(taken, axis=0) / _PICTURES
        rows.append([name, share_cpu, share_clock, 1e3 * cpu, 1 / cpu, 1 / clock])
    notes = [
        f"{_PICTURES} pictures of {workload.size[0]}x{workload.size[1]} to {workload.width} "
        f"numbers, batches of {BATCH_SIZE}, medians of {_ROUNDS} rounds in turns, shares within a "
        "round. CPU time of client and server together."
    ]
    if "OpenVINO, uint8" not in ways:
        notes.append("OpenVINO isn't installed: not compared.")
    return Report(COLUMNS, rows, notes)


def main() -> None:
    """Measures everything and prints a report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model_dir", required=True, help="as arn_tf.export wrote it")
    parser.add_argument("--pictures", required=True, type=flags.folder, help="folder of pictures")
    report.add_flag(parser)
    arguments = parser.parse_args()
    pictures, where = picture_folder.read(arguments.pictures, most=_PICTURES), report.machine()
    if len(pictures) < _PICTURES:
        raise SystemExit(f"--pictures={arguments.pictures}: fewer than {_PICTURES} pictures")
    with server_process.running(arguments.model_dir) as (process, address):
        found = compare(Workload(arguments.model_dir, pictures, address), process)
    report.finish(found, where, arguments.json)


if __name__ == "__main__":
    running.run(main)
