"""A small embedding job's folder, without a model."""

import numpy as np

from datasets.embedding_shards import job_file, shard
from datasets.embedding_shards.job_file import Job

DIM = 8


def job(**changes):
    """A job of 7 pictures in 3 shards."""
    facts = {
        "root": "/crops",
        "listing": "0" * 64,
        "pictures": 7,
        "shard_size": 3,
        "embedding_space": "abcdef0123456789",
        "embedding_dim": DIM,
        "dtype": "float32",
    }
    return Job(**facts | changes)


def vectors(job, seed=0):
    """Random vectors of unit length for all pictures of a job, float32."""
    drawn = np.random.default_rng(seed).normal(size=(job.pictures, job.embedding_dim))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def rows(job, embedding, kept):
    """The rows of pictures: camera 1 has tracklets, that of the first picture is unknown."""
    return shard.Rows(
        files=[f"{row:03d}.jpg" for row in kept],
        camera=[str(row % 2) if row else None for row in kept],
        tracklet=["t" if row % 2 else None for row in kept],
        person_id=[None for _ in kept],
        time=np.array([row if row % 3 else np.nan for row in kept], np.float64),
        content_hash=[bytes([row]) * 32 for row in kept],
        embedding=embedding[list(kept)],
    )


def write(folder, job, embedding=None, failed=()):
    """Writes the job's file and all of its shards; `failed` are rows of pictures without one."""
    embedding = vectors(job) if embedding is None else embedding
    job_file.write(str(folder), job)
    for number in range(job.shards):
        all_rows = job.rows(number)
        kept = [row for row in all_rows if row not in failed]
        lost = {f"{row:03d}.jpg": "can't be decoded" for row in all_rows if row in failed}
        shard.write(str(folder), job, number, rows(job, embedding, kept), lost)
