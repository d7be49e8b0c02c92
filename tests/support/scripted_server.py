"""A server of the real protocol, in this process, that answers as its script says.

It decodes nothing: the embedding of a picture is drawn from a hash of its bytes, so a test knows
it beforehand. Its messages are those of the installed wheel, so this imports TensorFlow.
"""

import concurrent.futures
import hashlib
import pathlib
import threading
import time

import grpc
import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

SPACE = "0123456789abcdef"
BAD = b"undecodable"
REFUSAL = "Unknown image file format. One of JPEG, PNG, GIF, BMP required."
_JPEG = b"\xff\xd8\xff\xe0"


def picture(text, size=0):
    """Bytes that begin like a JPEG file; `size` of them at least."""
    return (_JPEG + str(text).encode()).ljust(size, b".")


def bad_picture(text=""):
    """As `picture`, but the server refuses it."""
    return picture(f"{BAD.decode()} {text}")


def embedding(data, dim=4):
    """What the server gives for these bytes: float32 [dim], of length 1."""
    seed = int.from_bytes(hashlib.sha256(data).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(dim)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def expected(paths):
    """What the server gives for files, float32 [N, 4]."""
    return np.stack([embedding(pathlib.Path(path).read_bytes()) for path in paths])


def sizes(server):
    """How many encoded pictures each request had."""
    return [len(request.inputs["image_bytes"].string_val) for request in server.requests]


def abort(code, text):
    """A fault: a call ends with this `grpc.StatusCode` and text."""
    return lambda context: context.abort(code, text)


def delay(seconds):
    """A fault: a call is answered so much later."""
    return lambda context: time.sleep(seconds)


def until_cancelled(context):
    """A fault: a call lasts until the client cancels it, 20 s at most."""
    cancelled = threading.Event()
    if context.add_callback(cancelled.set):
        cancelled.wait(20)


class ScriptedServer(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    """Use it with `with`; its `address` is "localhost:PORT".

    Args:
        dim: length of an embedding.
        image_size: (height, width) of signature `images`.
        credentials: `grpc.ServerCredentials`, or None for plain text.
        cameras: numbers of those that the model knows; None for a model that takes no cameras.
        port: 0 lets the system choose.

    Attributes:
      version, space: what the server has and says. A request for another version is NOT_FOUND.
      faults: what the next Predict calls do first, one each; None is no fault.
      edit: called with each PredictResponse before it goes out; may change it.
      metadata: the GetModelMetadataResponse; may be changed.
      requests: the PredictRequests that came.
      attempts: gRPC's retry count of each, None for a first attempt.
      at_once, most_at_once: Predict calls under way, now and at most.
    """

    def __init__(self, dim=4, image_size=(6, 5), credentials=None, port=0, cameras=None, host=""):
        self.dim, self.version, self.space = dim, 1, SPACE
        self.faults, self.edit = [], lambda reply: None
        self.requests, self.attempts, self.most_at_once = [], [], 0
        self.at_once, self._lock = 0, threading.Lock()
        self.cameras = cameras
        self.metadata = _metadata(dim, image_size, cameras is not None)
        self.server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(8),
            options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(self, self.server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(self, self.server)
        # Of localhost's two addresses gRPC is content with one, and clients then find at the other
        # whatever else has that port. Certificates are for its name.
        host = host or ("localhost" if credentials else "127.0.0.1")
        if credentials:
            self.port = self.server.add_secure_port(f"{host}:{port}", credentials)
        else:
            self.port = self.server.add_insecure_port(f"{host}:{port}")
        self.address = f"{host}:{self.port}"

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(0).wait()

    def GetModelMetadata(self, request, context):
        self._find(request.model_spec, context)
        self.metadata.model_spec.version.value = self.version
        return self.metadata

    def GetModelStatus(self, request, context):
        if request.model_spec.name != "arn":
            text = f"Could not find any versions of model {request.model_spec.name}"
            context.abort(grpc.StatusCode.NOT_FOUND, text)
        reply = get_model_status_pb2.GetModelStatusResponse()
        reply.model_version_status.add(version=self.version, state="AVAILABLE")
        old = reply.model_version_status.add(version=self.version - 1, state="END")
        old.status.error_message = "unloaded"
        return reply

    def Predict(self, request, context):
        with self._lock:
            self.requests.append(request)
            self.attempts.append(
                dict(context.invocation_metadata()).get("grpc-previous-rpc-attempts")
            )
            fault = self.faults.pop(0) if self.faults else None
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if fault:
                fault(context)
            return self._answer(request, context)
        finally:
            with self._lock:
                self.at_once -= 1

    def _answer(self, request, context):
        self._find(request.model_spec, context)
        cameras = list(np.frombuffer(request.inputs["camera_id"].tensor_content, "<i8"))
        if "images" in request.inputs:
            tensor = request.inputs["images"]
            shape = [dim.size for dim in tensor.tensor_shape.dim]
            pixels = np.frombuffer(tensor.tensor_content, np.uint8).reshape(shape)
            data = [image.tobytes() for image in pixels]
        else:
            data = list(request.inputs["image_bytes"].string_val)
        if any(BAD in each for each in data):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, REFUSAL)
        if request.model_spec.signature_name.endswith("by_camera"):
            # A camera that is known tells in the embedding.
            known = [camera in self.cameras for camera in cameras]
            data = [
                each + b"%d" % camera if yes else each
                for each, camera, yes in zip(data, cameras, known, strict=True)
            ]
        reply = predict_pb2.PredictResponse()
        reply.model_spec.CopyFrom(request.model_spec)
        vectors = reply.outputs["embedding"]
        vectors.dtype = types_pb2.DT_FLOAT
        vectors.tensor_shape.dim.add(size=len(data))
        vectors.tensor_shape.dim.add(size=self.dim)
        vectors.float_val.extend(
            np.concatenate([embedding(each, self.dim) for each in data]).tolist()
        )
        space = reply.outputs["embedding_space"]
        space.dtype = types_pb2.DT_STRING
        space.tensor_shape.dim.add(size=len(data))
        space.string_val.extend([self.space.encode()] * len(data))
        if cameras:
            output = reply.outputs["camera_known"]
            output.dtype = types_pb2.DT_BOOL
            output.tensor_shape.dim.add(size=len(data))
            output.bool_val.extend(known)
        self.edit(reply)
        return reply

    def _find(self, spec, context):
        """As TF Serving: another model, or another version, is not found."""
        asked = spec.version.value if spec.HasField("version") else None
        if spec.name != "arn" or asked not in (None, self.version):
            which = f"Latest({spec.name})" if asked is None else f"Specific({spec.name}, {asked})"
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {which}")


def _metadata(dim, image_size, cameras):
    signatures = get_model_metadata_pb2.SignatureDefMap()
    encoded = ("image_bytes", types_pb2.DT_STRING, [-1])
    images = ("images", types_pb2.DT_UINT8, [-1, *image_size, 3])
    shapes = {"serving_default": encoded, "images": images}
    if cameras:
        shapes |= {"by_camera": encoded, "images_by_camera": images}
    for name, picture in shapes.items():
        signature = signatures.signature_def[name]
        _describe(signature.inputs, *picture)
        _describe(signature.outputs, "embedding", types_pb2.DT_FLOAT, [-1, dim])
        _describe(signature.outputs, "embedding_space", types_pb2.DT_STRING, [-1])
        if name.endswith("by_camera"):
            _describe(signature.inputs, "camera_id", types_pb2.DT_INT64, [-1])
            _describe(signature.outputs, "camera_known", types_pb2.DT_BOOL, [-1])
    signatures.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "init"
    reply = get_model_metadata_pb2.GetModelMetadataResponse()
    reply.model_spec.name = "arn"
    reply.metadata["signature_def"].Pack(signatures)
    return reply


def _describe(fields, name, dtype, shape):
    fields[name].dtype = dtype
    for size in shape:
        fields[name].tensor_shape.dim.add(size=size)
