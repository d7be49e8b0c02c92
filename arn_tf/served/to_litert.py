"""LiteRT's form of an export: VERSION/images.tflite, and images_by_camera.tflite with cameras.

TensorFlow's own converter writes them, as in Keras's `export(format="litert")`, with LiteRT's
built-in operators alone, so that its smallest runtimes do. Needs no further package.
"""

import os
import tempfile
import warnings

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from arn_tf.served import runtime_graphs
from arn_tf.served.graph import ServedModel
from arn_tf.served.runtime_graphs import BY_CAMERA, EMBEDDING, PLAIN

NAME = "litert"
FILES = {name: f"{name}.tflite" for name in (PLAIN, BY_CAMERA)}


def versions() -> dict[str, str]:
    """Returns no package: the converter and what loads its files are TensorFlow's own."""
    return {}


def write(served: ServedModel, folder: str) -> None:
    """Writes a model's graphs, in float32, into a version's folder."""
    for name, function in runtime_graphs.graphs(served).items():
        with open(os.path.join(folder, FILES[name]), "wb") as file:
            file.write(_converted(function))


def load(folder: str) -> dict[str, runtime_graphs.Embed]:
    """Returns {graph: function of NumPy arrays} of what `write` wrote."""
    return {name: _runner(path) for name, path in runtime_graphs.written(folder, FILES).items()}


def weights_bytes(folder: str) -> int:
    """Returns the size of a version's graphs, which hold the weights, in bytes."""
    return sum(map(os.path.getsize, runtime_graphs.written(folder, FILES).values()))


def _converted(function: tf.types.experimental.ConcreteFunction) -> bytes:
    frozen = convert_variables_to_constants_v2(function)
    names = [tensor.name.partition(":")[0] for tensor in frozen.inputs]
    module = tf.Module()
    module.embed = tf.function(
        lambda *inputs: {EMBEDDING: frozen(*inputs)[0]},
        input_signature=[
            tf.TensorSpec(tensor.shape, tensor.dtype, name)
            for tensor, name in zip(frozen.inputs, names, strict=True)
        ],
    )
    # By way of a SavedModel: so inputs and outputs keep their names.
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.embed)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        return converter.convert()


def _runner(path: str) -> runtime_graphs.Embed:
    with warnings.catch_warnings():
        # That the interpreter will move to a package of its own.
        warnings.simplefilter("ignore")
        # As many threads as the machine has cores, or it would take one.
        interpreter = tf.lite.Interpreter(path, num_threads=os.cpu_count())
    run = interpreter.get_signature_runner()

    def embed(images: np.ndarray, camera_row: np.ndarray | None) -> np.ndarray:
        return run(**runtime_graphs.inputs(images, camera_row))[EMBEDDING]

    return embed
