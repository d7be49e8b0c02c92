"""Rows of a table in place of runs that train: what `arn_tf.ablate` finds in another process."""

import os
import pathlib
import signal
import sys
import time

import numpy as np

from arn_tf.ranking import protocol
from arn_tf.ranking.evaluation import Evaluation, Row


def scored(settings, labelled):
    """One row, and notes of where it was scored and with what."""
    persons = np.arange(1, 7)
    embeddings = np.random.default_rng(settings.seed).normal(size=(12, 8))
    cameras = np.ones(6, np.int64)
    result = protocol.rank_gallery(
        embeddings[:6], embeddings[6:], persons, persons, cameras, 2 * cameras
    )
    notes = [
        f"process {os.getpid()} of {os.getppid()}",
        f"TensorFlow {'tensorflow' in sys.modules}",
        f"{settings.model_dir} {labelled.query}",
    ]
    return Evaluation([Row("arn", "ARN", result)], None, notes)


def killed(*_):
    """Ends as a process does that the kernel takes the memory of."""
    os.kill(os.getpid(), signal.SIGKILL)


def waiting(settings, _):
    """Waits for its end, and leaves its process in a file of the run's folder."""
    os.makedirs(settings.model_dir)
    pathlib.Path(settings.model_dir, "process").write_text(str(os.getpid()))
    time.sleep(300)
