"""Embeds batches: while one is in the network, the next are read and decoded."""

import time
from collections.abc import Iterable, Iterator

import tensorflow as tf

from arn_tf.embedding_jobs.ahead import ahead
from arn_tf.embedding_jobs.batches import EmbeddedBatch, ReadBatch
from arn_tf.embedding_jobs.exported_model import ExportedModel

# Batches that wait, read or decoded.
_READ, _DECODED = 4, 3


class Embedding:
    """Batches through a model, in order.

    Args:
        model: that embeds.

    Attributes:
        forward_seconds: that the network computed.
        waited_seconds: that it stood idle for want of pictures, from the second batch on.
    """

    def __init__(self, model: ExportedModel) -> None:
        self._model = model
        self.forward_seconds = 0.0
        self.waited_seconds = 0.0

    def batches(self, read: Iterable[ReadBatch]) -> Iterator[EmbeddedBatch]:
        """Yields what becomes of batches; `read` is used by a thread of its own."""
        decoded = ahead(map(self._decoded, ahead(iter(read), _READ)), _DECODED)
        first = True
        while True:
            start = time.perf_counter()
            batch = next(decoded, None)
            waited = time.perf_counter()
            if batch is None:
                return
            embedded = self._model.embed(*batch)
            if not first:
                self.waited_seconds += waited - start
            self.forward_seconds += time.perf_counter() - waited
            first = False
            yield embedded

    def _decoded(self, batch: ReadBatch) -> tuple[ReadBatch, tf.Tensor, dict[int, str]]:
        return batch, *self._model.decode(batch)
