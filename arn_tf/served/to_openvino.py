"""OpenVINO's form of an export: VERSION/images.xml with its weights, and by_camera/ likewise.

OpenVINO Model Server takes the one .xml of a version's folder; by_camera/ is a folder of its own
for that. Needs the package openvino, which requirements-openvino.txt pins.
"""

import concurrent.futures
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from arn_tf.served import openvino_package, runtime_graphs
from arn_tf.served.graph import ServedModel
from arn_tf.served.runtime_graphs import BY_CAMERA, CAMERA_ROW, EMBEDDING, IMAGES, PLAIN

if TYPE_CHECKING:
    import openvino

NAME = "openvino"
# {graph: its file below a version's folder}.
FILES = {PLAIN: "images.xml", BY_CAMERA: os.path.join("by_camera", "images_by_camera.xml")}
DECODER = "decoder"
CONFIG = {
    # Otherwise it computes in bfloat16 where the processor has it.
    "INFERENCE_PRECISION_HINT": "f32",
    # Otherwise every process binds its threads to the same cores, whatever else runs there.
    "ENABLE_CPU_PINNING": False,
    # Numbers below 1e-38 are 0, as in TensorFlow: a public network whose weights have decayed to
    # nothing in some channels makes many, and a processor takes ten times as long for each.
    "CPU_DENORMALS_OPTIMIZATION": True,
}


def versions() -> dict[str, str]:
    """Returns the version of OpenVINO for the sidecar.

    Raises:
        UserError: it isn't installed.
    """
    return {"openvino": openvino_package.imported().__version__}


def write(
    served: ServedModel,
    folder: str,
    changed: "Callable[[str, openvino.Model], openvino.Model] | None" = None,
) -> None:
    """Writes a model's graphs and the decoder into a version's folder.

    Args:
        served: as a recipe's `served_model` makes it.
        folder: of the version.
        changed: what is written in place of a graph, of its name and OpenVINO's model of it; None:
            the model itself, in float32.
    """
    openvino = openvino_package.imported()
    for name, function in runtime_graphs.graphs(served).items():
        model = _converted(function)
        if changed is not None:
            model = changed(name, model)
        # Where OpenVINO Model Server looks for what its metadata tell.
        model.set_rt_info(served.embedding_space, ["model_info", "embedding_space"])
        path = os.path.join(folder, FILES[name])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # OpenVINO halves weights unless told not to.
        openvino.save_model(model, path, compress_to_fp16=False)
    runtime_graphs.save_decoder(served, os.path.join(folder, DECODER))


def load(folder: str) -> dict[str, runtime_graphs.Embed]:
    """Returns {graph: function of NumPy arrays} of what `write` wrote, as a server would run it."""
    core = openvino_package.imported().Core()
    # Small numbers become 0 in the thread that compiles, for good: it mustn't be the caller's.
    thread = concurrent.futures.ThreadPoolExecutor(1)
    return {
        name: _runner(thread, thread.submit(core.compile_model, path, "CPU", CONFIG).result())
        for name, path in runtime_graphs.written(folder, FILES).items()
    }


def weights_bytes(folder: str) -> int:
    """Returns the size of a version's weights, in bytes: those of both graphs."""
    graphs = runtime_graphs.written(folder, FILES).values()
    return sum(os.path.getsize(os.path.splitext(path)[0] + ".bin") for path in graphs)


def _converted(function: tf.types.experimental.ConcreteFunction) -> "openvino.Model":
    # As Keras's own `export(format="openvino")`, which knows models of one call alone.
    model = openvino_package.imported().convert_model(
        convert_variables_to_constants_v2(function).graph
    )
    for place in model.inputs:
        name = next(name for name in (IMAGES, CAMERA_ROW) if f"{name}:0" in place.get_names())
        place.get_tensor().set_names({name})
        place.get_node().set_friendly_name(name)
    model.output(0).get_tensor().set_names({EMBEDDING})
    return model


def _runner(
    thread: concurrent.futures.Executor, compiled: "openvino.CompiledModel"
) -> runtime_graphs.Embed:
    def computed(inputs: dict[str, np.ndarray]) -> np.ndarray:
        return np.array(compiled(inputs)[EMBEDDING])

    def embed(images: np.ndarray, camera_row: np.ndarray | None) -> np.ndarray:
        return thread.submit(computed, runtime_graphs.inputs(images, camera_row)).result()

    return embed
