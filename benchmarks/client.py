"""The client beside the generated stubs of TensorFlow Serving: `python -m benchmarks.client`.

How long a process takes until it can ask, with this client and with the import of
tensorflow_serving.apis; and how long a reply takes from bytes to an array, with this client and by
`tf.make_ndarray`. In turns: figures are medians over the rounds, ratios are taken within a round.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks import children, report, running
from benchmarks.report import Cell, Report
from serving.client import message_classes, tensors

_ROUNDS, _REPLIES = 5, 20
_ROWS, _WIDTH = 1024, 2048  # of a reply
_READY = "from serving.client import EmbeddingClient; EmbeddingClient('localhost:1')"
_APIS = "from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc"
COLUMNS = (
    "",
    "times the stubs' rate, CPU",
    "times the stubs' rate, clock",
    "client, CPU ms",
    "stubs, CPU ms",
    "client, clock ms",
    "stubs, clock ms",
)


def main(path: str | None) -> None:
    """Measures both and prints a report.

    Args:
        path: of a JSON file, or nothing.
    """
    where = report.machine()
    rows = [
        _row("start, until it can ask", starts()),
        _row(f"reply of {_ROWS} x {_WIDTH}, parsed and decoded", replies()),
    ]
    notes = [f"Medians of {_ROUNDS} starts and {_REPLIES} replies in turns, ratios within a round."]
    report.finish(Report(COLUMNS, rows, notes), where, path)


def starts() -> np.ndarray:
    """Returns the seconds of starts, [rounds, 2, 2]: client and stubs, on the clock and of CPU."""
    lines = [[sys.executable, "-c", code] for code in (_READY, _APIS)]
    for line in lines:  # what is imported comes from the disk once
        children.used(line)
    return np.array([[children.used(line) for line in lines] for _ in range(_ROUNDS)])


def replies() -> np.ndarray:
    """Returns the seconds of replies of float_val, as `starts`."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    reply = predict_pb2.PredictResponse()
    values = np.random.default_rng(0).standard_normal((_ROWS, _WIDTH), np.float32)
    tensor = reply.outputs["embedding"]
    tensor.dtype = tf.float32.as_datatype_enum
    for size in values.shape:
        tensor.tensor_shape.dim.add().size = size
    tensor.float_val.extend(values.ravel().tolist())
    message = reply.SerializeToString()

    def ours() -> np.ndarray:
        outputs = message_classes.PredictResponse.FromString(message).outputs
        return tensors.floats(outputs["embedding"], values.shape, "embedding")

    def theirs() -> np.ndarray:
        return tf.make_ndarray(predict_pb2.PredictResponse.FromString(message).outputs["embedding"])

    np.testing.assert_array_equal(ours(), theirs())
    return np.array([[_seconds(ours), _seconds(theirs)] for _ in range(_REPLIES)])


def _seconds(call: Callable[[], object]) -> tuple[float, float]:
    start = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def _row(name: str, taken: np.ndarray) -> list[Cell]:
    (client_clock, client), (stubs_clock, stubs) = 1e3 * np.median(taken, axis=0)
    clock, cpu = np.median(taken[:, 1] / taken[:, 0], axis=0)
    return [name, cpu, clock, client, stubs, client_clock, stubs_clock]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    report.add_flag(parser)
    given = parser.parse_args()
    running.run(lambda: main(given.json))
