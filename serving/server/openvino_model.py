"""One version of an export for OpenVINO, with the signatures of the SavedModel.

OpenVINO computes the embeddings; JPEG and PNG are decoded in this process by the decoder beside
them, a SavedModel without weights, so that a picture is the same to both forms of an export.
"""

import concurrent.futures
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from serving.errors import ServingError
from serving.server.version_folder import loaded_from

# Below a version's folder.
PLAIN = "images.xml"
_BY_CAMERA = os.path.join("by_camera", "images_by_camera.xml")
_DECODER = "decoder"
_SIDECAR = os.path.join("assets.extra", "arn.json")
_CONFIG = {
    # Otherwise it computes in bfloat16 where the processor has it.
    "INFERENCE_PRECISION_HINT": "f32",
    # Otherwise every process binds its threads to the same cores, whatever else runs there.
    "ENABLE_CPU_PINNING": False,
    # Numbers below 1e-38 are 0, as in TensorFlow: a public network whose weights have decayed to
    # nothing in some channels makes many, and a processor takes ten times as long for each.
    "CPU_DENORMALS_OPTIMIZATION": True,
}
# `camera_row` of a camera without statistics of its own: the whole target's. See arn_tf.served.
_TARGET = 1
# The first request of each size is slower: as the warm-up requests of a SavedModel.
_WARM_UP = (1, 8)


class OpenVINOModel:
    """A version of a model.

    Args:
        folder: of the version, as `arn_tf.export --format=openvino` writes it.
        version: its number.

    Attributes:
        version: its number.
        signature_defs: {signature: `SignatureDef`}, those of the SavedModel of the same model.

    Raises:
        ServingError: it can't be loaded, or OpenVINO isn't installed.
    """

    def __init__(self, folder: str, version: int) -> None:
        self.version = version
        try:
            import openvino
        except ImportError as error:
            raise ServingError(
                "an export for OpenVINO, which isn't installed: pip install -r "
                "requirements-openvino.txt",
                file=folder,
            ) from error
        # Small numbers become 0 in the thread that compiles, for good: it mustn't be the server's.
        self._thread = concurrent.futures.ThreadPoolExecutor(1)
        with loaded_from(folder) as path:
            self._load(path, openvino.Core())

    def _load(self, folder: str, core: Any) -> None:
        with open(os.path.join(folder, _SIDECAR), encoding="utf-8") as file:
            sidecar = json.load(file)
        self._space = str(sidecar["embedding_space"])
        names = [PLAIN] + ([_BY_CAMERA] if "cameras" in sidecar else [])
        # Exports of earlier versions have none.
        if "sha256" in sidecar:
            _check(folder, names, sidecar["sha256"])
        self._graphs = {"images": self._compiled(core, os.path.join(folder, PLAIN))}
        self._cameras, self._rows = np.zeros(0, np.int64), np.zeros(0, np.int32)
        if "cameras" in sidecar:
            graph = self._compiled(core, os.path.join(folder, _BY_CAMERA))
            self._graphs["images_by_camera"] = graph
            rows = {
                sidecar["camera_names"][name]: row for name, row in sidecar["camera_rows"].items()
            }
            # Ascending, for `searchsorted`.
            self._cameras = np.array(sorted(rows), np.int64)
            self._rows = np.array([rows[camera] for camera in sorted(rows)], np.int32)
        self._decoder = tf.saved_model.load(os.path.join(folder, _DECODER))
        size = self._graphs["images"].input("images").get_partial_shape()
        image = [size[axis].get_length() for axis in (1, 2, 3)]
        width = self._graphs["images"].output("embedding").get_partial_shape()[1].get_length()
        self.signature_defs = _signatures(image, width, "cameras" in sidecar)
        for count in _WARM_UP:
            images = tf.fill([count, *image], tf.constant(128, tf.uint8))
            self.run("images", {"images": images})
            if "cameras" in sidecar:
                camera_id = tf.fill([count], tf.constant(-1, tf.int64))
                self.run("images_by_camera", {"images": images, "camera_id": camera_id})

    def _compiled(self, core: Any, path: str) -> Any:
        model = core.read_model(path)
        space = model.get_rt_info(["model_info", "embedding_space"]).astype(str)
        if space != self._space:
            raise ValueError(
                f"{os.path.basename(path)} is of embedding space {space}, and arn.json says "
                f"{self._space}"
            )
        return self._thread.submit(core.compile_model, model, "CPU", _CONFIG).result()

    def run(self, signature: str, inputs: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
        """Returns {output: array} of one signature.

        Args:
            signature: its name.
            inputs: {input: tensor}.

        Raises:
            InvalidArgumentError: of TensorFlow: a picture can't be decoded.
        """
        if "images" in inputs:
            images = inputs["images"]
        else:
            decode = self._decoder.signatures["serving_default"]
            images = decode(image_bytes=inputs["image_bytes"])["images"]
        feed, outputs = {"images": images.numpy()}, {}
        graph = self._graphs["images"]
        if "camera_id" in inputs:
            graph = self._graphs["images_by_camera"]
            known, feed["camera_row"] = self._known_and_rows(inputs["camera_id"].numpy())
            outputs["camera_known"] = known
        # A copy: OpenVINO computes the next request into the same memory.
        embedding = self._thread.submit(lambda: np.array(graph(feed)["embedding"])).result()
        space = np.full(len(embedding), self._space.encode(), object)
        return outputs | {"embedding": embedding, "embedding_space": space}

    def _known_and_rows(self, camera_id: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns whether cameras, int64 [N], have statistics of their own, and their rows."""
        if not len(self._cameras):
            return np.zeros(len(camera_id), bool), np.full(len(camera_id), _TARGET, np.int32)
        place = np.searchsorted(self._cameras, camera_id).clip(max=len(self._cameras) - 1)
        known = self._cameras[place] == camera_id
        return known, np.where(known, self._rows[place], _TARGET).astype(np.int32)


def _check(folder: str, names: Sequence[str], digests: Mapping[str, str]) -> None:
    """Raises a ValueError where a graph or its weights aren't those that were compared.

    OpenVINO itself takes a .bin of the right size for what it is, whatever it holds.
    """
    for name in names:
        for part in (name, os.path.splitext(name)[0] + ".bin"):
            with open(os.path.join(folder, part), "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != digests[part]:
                raise ValueError(f"{part} isn't the file that was exported: its SHA-256 differs")


def _signatures(image: list[int], width: int, cameras: bool) -> dict[str, Any]:
    """Returns {signature: `SignatureDef`}; `image` is (height, width, 3)."""
    pictures = {
        "image_bytes": tf.TensorSpec([None], tf.string),
        "images": tf.TensorSpec([None, *image], tf.uint8),
    }
    embedded = {
        "embedding": tf.TensorSpec([None, width], tf.float32),
        "embedding_space": tf.TensorSpec([None], tf.string),
    }
    names = {"serving_default": "image_bytes", "images": "images"}
    found = {name: _signature({key: pictures[key]}, embedded) for name, key in names.items()}
    if cameras:
        camera_id = {"camera_id": tf.TensorSpec([None], tf.int64)}
        known = {"camera_known": tf.TensorSpec([None], tf.bool)}
        for name, key in (("by_camera", "image_bytes"), ("images_by_camera", "images")):
            found[name] = _signature({key: pictures[key]} | camera_id, embedded | known)
    return found


def _signature(inputs: Mapping[str, tf.TensorSpec], outputs: Mapping[str, tf.TensorSpec]) -> Any:
    definition = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    for target, specs in ((definition.inputs, inputs), (definition.outputs, outputs)):
        for name, spec in specs.items():
            target[name].name = f"{name}:0"
            target[name].dtype = spec.dtype.as_datatype_enum
            target[name].tensor_shape.CopyFrom(spec.shape.as_proto())
    return definition
