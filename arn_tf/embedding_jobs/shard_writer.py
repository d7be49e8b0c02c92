"""Gathers embedded batches to shards, and writes each in a thread when it is complete."""

import collections
import concurrent.futures
import os
import types
from typing import Self

import numpy as np

from arn_tf.embedding_jobs.batches import EmbeddedBatch
from arn_tf.embedding_jobs.plan import Plan
from arn_tf.errors import ArgumentError, UserError
from datasets.embedding_shards import read, shard
from datasets.embedding_shards.job_file import ShardError, shard_path

# Shards that wait to be written.
_WAITING = 2


class _Gathered:
    """What is there of a shard, in any order."""

    def __init__(self, rows: range, dim: int) -> None:
        self.rows = rows
        self.vectors = np.zeros((len(rows), dim), np.float32)
        self.digests = [b""] * len(rows)
        self.failed: dict[int, str] = {}
        self.firsts: set[int] = set()
        self.count = 0

    def add(self, batch: EmbeddedBatch) -> bool:
        """Adds a batch, unless it is there; returns whether the shard is complete now."""
        if batch.first not in self.firsts:
            self.firsts.add(batch.first)
            start, count = batch.first - self.rows.start, len(batch.content_hash)
            self.vectors[start : start + count] = batch.vectors
            self.digests[start : start + count] = batch.content_hash
            self.failed |= {start + place: text for place, text in batch.failed.items()}
            self.count += count
            return self.count == len(self.rows)
        return False


class ShardWriter:
    """Writes the shards of a plan; use it with `with`, whose end waits for the last one.

    Args:
        plan: of the job; what is written is no longer pending in it.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._gathered: dict[int, _Gathered] = {}
        self._thread = concurrent.futures.ThreadPoolExecutor(1)
        self._waiting: collections.deque[concurrent.futures.Future[None]] = collections.deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: types.TracebackType | None
    ) -> None:
        # What is complete is kept, whatever ended the job.
        self._thread.shutdown()
        if kind is None:
            self._wait(0)

    def add(self, batch: EmbeddedBatch) -> None:
        """Takes a batch, in any order; of one that comes twice the first counts.

        Raises:
            UserError: an earlier shard can't be written, or the model gave what is no embedding.
        """
        number = batch.first // self._plan.job.shard_size
        if number in self._plan.failed:
            return
        if number not in self._gathered:
            dim = self._plan.job.embedding_dim
            self._gathered[number] = _Gathered(self._plan.job.rows(number), dim)
        if self._gathered[number].add(batch):
            self._wait(_WAITING - 1)
            complete = self._gathered.pop(number)
            self._waiting.append(self._thread.submit(self._write, number, complete))

    def _wait(self, most: int) -> None:
        while len(self._waiting) > most:
            self._waiting.popleft().result()

    def _write(self, number: int, gathered: _Gathered) -> None:
        plan = self._plan
        first = gathered.rows.start
        self._keep_embedded(number, gathered)
        kept = [place for place in range(len(gathered.rows)) if place not in gathered.failed]
        failed = {
            plan.listing.files[first + place]: gathered.failed[place]
            for place in sorted(gathered.failed)
        }
        rows = plan.known(
            [first + place for place in kept],
            [gathered.digests[place] for place in kept],
            gathered.vectors[kept],
        )
        try:
            shard.write(plan.folder, plan.job, number, rows, failed)
        except ShardError as error:
            raise UserError(f"model: {error}", ["model"]) from error
        except OSError as error:
            name = os.path.basename(shard_path(plan.folder, number))
            raise ArgumentError(
                "output",
                plan.folder,
                f"{name} can't be written ({error.strerror or error}). {len(plan.failed)} of "
                f"{plan.job.shards} shards are kept: make room, and give the same command again",
            ) from error
        plan.failed[number] = failed

    def _keep_embedded(self, number: int, gathered: _Gathered) -> None:
        """Takes over from the shard that is replaced what fails now: it may be gone meanwhile."""
        plan = self._plan
        files = {
            plan.listing.files[gathered.rows.start + place]: place for place in gathered.failed
        }
        if files:
            before = read.embedded(plan.folder, plan.job, number, files)
            for file, (digest, vector) in before.items():
                place = files[file]
                gathered.digests[place], gathered.vectors[place] = digest, vector
                del gathered.failed[place]
