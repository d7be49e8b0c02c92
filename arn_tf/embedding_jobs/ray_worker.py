"""What runs on the nodes of a cluster: actors that hold the model.

Batches cross as pickled bytes, one a row: Ray never divides a row, and so no batch. An error of the
user's crosses in the place of a batch: of one that is raised Ray leaves a traceback's text.
"""

import contextlib
import os
import pickle
import socket

import numpy as np

from arn_tf.embedding_jobs.batches import Reader
from arn_tf.errors import UserError

_Rows = dict[str, np.ndarray]


class Embedder:
    """Reads batches and embeds them by a model that is loaded once.

    What is wrong with a node is told by its first batch: whether it has the model, and the
    TensorFlow of the others.

    Args:
        root: folder or address that the names of files begin at.
        version: folder of the model's version.
        embedding_space: that it must have.
        tensorflow: version of TensorFlow that must be installed.
    """

    def __init__(self, root: str, version: str, embedding_space: str, tensorflow: str) -> None:
        self._root = root
        self._problem: UserError | None = None
        try:
            self._load(version, embedding_space, tensorflow)
        except UserError as error:
            self._problem = error

    def __call__(self, rows: _Rows) -> _Rows:
        """Embeds batches.

        Args:
            rows: {"batch": pickled `Batch` each}.

        Returns:
            {"batch": pickled `EmbeddedBatch` each, or a `UserError` where the node has no such
            model, or disk or store don't answer}.
        """
        if self._problem:
            return _rows([self._problem])
        try:
            with contextlib.closing(Reader(self._root)) as reader:
                read = map(reader.read, map(pickle.loads, rows["batch"]))
                return _rows(list(self._embedding.batches(read)))
        except UserError as error:
            return _rows([error])

    def _load(self, version: str, embedding_space: str, tensorflow: str) -> None:
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


def _rows(batches: list) -> _Rows:
    found = np.empty(len(batches), object)
    found[:] = [pickle.dumps(batch) for batch in batches]
    return {"batch": found}
