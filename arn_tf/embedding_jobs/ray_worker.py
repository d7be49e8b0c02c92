"""What runs on the nodes of a cluster: readers, and actors that hold the model.

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


def read(rows: _Rows, root: str) -> _Rows:
    """Reads batches.

    Args:
        rows: {"batch": pickled `Batch` each}.
        root: folder or address that the names of files begin at.

    Returns:
        {"batch": pickled `ReadBatch` each, or a `UserError` where disk or store don't answer}.
    """
    try:
        with contextlib.closing(Reader(root)) as reader:
            return _rows([reader.read(pickle.loads(batch)) for batch in rows["batch"]])
    except UserError as error:
        return _rows([error])


class Embedder:
    """Holds the model, loaded once, if this node has it, and the TensorFlow of the others.

    Args:
        version: folder of the model's version.
        embedding_space: that it must have.
        tensorflow: version of TensorFlow that must be installed.
    """

    def __init__(self, version: str, embedding_space: str, tensorflow: str) -> None:
        self._problem: UserError | None = None
        try:
            self._load(version, embedding_space, tensorflow)
        except UserError as error:
            self._problem = error

    def __call__(self, rows: _Rows) -> _Rows:
        """Returns {"batch": pickled `EmbeddedBatch` each, or a `UserError`} of `read`'s rows."""
        found = [pickle.loads(batch) for batch in rows["batch"]]
        problems = [each for each in (self._problem, *found) if isinstance(each, UserError)]
        return _rows(problems[:1] or list(self._embedding.batches(found)))

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
