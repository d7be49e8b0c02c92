"""Sends mixed requests from eight callers for half an hour: `python -m benchmarks.soak --help`.

Starts the development server and sends it good pictures, and every kind of bad request, at an even
rate. Every answer is compared with the embedding that the exported model gives for that very
picture; every refusal with the status that it must have; the server's memory is read throughout.
Ends with status 1 if an answer was lost, swapped or wrong, a request got another status, or the
server's memory grew by a tenth after warming up.
"""

import argparse
import collections
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_service_pb2_grpc

from arn_tf.data.images import decode
from arn_tf.served.version_folders import published_versions
from benchmarks import bad_requests, flags, picture_folder, report, running, server_process
from benchmarks.report import Report, Target
from serving.client import EmbeddingClient
from serving.errors import BadImageError

_CALLERS = 8
_SAMPLE_SECONDS = 5.0
# Numbers of an embedding, computed in another batch: sums in another order.
_TOLERANCE = 1e-4


class Soak:
    """The requests, their answers and what was wrong with them.

    Args:
        address: of the server.
        pictures: encoded pictures.
        images: the same decoded, uint8 [N, height, width, 3].
        expected: their embeddings, float32 [N, D].

    Attributes:
        counts: requests by kind.
        wrong: a text for each wrong answer.
    """

    def __init__(
        self, address: str, pictures: Sequence[bytes], images: np.ndarray, expected: np.ndarray
    ) -> None:
        self._address = address
        self._pictures = pictures
        self._images = images
        self._expected = expected
        self._bad = bad_requests.of(pictures[0])
        self._lock = threading.Lock()
        self.counts: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []

    def call(self, caller: int, requests: int, end: float) -> None:
        """Sends the requests of one caller, evenly spread over the time.

        Args:
            caller: its number, the seed of what it sends.
            requests: how many.
            end: when the last is due, of `time.monotonic()`.
        """
        rng = np.random.default_rng(caller)
        start = time.monotonic()
        channel = grpc.insecure_channel(self._address, [("grpc.max_send_message_length", -1)])
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with channel, EmbeddingClient(self._address, in_flight=2) as client:
            for done in range(requests):
                time.sleep(max(0.0, start + (end - start) * done / requests - time.monotonic()))
                try:
                    kind = self._one(rng, client, stub)
                except Exception as error:
                    with self._lock:
                        self.wrong.append(f"{type(error).__name__}: {str(error)[:300]}")
                    kind = "wrong"
                with self._lock:
                    self.counts[kind] += 1

    def _one(
        self,
        rng: np.random.Generator,
        client: EmbeddingClient,
        stub: prediction_service_pb2_grpc.PredictionServiceStub,
    ) -> str:
        """Sends a request and checks the answer; returns the kind of the request."""
        draw = rng.random()
        rows = rng.integers(0, len(self._pictures), rng.integers(1, 9))
        if draw < 0.55:
            found = client.embed_encoded([self._pictures[row] for row in rows])
            self._compare(found.vectors, rows)
            return "encoded"
        if draw < 0.7:
            self._compare(client.embed_images(self._images[rows]).vectors, rows)
            return "images"
        if draw < 0.8:
            return self._one_bad_among_good(client, rows)
        kind = list(self._bad)[rng.integers(len(self._bad))]
        if kind == "100 MiB" and rng.random() < 0.95:
            kind = "text"
        request, timeout, codes = self._bad[kind]
        try:
            stub.Predict(request, timeout=timeout)
        except grpc.RpcError as error:
            if error.code() not in codes:
                raise
            return kind
        raise AssertionError(f"{kind}: answered")

    def _one_bad_among_good(self, client: EmbeddingClient, rows: np.ndarray) -> str:
        pictures = [self._pictures[row] for row in rows]
        place = len(rows) // 2
        pictures[place] = pictures[place][: len(pictures[place]) // 2]
        found = client.embed_encoded([*pictures, self._pictures[rows[0]]], skip_bad_images=True)
        assert len(found.skipped) == 1 and isinstance(found.skipped[0], BadImageError)
        self._compare(found.vectors, [*np.delete(rows, place), rows[0]])
        return "one bad among good"

    def _compare(self, vectors: np.ndarray, rows: np.ndarray | Sequence[int]) -> None:
        assert vectors.shape == (len(rows), self._expected.shape[1]), "an answer was lost"
        difference = np.abs(vectors - self._expected[rows]).max()
        assert difference <= _TOLERANCE, f"another picture's answer, off by {difference}"


def _resident_mib(process: subprocess.Popen[str]) -> float:
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) / 1024


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model_dir", required=True, help="as arn_tf.export wrote it")
    parser.add_argument("--pictures", required=True, type=flags.folder, help="folder of pictures")
    parser.add_argument("--minutes", type=flags.count, default=30)
    parser.add_argument(
        "--requests", type=flags.count, default=20000, help="of all callers together"
    )
    report.add_flag(parser)
    return parser.parse_args()


def _embed(model_dir: str, pictures: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the decoded pictures and their embeddings, without a server."""
    newest = published_versions(model_dir)[-1]
    model = tf.saved_model.load(os.path.join(model_dir, str(newest)))
    embed = model.signatures["serving_default"]
    parts = [
        embed(image_bytes=tf.constant(pictures[start : start + 32]))["embedding"].numpy()
        for start in range(0, len(pictures), 32)
    ]
    size = model.signatures["images"].structured_input_signature[1]["images"].shape[1:3]
    return np.stack([decode(each, size).numpy() for each in pictures]), np.concatenate(parts)


def main() -> int:
    """Runs the requests and prints a report; returns 1 where something was wrong, or 0."""
    arguments = _arguments()
    where, pictures = report.machine(), picture_folder.read(arguments.pictures, most=256)
    images, expected = _embed(arguments.model_dir, pictures)
    memory = []
    with server_process.running(arguments.model_dir) as (process, address):
        soak = Soak(address, pictures, images, expected)
        end = time.monotonic() + 60 * arguments.minutes
        share = arguments.requests // _CALLERS
        threads = [
            threading.Thread(target=soak.call, args=(caller, share, end))
            for caller in range(_CALLERS)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(_SAMPLE_SECONDS)
            if process.poll() is None:
                memory.append(_resident_mib(process))
            if len(memory) % 12 == 11:
                print(
                    f"{sum(soak.counts.values())} requests, {len(soak.wrong)} wrong, "
                    f"{memory[-1]:.0f} MiB",
                    flush=True,
                )
        alive = process.poll() is None
    for text in soak.wrong[:20]:
        print(f"wrong: {text}", file=sys.stderr)
    if len(memory) < 10:
        raise SystemExit(f"ended after {len(memory)} looks at the server's memory, of ten at least")
    # Medians of ten equal parts of the time; warm-up ends within the first two.
    tenths = [float(np.median(part)) for part in np.array_split(memory, 10)]
    sent = sum(soak.counts.values())
    targets = [
        Target("wrong answers", 0, len(soak.wrong), at_most=True),
        Target("servers that ended", 0, int(not alive), at_most=True),
        Target("memory at the end to that after warming up", 1.1, tenths[-1] / tenths[1], True),
    ]
    notes = [
        f"{sent:,} requests of {_CALLERS} callers in {arguments.minutes} minutes; each answer is "
        "compared with the exported model's, each refusal with the status it must have. The "
        f"server's memory, medians of tenths of the time: {tenths[1]:,.0f} MiB in the second, "
        f"{tenths[-1]:,.0f} in the last."
    ]
    rows = sorted(soak.counts.items())
    report.finish(Report(("request", "sent"), rows, notes, targets), where, arguments.json)
    return int(not all(target.reached for target in targets))


if __name__ == "__main__":
    running.run(lambda: sys.exit(main()))
