"""Small embedding jobs: crops of two cameras, and their command, slow enough to be killed."""

import hashlib
import os
import pathlib
import sys
import time

from tests.support import small_data, small_strong
from tests.support.places import ROOT
from tests.support.program import Program

SHARD = 7


def write_crops(folder, count=24):
    """Writes crops into folders of two cameras, 1 and 4, which the small model knows; its path."""
    for number in range(count):
        camera = 4 if number % 3 else 1
        path = pathlib.Path(folder) / str(camera) / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (128, 64) if number % 5 else small_strong.SIZE
        path.write_bytes(small_data.picture(1 + number % 4, camera, number, size))
    return str(folder)


def arguments(images, output, **changes):
    """Of a job; imported here, for it imports TensorFlow."""
    from arn_tf.embedding_jobs.job import Arguments

    found = {
        "images": str(images),
        "names": "",
        "model": str(small_strong.models() / "arn"),
        "output": str(output),
        "engine": "local",
        "dtype": "float32",
        "shard_size": SHARD,
    }
    return Arguments(**found | changes)


def run(images, output, **changes):
    """Runs a job in this process: {picture: why} of those that failed."""
    from arn_tf.embedding_jobs import job

    return job.run(arguments(images, output, **changes))


def command(images, output, *more, **changes):
    """The command line of a job; each of its writes takes a while."""
    from dataclasses import asdict

    flags = [
        f"--{name}={value}" for name, value in asdict(arguments(images, output, **changes)).items()
    ]
    return [sys.executable, str(ROOT / "tests/support/small_jobs.py"), *flags, *more]


def shards(folder):
    """{name of a shard's file: SHA-256 of its bytes}."""
    files = sorted(pathlib.Path(folder).glob("shard-*.parquet"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def table(folder):
    """The rows of a job's shards, a `pyarrow.Table`."""
    import pyarrow as pa

    from datasets.embedding_shards.read import EmbeddingShards

    return pa.Table.from_batches(list(EmbeddingShards(folder).batches()))


def vectors(folder):
    """The embeddings of a job's shards, [N, D] in the type that they are kept in."""
    import numpy as np

    from datasets.embedding_shards import read

    return np.concatenate([read.vectors(batch) for batch in table(folder).to_batches()])


def killed(line, output, after, wait):
    """Runs a command line, and kills it some seconds after a number of its shards are there.

    Returns whether it was still running.
    """
    process = Program(line)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if len(shards(output)) >= after:
            time.sleep(wait)
            break
        time.sleep(0.002)
    running = process.poll() is None
    process.kill()
    process.wait()
    return running


if __name__ == "__main__":
    import runpy

    import pyarrow.parquet

    write_table, replace = pyarrow.parquet.write_table, os.replace

    def slow_write(*args, **kwargs):
        write_table(*args, **kwargs)
        time.sleep(0.03)

    def slow_replace(*args):
        time.sleep(0.01)
        replace(*args)
        time.sleep(0.01)

    pyarrow.parquet.write_table, os.replace = slow_write, slow_replace
    sys.argv[0] = "arn_tf.embed"
    runpy.run_module("arn_tf.embed", run_name="__main__", alter_sys=True)
