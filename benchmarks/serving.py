"""What serving costs beyond the model itself: `python -m benchmarks.serving --help`.

Everything is timed in one run and in turns, so that other work of the machine slows all alike;
figures are medians over the rounds, and ratios are taken within a round.

- bare: the exported SavedModel's function, in a process of its own, batches of 8;
- served: the same pictures through the development server and the client, 1 and 8 callers;
- OpenVINO: the same network in another runtime, for reference;
- the client's start beside the import of tensorflow_serving.apis, and its decoding of a reply
  beside `tf.make_ndarray`.
"""

import argparse
import concurrent.futures
import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import openvino
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow_serving.apis import predict_pb2

from arn_tf.data.images import decode
from arn_tf.served.version_folders import published_versions
from benchmarks import picture_folder, server_process
from serving import command
from serving.client import EmbeddingClient, message_classes, tensors

BATCH_SIZE = 8
_PICTURES = 256
_ROUNDS = 5
_READY = "from serving.client import EmbeddingClient; EmbeddingClient('localhost:1')"
_APIS = "from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc"


def seconds(function: Callable[[], object]) -> float:
    """Returns the seconds that a call takes, on the clock."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


class Workload:
    """The same pictures through each of the ways.

    Args:
        model_dir: as arn_tf.export wrote it.
        pictures: encoded pictures; a multiple of 8 x BATCH_SIZE.
        address: of a server of this model.
    """

    def __init__(self, model_dir: str, pictures: Sequence[bytes], address: str) -> None:
        self._address = address
        newest = published_versions(model_dir)[-1]
        self._model = tf.saved_model.load(os.path.join(model_dir, str(newest)))
        images = self._model.signatures["images"]
        size = images.structured_input_signature[1]["images"].shape[1:3]
        self._pictures = pictures
        self._images = np.stack([decode(picture, size).numpy() for picture in pictures])
        self._openvino = self._convert(size)

    def ways(self) -> dict[str, Callable[[], None]]:
        """Returns {name: function that embeds all pictures once}."""
        return {
            "bare, JPEG": lambda: self._bare("serving_default", "image_bytes", self._pictures),
            "served, JPEG, 1 caller": lambda: self._served(1, self._pictures),
            "served, JPEG, 8 callers": lambda: self._served(8, self._pictures),
            "bare, uint8": lambda: self._bare("images", "images", self._images),
            "served, uint8, 1 caller": lambda: self._served(1, self._images),
            "served, uint8, 8 callers": lambda: self._served(8, self._images),
            "OpenVINO, uint8": self._run_openvino,
        }

    def overhead(self) -> float:
        """Returns the seconds a picture that a client takes longer than the bare model.

        The client waits for each answer.
        """
        with EmbeddingClient(self._address, in_flight=1, batch_size=BATCH_SIZE) as client:
            client.describe()
            served = seconds(lambda: client.embed_encoded(self._pictures))
        bare = seconds(lambda: self._bare("serving_default", "image_bytes", self._pictures))
        return (served - bare) / len(self._pictures)

    def _bare(self, signature: str, name: str, values: Sequence[bytes] | np.ndarray) -> None:
        function = self._model.signatures[signature]
        for start in range(0, len(values), BATCH_SIZE):
            function(**{name: tf.constant(values[start : start + BATCH_SIZE])})["embedding"].numpy()

    def _served(self, callers: int, values: Sequence[bytes] | np.ndarray) -> None:
        def call(part: Sequence[bytes] | np.ndarray) -> None:
            with EmbeddingClient(self._address, batch_size=BATCH_SIZE) as client:
                if isinstance(part, np.ndarray):
                    client.embed_images(part)
                else:
                    client.embed_encoded(part)

        share = len(values) // callers
        parts = [values[i * share : (i + 1) * share] for i in range(callers)]
        with concurrent.futures.ThreadPoolExecutor(callers) as pool:
            list(pool.map(call, parts))

    def _convert(self, size: Sequence[int]) -> openvino.CompiledModel:
        images = self._model.signatures["images"]
        spec = tf.TensorSpec([BATCH_SIZE, *size, 3], tf.uint8)
        network = tf.function(lambda x: images(images=x)["embedding"], input_signature=[spec])
        frozen = convert_variables_to_constants_v2(network.get_concrete_function())
        model = openvino.convert_model(frozen.graph)
        # Otherwise it takes bfloat16 where the processor has it.
        return openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def _run_openvino(self) -> None:
        for start in range(0, len(self._images), BATCH_SIZE):
            self._openvino(self._images[start : start + BATCH_SIZE])


def compare_ways(workload: Workload) -> None:
    """Prints pictures per second of each way, and the served ones' share of the bare one's."""
    ways = workload.ways()
    for run in ways.values():
        run()
    times = {name: [] for name in ways}
    overheads = []
    for _ in range(_ROUNDS):
        for name, run in ways.items():
            times[name].append(seconds(run))
        overheads.append(workload.overhead())
    print("| | pictures/s | of bare |\n|---|---|---|")
    for name, taken in times.items():
        bare = times["bare, JPEG" if "JPEG" in name else "bare, uint8"]
        share = np.median(np.array(bare) / taken)
        print(f"| {name} | {_PICTURES / np.median(taken):.1f} | {share:.2f} |")
    print(
        f"\nclient and transport beyond the forward pass, one request at a time: "
        f"{1e3 * np.median(overheads):.2f} ms a picture"
    )


def compare_starts() -> None:
    """Prints how long a process takes until it can ask, with this client and with the stubs."""

    def start(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)

    runs = {_READY: [], _APIS: []}
    for _ in range(_ROUNDS):
        for code, taken in runs.items():
            taken.append(seconds(functools.partial(start, code)))
    ready, apis = (np.median(taken) for taken in runs.values())
    ratio = np.median(np.array(runs[_APIS]) / runs[_READY])
    print(
        f"client ready {ready:.2f} s, tensorflow_serving.apis imported {apis:.2f} s: {ratio:.0f}x"
    )


def compare_decoding(rows: int = 1024, width: int = 2048) -> None:
    """Prints how long a reply of float_val takes from bytes to an array, in both ways.

    Args:
        rows: embeddings in the reply.
        width: numbers in an embedding.
    """
    reply = predict_pb2.PredictResponse()
    values = np.random.default_rng(0).standard_normal((rows, width), np.float32)
    tensor = reply.outputs["embedding"]
    tensor.dtype = tf.float32.as_datatype_enum
    for size in values.shape:
        tensor.tensor_shape.dim.add().size = size
    tensor.float_val.extend(values.ravel().tolist())
    message = reply.SerializeToString()

    def ours() -> np.ndarray:
        outputs = message_classes.PredictResponse.FromString(message).outputs
        return tensors.floats(outputs["embedding"], (rows, width), "embedding")

    def theirs() -> np.ndarray:
        return tf.make_ndarray(predict_pb2.PredictResponse.FromString(message).outputs["embedding"])

    np.testing.assert_array_equal(ours(), theirs())
    both = np.array([[seconds(ours), seconds(theirs)] for _ in range(4 * _ROUNDS)])
    client, stubs = 1e3 * np.median(both, axis=0)
    ratio = np.median(both[:, 1] / both[:, 0])
    print(
        f"reply of {rows} x {width}, parsed and decoded: {client:.1f} ms, "
        f"tf.make_ndarray {stubs:.1f} ms: {ratio:.0f}x"
    )


def main() -> None:
    """Measures everything and prints a report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model_dir", required=True, help="as arn_tf.export wrote it")
    parser.add_argument("--pictures", required=True, help="folder of pictures")
    arguments = parser.parse_args()
    pictures = picture_folder.read(arguments.pictures, most=_PICTURES)
    if len(pictures) < _PICTURES:
        raise SystemExit(f"--pictures={arguments.pictures}: fewer than {_PICTURES} pictures")
    with server_process.running(arguments.model_dir) as (_, address):
        compare_ways(Workload(arguments.model_dir, pictures, address))
    compare_starts()
    compare_decoding()


if __name__ == "__main__":
    command.run(main)
