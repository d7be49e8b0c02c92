"""OpenVINO's form of an export in int8: quantised after training by NNCF, from unlabelled pictures.

Weights and inputs of convolutions become 8-bit integers with one scale for each channel or tensor
(Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018); the ranges of inputs are those of the calibration
pictures. All else stays in float32: the variances of cameras, which span decades, the moments of
instance normalisations, sums, gates, and what follows the pooling cost a network of the Open Model
Zoo 8 points of mAP in 8 bits, its convolutions half a point. Embeddings differ from the model's, so
they are a space of their own.
"""

import dataclasses
import hashlib
import types
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from arn_tf.data.images import decode
from arn_tf.errors import UserError
from arn_tf.served import openvino_package, runtime_graphs, to_openvino
from arn_tf.served.graph import ServedModel, embedding_space
from arn_tf.served.runtime_graphs import BY_CAMERA

if TYPE_CHECKING:
    import openvino

# NNCF's own default; more changes its ranges little.
PICTURES = 300
# Types of OpenVINO's operations.
_QUANTIZED = ("Convolution", "GroupConvolution")
_NO_OPERATIONS = ("Constant", "Parameter", "Result")


def versions() -> dict[str, str]:
    """Returns the versions of OpenVINO and NNCF for the sidecar.

    Raises:
        UserError: one of them isn't installed.
    """
    return to_openvino.versions() | {"nncf": _nncf().__version__}


@dataclasses.dataclass(frozen=True)
class Int8:
    """`to_openvino` with quantised graphs.

    Attributes:
        calibration: encoded pictures [N], best `PICTURES` of the target's.
        camera_id: of each, int [N]; the whole target's statistics are those of an unknown one.
    """

    calibration: Sequence[bytes]
    camera_id: Sequence[int]
    NAME = to_openvino.NAME

    def versions(self) -> dict[str, str]:
        """Returns the versions of OpenVINO and NNCF for the sidecar; see `versions`."""
        return versions()

    def served(self, served: ServedModel) -> ServedModel:
        """Returns a float32 model under the embedding space of its quantised graphs."""
        pictures = hashlib.sha256(np.array(self.camera_id, np.int64).tobytes())
        for picture in self.calibration:
            pictures.update(hashlib.sha256(picture).digest())
        space = embedding_space(
            {"of": served.embedding_space, "precision": "int8"} | versions(),
            [],
            pictures.digest(),
        )
        return dataclasses.replace(served, embedding_space=space, precision="int8", exact=False)

    def write(self, served: ServedModel, folder: str) -> None:
        """Writes a model's graphs, quantised, and the decoder into a version's folder."""

        def quantized(name: str, model: "openvino.Model") -> "openvino.Model":
            nncf = _nncf()
            inputs = nncf.Dataset(list(self._inputs(name, served)))
            in_float = nncf.IgnoredScope(
                names=[
                    each.get_friendly_name()
                    for each in model.get_ops()
                    if each.get_type_name() not in (*_QUANTIZED, *_NO_OPERATIONS)
                ],
                validate=False,
            )
            return nncf.quantize(
                model, inputs, subset_size=len(self.calibration), ignored_scope=in_float
            )

        to_openvino.write(served, folder, quantized)

    def load(self, folder: str) -> dict[str, runtime_graphs.Embed]:
        """Returns {graph: function of NumPy arrays} of what `write` wrote."""
        return to_openvino.load(folder)

    def weights_bytes(self, folder: str) -> int:
        """Returns the size of a version's weights, in bytes: those of both graphs."""
        return to_openvino.weights_bytes(folder)

    def _inputs(self, name: str, served: ServedModel) -> Iterator[dict[str, np.ndarray]]:
        """Yields a graph's inputs, picture by picture, each by its own camera."""
        rows = None
        if name == BY_CAMERA and served.table is not None:
            cameras = tf.constant(self.camera_id, tf.int64)
            rows = served.table.known_and_rows(cameras)[1].numpy()
        for place, picture in enumerate(self.calibration):
            image = decode(picture, served.input_size).numpy()[None]
            row = None if rows is None else rows[place : place + 1]
            yield runtime_graphs.inputs(image, row)


def _nncf() -> types.ModuleType:
    openvino_package.imported()  # before NNCF looks for the telemetry that this leaves out
    try:
        import nncf
    except ImportError as error:
        raise UserError(
            "precision=int8: needs the package nncf: pip install -r requirements-int8.txt",
            ["precision"],
        ) from error
    return nncf
