"""What runs on the nodes of a cluster: readers, and actors that hold the model.

Batches cross as pickled bytes, one a row: Ray never divides a row, and so no batch.
"""

import contextlib
import os
import pickle
import socket

import numpy as np

from arn_tf.embedding_jobs.batches import Reader
from arn_tf.errors import UserError

_Rows = dict[str, np.ndarray]


def read(rows: _Rows, root: str) -> _Rows:
    """Reads batches.

    Args:
        rows: {"batch": pickled `Batch` each}.
        root: folder or address that the names of files begin at.

    Returns:
        {"batch": pickled `ReadBatch` each}.

    Raises:
        StorageError: the disk or store doesn't answer.
    """
    with contextlib.closing(Reader(root)) as reader:
        return _rows([reader.read(pickle.loads(batch)) for batch in rows["batch"]])


class Embedder:
    """Holds the model, loaded once.

    Args:
        version: folder of the model's version.
        embedding_space: that it must have.
        tensorflow: version of TensorFlow that must be installed.

    Raises:
        UserError: this node has another model or TensorFlow.
    """

    def __init__(self, version: str, embedding_space: str, tensorflow: str) -> None:
        from arn_tf.run import command_line

        tf = command_line.start_tensorflow()
        node = socket.gethostname()
        if tf.__version__ != tensorflow:
            raise UserError(
                f"node {node} has TensorFlow {tf.__version__}, and the others {tensorflow}; "
                "install the same requirements-ray.txt everywhere"
            )
        tf.config.experimental.enable_tensor_float_32_execution(False)
        # Ray says so of the CPUs that an actor was given.
        cpus = int(os.environ.get("OMP_NUM_THREADS", "1"))
        tf.config.threading.set_intra_op_parallelism_threads(cpus)
        from arn_tf.embedding_jobs.embedding import Embedding
        from arn_tf.embedding_jobs.exported_model import ExportedModel

        model = ExportedModel(version)
        if model.embedding_space != embedding_space:
            raise UserError(
                f"model={version}: on node {node} it is of embedding space "
                f"{model.embedding_space}, and here of {embedding_space}; copy the same export to "
                "every node",
                ["model"],
            )
        self._embedding = Embedding(model)

    def __call__(self, rows: _Rows) -> _Rows:
        """Returns {"batch": pickled `EmbeddedBatch` each} of `read`'s rows."""
        return _rows(list(self._embedding.batches(map(pickle.loads, rows["batch"]))))


def _rows(batches: list) -> _Rows:
    found = np.empty(len(batches), object)
    found[:] = [pickle.dumps(batch) for batch in batches]
    return {"batch": found}
