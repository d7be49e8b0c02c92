"""The command of embedding jobs: killed at any moment, full disks, its exit status, its flags."""

import os
import pathlib
import random
import subprocess
import sys

import pytest

from datasets.embedding_shards.read import EmbeddingShards
from tests.support import small_data, small_jobs
from tests.support.places import ROOT


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    return small_jobs.write_crops(tmp_path_factory.mktemp("crops"), 60)


@pytest.fixture(scope="module")
def uninterrupted(crops, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    small_jobs.run(crops, folder, shard_size=4)
    return folder


def test_kill_at_any_moment_loses_and_doubles_nothing(crops, uninterrupted, tmp_path):
    rng, output = random.Random(), tmp_path / "out"
    line, kept = small_jobs.command(crops, output, shard_size=4), {}
    for _ in range(3):
        wait = rng.uniform(0, 0.06)
        running = small_jobs.killed(line, output, len(kept) + rng.randint(1, 3), wait)
        now = small_jobs.shards(output)
        assert running and kept.items() <= now.items() and len(now) < 15, wait
        kept = now
    status, out, err = small_data.finish(line)
    assert status == 0, err
    assert f"{4 * len(kept)} pictures are done" in out
    assert small_jobs.shards(output) == small_jobs.shards(uninterrupted)
    names = {path.name for path in output.iterdir()}
    assert names == {"job.json", "pictures.json", *small_jobs.shards(output)}
    files = [f for b in EmbeddingShards(output).batches() for f in b.column("file").to_pylist()]
    assert len(files) == len(set(files)) == 60


def test_killed_before_its_first_shard(crops, uninterrupted, tmp_path):
    """The list of pictures is there, and the job's file isn't yet, or not whole."""
    for path in uninterrupted.iterdir():
        if path.name == "pictures.json":
            (tmp_path / path.name).write_bytes(path.read_bytes()[:100])
    (tmp_path / ".12-ab.new.job.json").write_text('{"format"')
    small_jobs.run(crops, tmp_path, shard_size=4)
    assert small_jobs.shards(tmp_path) == small_jobs.shards(uninterrupted)


def test_bad_pictures_decide_the_exit_status(tmp_path):
    crops = small_jobs.write_crops(tmp_path / "crops", 5)
    bad = pathlib.Path(crops, "1/0003.jpg")
    bad.write_bytes(b"no picture")
    line = small_jobs.command(crops, tmp_path / "out")
    status, out, err = small_data.finish(line)
    assert status == 1, err
    assert "1 of 5 pictures have no embedding" in out and "0003.jpg: not a picture" in out
    status, out, err = small_data.finish([*line, "--skip_bad_images"])
    assert status == 0 and "all shards are there" in out and "1 of 5 pictures" in out


# Not by preexec_fn: where gRPC runs, a fork may abort.
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_full_disk(crops, uninterrupted, tmp_path):
    """The limit on a file's size stands for it: the shard doesn't fit."""
    output = tmp_path / "out"
    line = small_jobs.command(crops, output, shard_size=60)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *line],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert f"--output={output}: shard-00000.parquet can't be written" in done.stderr
    assert "0 of 1 shards are kept: make room, and give the same command again" in done.stderr
    assert sorted(os.listdir(output)) == ["job.json", "pictures.json"]
    status, _, err = small_data.finish(line)
    assert status == 0, err
    assert len(EmbeddingShards(output)) == 60


def test_no_room_is_told_before_the_work(crops, tmp_path, monkeypatch):
    from arn_tf.embedding_jobs import job
    from arn_tf.errors import UserError

    monkeypatch.setattr(job.shutil, "disk_usage", lambda _: type("", (), {"free": 100}))
    with pytest.raises(UserError, match=r"what is left needs 0\.00 GiB, 0\.00 GiB are free"):
        small_jobs.run(crops, tmp_path)
    assert not small_jobs.shards(tmp_path)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"images": ""}, "--images: name a folder or table"),
        ({"model": ""}, "--model: name the folder that arn_tf.export wrote"),
        ({"output": ""}, "--output: name the folder"),
        ({"shard_size": 0}, "--shard_size=0: give 1 or more pictures"),
        ({"dtype": "int8"}, "--dtype"),
        ({"engine": "spark"}, "--engine"),
        ({"images": "/nowhere"}, "--images=/nowhere: neither a folder"),
    ],
)
def test_flags(flags, words, tmp_path):
    given = {"images": "/tmp", "model": "/tmp", "output": str(tmp_path / "out")} | flags
    line = [sys.executable, "-m", "arn_tf.embed", *(f"--{k}={v}" for k, v in given.items())]
    if flags.get("images") == "/nowhere":
        line.append(f"--model={small_jobs.arguments('/nowhere', '/tmp').model}")
    status, _, err = small_data.finish(line)
    assert status == 2 and words in err and "Traceback" not in err
    assert not (tmp_path / "out").exists()
