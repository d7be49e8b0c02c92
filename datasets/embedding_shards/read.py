"""Reads the embeddings of a finished job, in order, shard by shard."""

import os
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.embedding_shards import job_file, shard
from datasets.embedding_shards.job_file import Job, ShardError

_BATCH = 4096  # rows


class EmbeddingShards:
    """The embeddings of a job, checked: that all shards are there, whole, and of the one job.

    Args:
        folder: output of `arn_tf.embed`.

    Attributes:
        job: what it is of.
        failed: {file: why} of pictures without a row.

    Raises:
        ShardError: a shard is missing, damaged or of another job, or there is no job.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = os.fspath(folder)
        self.job = self._job()
        self.failed: dict[str, str] = {}
        missing = []
        for number in range(self.job.shards):
            path = job_file.shard_path(self._folder, number)
            try:
                self.failed |= shard.failed(path, self.job, number)
            except FileNotFoundError:
                missing.append(number)
            except shard.DamagedShardError as error:
                raise ShardError(f"{error}; {_AGAIN}") from error
            except OSError as error:
                raise ShardError(f"{path}: can't be read ({error.strerror or error})") from error
        if missing:
            raise ShardError(
                f"{self._folder}: {len(missing)} of {self.job.shards} shards are missing, the "
                f"first is {missing[0]}; {_AGAIN}"
            )

    def __len__(self) -> int:
        """Rows of all shards."""
        return self.job.pictures - len(self.failed)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yields all rows, in order.

        Args:
            columns: names, see `datasets.embedding_shards.schema`; all if None.

        Yields:
            record batches, none empty, none with rows of two shards; `vectors` returns the
            embeddings of one.

        Raises:
            ShardError: a shard is damaged, or an embedding in it is zero or not finite.
        """
        for number in range(self.job.shards):
            path = job_file.shard_path(self._folder, number)
            try:
                with pq.ParquetFile(path, page_checksum_verification=True) as file:
                    for batch in file.iter_batches(_BATCH, columns=columns):
                        self._check(path, batch)
                        yield batch
            except (pa.ArrowException, OSError) as error:
                raise ShardError(f"{path}: damaged ({error}); {_AGAIN}") from error

    def _job(self) -> Job:
        try:
            job = job_file.read(self._folder)
        except OSError as error:
            raise ShardError(f"{self._folder}: can't be read ({error.strerror})") from error
        if job is None:
            raise ShardError(
                f"{self._folder}: no {job_file.FILE} there; name a folder that arn_tf.embed wrote"
            )
        return job

    def _check(self, path: str, batch: pa.RecordBatch) -> None:
        if "embedding" in batch.schema.names and (odd := shard.odd_vectors(vectors(batch))):
            raise ShardError(
                f"{path}: the embeddings of {len(odd)} rows are zero or not finite; {_AGAIN}"
            )


def embedded(
    folder: str, job: Job, number: int, files: Collection[str]
) -> dict[str, tuple[bytes, np.ndarray]]:
    """Returns what a shard has of some pictures; nothing where there is no shard, or a damaged one.

    Args:
        folder: of the job.
        job: whose shard it is.
        number: of the shard.
        files: names of the pictures.

    Returns:
        {file: SHA-256 of it, and its embedding [D]}.

    Raises:
        ShardError: it is of another job.
        OSError: it can't be read.
    """
    path = job_file.shard_path(folder, number)
    found = {}
    try:
        shard.failed(path, job, number)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(_BATCH, columns=["file", "content_hash", "embedding"]):
                names, digests = (
                    batch.column(name).to_pylist() for name in ("file", "content_hash")
                )
                for name, digest, vector in zip(names, digests, vectors(batch), strict=True):
                    if name in files:
                        found[name] = digest, vector.copy()
    except (FileNotFoundError, shard.DamagedShardError):
        return {}
    # pyarrow has OSError, too, for what is damaged; then it has no number.
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
    return found


_AGAIN = "remove it if it is there, and give the same command of arn_tf.embed again"


def vectors(batch: pa.RecordBatch) -> np.ndarray:
    """Returns the embeddings of a record batch, [N, D], in the job's type; nothing is copied."""
    column = batch.column(batch.schema.get_field_index("embedding"))
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(batch), -1)
