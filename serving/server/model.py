"""What the server runs: one version of a model, in whichever form `arn_tf.export` wrote it."""

import os
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from serving.server import openvino_model
from serving.server.saved_model import SavedModel


class Model(Protocol):
    """A version, loaded.

    Attributes:
        version: its number.
        signature_defs: {signature: `SignatureDef`}.
    """

    version: int
    signature_defs: dict[str, Any]

    def run(self, signature: str, inputs: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
        """Returns {output: array} of one signature for {input: tensor}."""


def load(folder: str, version: int) -> Model:
    """Returns the version in a folder.

    Raises:
        ServingError: it can't be loaded.
    """
    if os.path.exists(os.path.join(folder, openvino_model.PLAIN)):
        return openvino_model.OpenVINOModel(folder, version)
    return SavedModel(folder, version)
