"""Every kind of request that a server must refuse, for `benchmarks.soak`."""

import io

import grpc
import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2


def of(
    picture: bytes,
) -> dict[str, tuple[predict_pb2.PredictRequest, float, set[grpc.StatusCode]]]:
    """Returns {kind: (request, deadline in seconds, the codes of which it must get one)}."""
    code = grpc.StatusCode

    def request(
        values: object,
        name: str = "arn",
        signature: str = "",
        key: str = "image_bytes",
        dtype: tf.DType | None = None,
    ) -> predict_pb2.PredictRequest:
        message = predict_pb2.PredictRequest()
        message.model_spec.name = name
        message.model_spec.signature_name = signature
        message.inputs[key].CopyFrom(tf.make_tensor_proto(values, dtype))
        return message

    def encoded(image: Image.Image, file_format: str) -> bytes:
        data = io.BytesIO()
        image.save(data, file_format)
        return data.getvalue()

    def pixels(count: int, dtype: tf.DType) -> predict_pb2.PredictRequest:
        return request(np.zeros((count, 64, 33, 3)), signature="images", key="images", dtype=dtype)

    invalid = {code.INVALID_ARGUMENT}
    # Either the caller's deadline passes first, or that of the queue.
    late = {code.DEADLINE_EXCEEDED, code.RESOURCE_EXHAUSTED}
    return {
        "text": (request([b"text"]), 30, invalid),
        "nothing": (request([b""]), 30, invalid),
        "half": (request([picture[: len(picture) // 2]]), 30, invalid),
        "gif": (request([encoded(Image.new("RGB", (64, 128)), "GIF")]), 30, invalid),
        "bomb": (request([encoded(Image.new("1", (20000, 20000)), "PNG")]), 30, invalid),
        "33 pictures": (request([picture] * 33), 30, invalid),
        "no picture": (request(np.zeros(0, dtype=object), dtype=tf.string), 30, invalid),
        "wrong size": (pixels(2, tf.uint8), 30, invalid),
        "wrong dtype": (pixels(2, tf.float32), 30, invalid),
        "wrong name": (request([picture], key="picture"), 30, invalid),
        "model": (request([picture], name="other"), 30, {code.NOT_FOUND}),
        "signature": (request([picture], signature="other"), 30, {code.FAILED_PRECONDITION}),
        "deadline": (request([picture] * 8), 0.002, late),
        "100 MiB": (request([bytes(100 << 20)]), 60, {code.RESOURCE_EXHAUSTED}),
    }
