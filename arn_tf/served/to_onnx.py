"""ONNX's form of an export: VERSION/images.onnx, and images_by_camera.onnx of a model with cameras.

tf2onnx converts, as in Keras's own `export(format="onnx")`, and ONNX Runtime computes what is
compared. Both are pinned in requirements-onnx.txt.
"""

import importlib
import os
import types

import numpy as np
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from arn_tf.errors import UserError
from arn_tf.served import runtime_graphs
from arn_tf.served.graph import ServedModel
from arn_tf.served.runtime_graphs import BY_CAMERA, EMBEDDING, PLAIN

NAME = "onnx"
FILES = {name: f"{name}.onnx" for name in (PLAIN, BY_CAMERA)}
# Of 2021: older runtimes have it too.
_OPSET = 15


def versions() -> dict[str, str]:
    """Returns the versions of the packages for the sidecar.

    Raises:
        UserError: one of them isn't installed.
    """
    return {name: _package(name).__version__ for name in ("onnx", "onnxruntime", "tf2onnx")}


def write(served: ServedModel, folder: str) -> None:
    """Writes a model's graphs, in float32, into a version's folder."""
    onnx, tf2onnx = _package("onnx"), _package("tf2onnx")
    for name, function in runtime_graphs.graphs(served).items():
        frozen = convert_variables_to_constants_v2(function)
        inputs = [tensor.name for tensor in frozen.inputs]
        output = frozen.outputs[0].name
        model, _ = tf2onnx.convert.from_graph_def(
            frozen.graph.as_graph_def(),
            name=name,
            input_names=inputs,
            output_names=[output],
            opset=_OPSET,
            tensors_to_rename={place: place.partition(":")[0] for place in inputs}
            | {output: EMBEDDING},
        )
        onnx.helper.set_model_props(model, {"embedding_space": served.embedding_space})
        onnx.save(model, os.path.join(folder, FILES[name]))


def load(folder: str) -> dict[str, runtime_graphs.Embed]:
    """Returns {graph: function of NumPy arrays} of what `write` wrote."""
    return {name: _runner(path) for name, path in runtime_graphs.written(folder, FILES).items()}


def weights_bytes(folder: str) -> int:
    """Returns the size of a version's graphs, which hold the weights, in bytes."""
    return sum(map(os.path.getsize, runtime_graphs.written(folder, FILES).values()))


def _runner(path: str) -> runtime_graphs.Embed:
    session = _package("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])

    def embed(images: np.ndarray, camera_row: np.ndarray | None) -> np.ndarray:
        return session.run([EMBEDDING], runtime_graphs.inputs(images, camera_row))[0]

    return embed


def _package(name: str) -> types.ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"format=onnx: needs the package {name}: pip install -r requirements-onnx.txt",
            ["format"],
        ) from error
