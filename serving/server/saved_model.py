"""One version of an exported model, loaded and warmed up."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from serving.server.version_folder import loaded_from

# Below a version's folder.
FILE = "saved_model.pb"
_WARMUP = os.path.join("assets.extra", "tf_serving_warmup_requests")


class SavedModel:
    """A version of a model.

    Args:
        folder: of the version, as `arn_tf.export` writes it.
        version: its number.

    Attributes:
        version: its number.
        signature_defs: {signature: `SignatureDef`}, as the SavedModel has them.

    Raises:
        ServingError: it can't be loaded, or a warm-up request fails.
    """

    def __init__(self, folder: str, version: int) -> None:
        self.version = version
        with loaded_from(folder) as path:
            self._load(path)

    def _load(self, folder: str) -> None:
        with open(os.path.join(folder, FILE), "rb") as file:
            meta_graph = saved_model_pb2.SavedModel.FromString(file.read()).meta_graphs[0]
        self.signature_defs: dict[str, Any] = dict(meta_graph.signature_def)
        # What the functions need lives as long as this object.
        self._loaded = tf.saved_model.load(folder)
        self._functions = dict(self._loaded.signatures)
        self._warm_up(os.path.join(folder, _WARMUP))

    def run(self, signature: str, inputs: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
        """Returns {output: array} of one signature.

        Args:
            signature: its name.
            inputs: {input: tensor}.
        """
        outputs = self._functions[signature](**inputs)
        return {name: value.numpy() for name, value in outputs.items()}

    def _warm_up(self, path: str) -> None:
        if not os.path.exists(path):
            return
        for record in tf.data.TFRecordDataset(path, buffer_size=1 << 16):
            log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
            request = log.predict_log.request
            inputs = {name: parse_tensor(value) for name, value in request.inputs.items()}
            self.run(request.model_spec.signature_name, inputs)


def parse_tensor(proto: Any) -> tf.Tensor:
    """Returns a `TensorProto` as a tensor, by TensorFlow's own parser, which knows every encoding.

    Raises:
        InvalidArgumentError: content and shape don't go together.
    """
    return tf.io.parse_tensor(proto.SerializeToString(), tf.dtypes.as_dtype(proto.dtype))
