"""A small exported model, servers that serve it, and how tests ask them."""

import contextlib
import pathlib
import sys

import grpc
import keras
import numpy as np
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from arn_tf import ARN
from arn_tf.data.images import decode
from serving.server.server import Server
from tests.support import small_data, small_export
from tests.support.program import Program

SIZE = (small_data.HEIGHT, small_data.WIDTH)
DIM = 64
# Of several sizes: the graph resizes.
PICTURES = [
    small_data.picture(person, 1 + person % 2, 1, (128, 64) if person % 3 else SIZE)
    for person in range(1, 13)
]


def model(seed=0):
    """An `ARN` of the tiny network, with random weights."""
    keras.utils.set_random_seed(seed)
    return ARN(
        6,
        backbone="Tiny",
        backbone_weights="random",
        input_size=SIZE,
        embedding_dim=DIM,
        hidden_width=32,
        seed=seed,
    )


def publish(models, seed=0, runtime=None):
    """Exports the model of a seed as the next version below a folder; returns its fingerprint."""
    _, sidecar = small_export.export_model(
        model(seed), pathlib.Path(models) / "arn", PICTURES[:2], runtime=runtime
    )
    return sidecar["embedding_space"]


def models(runtime=None):
    """A folder with version 1 of `arn`, written unless it is there.

    Args:
        runtime: as `publish.export` takes it.
    """
    folder = small_data.folder() / f"models{'_' + runtime.NAME if runtime else ''}"
    if not folder.exists():
        publish(folder, runtime=runtime)
    return folder


@contextlib.contextmanager
def serving(model_dir=None, **arguments):
    """A `Server` in this process, by default of `models()`, on a free port."""
    server = Server(model_dir or models() / "arn", port=0, **arguments)
    server.start()
    try:
        yield server
    finally:
        server.stop(grace=5)


@contextlib.contextmanager
def server_process(*flags, model_dir=None, port=0):
    """The server's command line: (process, address) once it answers; killed at the end."""
    process = Program(_line(f"--port={port}", *flags, model_dir=model_dir))
    try:
        match = process.line(r"serving \S+ version \d+ on \S+:(\d+)")
        yield process, f"localhost:{match[1]}"
    finally:
        process.kill()
        process.wait()


def fails(*flags, model_dir=None):
    """What the command line prints when it doesn't start; it must be no traceback."""
    status, _, err = small_data.finish(_line(*flags, model_dir=model_dir))
    assert status == 2 and "Traceback" not in err, err
    return err


def _line(*flags, model_dir=None):
    line = [sys.executable, "-u", "-m", "serving.server"]
    return [*line, f"--model_dir={model_dir or models() / 'arn'}", *flags]


def request(*pictures):
    """A `PredictRequest` for encoded pictures."""
    message = predict_pb2.PredictRequest()
    message.model_spec.name = "arn"
    proto = message.inputs["image_bytes"]
    proto.dtype = 7  # DT_STRING
    proto.tensor_shape.dim.add().size = len(pictures)
    proto.string_val.extend(pictures)
    return message


def stub(address):
    """A stub of the PredictionService at an address."""
    return prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address))


def expected(pictures):
    """What `model()` gives for encoded pictures, float32 [N, DIM]."""
    images = np.stack([decode(picture, SIZE).numpy() for picture in pictures])
    return model().embed(images)
