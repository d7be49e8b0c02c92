"""What the server runs: one version of a model, in whichever form `arn_tf.export` wrote it."""

import os
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from serving.errors import ServingError
from serving.server import openvino_model, saved_model


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
    forms = (saved_model.FILE, openvino_model.PLAIN)
    found = [name for name in forms if os.path.exists(os.path.join(folder, name))]
    if len(found) > 1:
        raise ServingError(
            f"can't be loaded: {' and '.join(found)} are two forms of an export. Keep one in a "
            "version's folder, and export the other into a folder of its own",
            file=folder,
        )
    if found == [openvino_model.PLAIN]:
        return openvino_model.OpenVINOModel(folder, version)
    return saved_model.SavedModel(folder, version)
