"""One shard: written whole or not at all, and checked before it is taken for one of a job."""

import dataclasses
import os
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.embedding_shards import schema
from datasets.embedding_shards.job_file import Job, ShardError, shard_path
from datasets.files import durable
from datasets.files.atomic_files import replaced

# Largest difference of a length from 1: float16 has 11 bits.
_TOLERANCE = 1e-2


class DamagedShardError(ShardError):
    """A shard's file is cut off, or no Parquet file: it can be written again."""


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of a shard, N of them.

    Attributes:
        files: their names.
        camera: of each, or None; so are tracklet and person_id.
        time: float64 [N], seconds; NaN where it is unknown.
        content_hash: SHA-256 of each file.
        embedding: float32 [N, D], of unit length.
    """

    files: Sequence[str]
    camera: Sequence[str | None]
    tracklet: Sequence[str | None]
    person_id: Sequence[str | None]
    time: np.ndarray
    content_hash: Sequence[bytes]
    embedding: np.ndarray


def write(folder: str, job: Job, number: int, rows: Rows, failed: Mapping[str, str]) -> None:
    """Writes a shard; the same rows give the same bytes.

    Args:
        folder: of the job.
        job: whose shard it is.
        number: of the shard.
        rows: in the order of the job's pictures.
        failed: {file: why} of its pictures that have no row.

    Raises:
        ShardError: an embedding is zero or not finite; nothing is written.
        OSError: it can't be written, whatever was there before still is.
    """
    if odd := odd_vectors(rows.embedding):
        raise ShardError(
            f"{rows.files[odd[0]]}: the model gives an embedding that is zero or not finite, as of "
            f"{len(odd)} of {len(rows.files)} pictures here; export a model that works"
        )
    found = schema.with_facts(job, number, failed)
    numbers = np.ascontiguousarray(rows.embedding, job.dtype).reshape(-1)
    embedding = pa.FixedSizeListArray.from_arrays(
        pa.array(numbers), type=found.field("embedding").type
    )
    table = pa.Table.from_arrays(
        [
            pa.array(rows.files, pa.string()),
            *(
                pa.array(texts, pa.string())
                for texts in (rows.camera, rows.tracklet, rows.person_id)
            ),
            pa.array(rows.time, pa.float64(), from_pandas=True),
            pa.array(rows.content_hash, pa.binary(schema.HASH_BYTES)),
            embedding,
        ],
        schema=found,
    )
    with replaced(shard_path(folder, number)) as partial:
        pq.write_table(
            table,
            partial,
            row_group_size=max(1, len(rows.files)),
            # Vectors don't get smaller by it.
            compression={"embedding.list.element": "NONE"}
            | {name: "ZSTD" for name in found.names if name != "embedding"},
            use_dictionary=["camera", "tracklet", "person_id"],
            write_page_checksum=True,
        )
    durable.sync_folder(folder)


def failed(path: str, job: Job, number: int) -> dict[str, str]:
    """Returns {file: why} of the pictures that have no row in a shard; checks what it says it is.

    Its end is read alone: that of a file that is cut off is missing.

    Args:
        path: of its file.
        job: whose shard it should be.
        number: that it should have.

    Raises:
        DamagedShardError: it is cut off, or no Parquet file.
        ShardError: it is of another job or model, or lacks a column.
        OSError: it can't be read.
    """
    try:
        found = pq.read_metadata(path, memory_map=False)
        columns = found.schema.to_arrow_schema()
    # pyarrow has OSError, too, for what isn't Parquet; then it has no number.
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DamagedShardError(f"{path}: cut off, or no Parquet file ({error})") from error
    facts = schema.facts(columns)
    if facts is None:
        raise ShardError(f"{path}: not a shard of an embedding job; move it elsewhere")
    if facts["job"] != job.facts() or facts["shard"] != number:
        raise ShardError(f"{path}: {_difference(facts, job, number)}; move it elsewhere")
    expected = schema.columns(job)
    if missing := [name for name in expected.names if name not in columns.names]:
        raise ShardError(
            f"{path}: has no column {', '.join(missing)}; remove it, and have arn_tf.embed write "
            "it again"
        )
    if not columns.equals(expected, check_metadata=False):
        raise ShardError(f"{path}: has columns of other types; remove it, and write it again")
    lost: dict[str, str] = facts["failed"]
    if found.num_rows + len(lost) != len(job.rows(number)):
        raise DamagedShardError(
            f"{path}: has {found.num_rows} rows and {len(lost)} failed pictures, and should have "
            f"{len(job.rows(number))} together"
        )
    return lost


def odd_vectors(vectors: np.ndarray) -> list[int]:
    """Returns the rows of vectors [N, D] that aren't of unit length, as zero and NaN aren't."""
    lengths = np.linalg.norm(vectors.astype(np.float32), axis=1)
    # Written so that NaN is odd.
    return np.flatnonzero(~(np.abs(lengths - 1) <= _TOLERANCE)).tolist()


def remove_partial(folder: str) -> None:
    """Removes what writers of shards that were killed have left in a job's folder."""
    for name in os.listdir(folder):
        if name.startswith(".") and ".new.shard-" in name:
            os.remove(os.path.join(folder, name))


def _difference(facts: dict[str, object], job: Job, number: int) -> str:
    other = facts["job"]
    space = other.get("embedding_space") if isinstance(other, dict) else None
    if space != job.embedding_space:
        return f"of embedding space {space}, and the job's is {job.embedding_space}"
    if other != job.facts():
        return "of another job"
    return f"this is shard {facts['shard']}, and not {number}"
