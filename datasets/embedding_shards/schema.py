"""The columns of a shard, and what its metadata says.

file          path, relative to the job's root where it is in it; parts end in /
camera        name, where it is known
tracklet      name that its tracker gave it, in its camera, where it is known
person_id     name, where somebody has labelled it
time          seconds; only differences count
content_hash  SHA-256 of the picture's file
embedding     of unit length, to the rounding of its type
"""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from datasets.embedding_shards.job_file import Job

HASH_BYTES = 32
_KEY = b"arn_tf"
_NUMBERS = {"float32": pa.float32(), "float16": pa.float16()}


def columns(job: Job) -> pa.Schema:
    """Returns the columns of each shard of a job."""
    number = pa.field("element", _NUMBERS[job.dtype], nullable=False)
    return pa.schema(
        [
            pa.field("file", pa.string(), nullable=False),
            pa.field("camera", pa.string()),
            pa.field("tracklet", pa.string()),
            pa.field("person_id", pa.string()),
            pa.field("time", pa.float64()),
            pa.field("content_hash", pa.binary(HASH_BYTES), nullable=False),
            pa.field("embedding", pa.list_(number, job.embedding_dim), nullable=False),
        ]
    )


def with_facts(job: Job, shard: int, failed: Mapping[str, str]) -> pa.Schema:
    """Returns the columns, with what says which shard of which job this is.

    Args:
        job: of the shard.
        shard: its number.
        failed: {file: why it has no row} of its pictures.
    """
    facts = {"job": job.facts(), "shard": shard, "failed": dict(failed)}
    return columns(job).with_metadata({_KEY: json.dumps(facts, sort_keys=True)})


def facts(schema: pa.Schema) -> dict[str, Any] | None:
    """Returns the job, shard and failed pictures of `with_facts`; None where there are none."""
    try:
        found = json.loads((schema.metadata or {})[_KEY])
        return {name: found[name] for name in ("job", "shard", "failed")}
    except (KeyError, ValueError, TypeError):
        return None
