"""Warm-up requests, which TensorFlow Serving replays before a version takes requests.

The first request of each signature and batch size builds kernels, a second of work that no caller
should wait for. A record that fails keeps the version from loading, so they are real requests;
they are small, because a tensor repeats its last value up to its size.
"""

import io
import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import prediction_log_pb2

from arn_tf.layers.normalization import UNKNOWN_CAMERA

BATCH_SIZES = (1, 8)
# Where TensorFlow Serving looks, below the version's folder.
FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
# A grey pixel, and an unknown camera.
_VALUES = {"images": 128, "camera_id": UNKNOWN_CAMERA}


def write(
    folder: str | os.PathLike[str],
    model_name: str,
    signatures: Mapping[str, Sequence[tf.TensorSpec]],
) -> None:
    """Writes one request for each signature and batch size into a version's folder.

    Args:
        folder: of the version.
        model_name: as it will be served.
        signatures: {signature: specifications of its inputs}.
    """
    path = os.path.join(folder, FILE)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(path) as writer:
        for batch_size in BATCH_SIZES:
            for signature, specs in signatures.items():
                log = prediction_log_pb2.PredictionLog()
                request = log.predict_log.request
                request.model_spec.name = model_name
                request.model_spec.signature_name = signature
                for spec in specs:
                    request.inputs[spec.name].CopyFrom(_tensor(spec, batch_size))
                writer.write(log.SerializeToString())


def _tensor(spec: tf.TensorSpec, batch_size: int) -> tensor_pb2.TensorProto:
    if spec.name == "image_bytes":
        tensor = tf.make_tensor_proto([_jpeg()])
        tensor.tensor_shape.dim[0].size = batch_size
        return tensor
    return tf.make_tensor_proto(_VALUES[spec.name], spec.dtype, [batch_size, *spec.shape[1:]])


def _jpeg() -> bytes:
    """Returns a grey picture as large as a usual crop."""
    encoded = io.BytesIO()
    Image.fromarray(np.full((128, 64, 3), 128, np.uint8)).save(encoded, "JPEG")
    return encoded.getvalue()
