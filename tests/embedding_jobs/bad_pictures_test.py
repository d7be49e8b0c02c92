"""Pictures that a job can't embed: left out, told, tried again; and a drive that goes away."""

import csv
import os
import pathlib

import numpy as np
import pytest

from arn_tf.embedding_jobs import batches, storage
from datasets.embedding_shards.read import EmbeddingShards
from tests.support import small_data, small_jobs


def test_bad_pictures_are_left_out_told_and_tried_again(tmp_path, capsys):
    crops, output = small_jobs.write_crops(tmp_path / "crops"), tmp_path / "out"
    files = sorted(str(path) for path in pathlib.Path(crops).rglob("*.jpg"))
    small_jobs.run(crops, tmp_path / "good")
    good = pathlib.Path(files[3]).read_bytes()
    pathlib.Path(files[3]).write_bytes(good[: len(good) // 2])
    pathlib.Path(files[20]).write_bytes(b"")
    failed = small_jobs.run(crops, output)
    assert failed == {files[3]: "can't be decoded", files[20]: "has no bytes"}
    assert "2 of 24 pictures have no embedding" in capsys.readouterr().out
    with open(output / "failed.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"file": file, "problem": problem} for file, problem in failed.items()]
    shards, good_shards = small_jobs.shards(output), small_jobs.shards(tmp_path / "good")
    assert [name for name in shards if shards[name] != good_shards[name]] == [
        "shard-00000.parquet",
        "shard-00002.parquet",
    ]
    expected = np.delete(small_jobs.vectors(tmp_path / "good"), [3, 20], 0)
    np.testing.assert_array_equal(small_jobs.vectors(output), expected)
    # The first is whole again, the other isn't.
    pathlib.Path(files[3]).write_bytes(good)
    assert small_jobs.run(crops, output) == {files[20]: "has no bytes"}
    assert "17 pictures are done; going on with the other 7" in capsys.readouterr().out
    shards = small_jobs.shards(output)
    assert [name for name in shards if shards[name] != good_shards[name]] == ["shard-00002.parquet"]
    pathlib.Path(files[20]).write_bytes(small_data.picture(1, 1, 0))
    assert small_jobs.run(crops, output) == {}
    assert not (output / "failed.csv").exists()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_trying_again_loses_no_embedding(tmp_path, dtype):
    """A picture is repaired, and others of its shard are gone: they keep what they have."""
    crops, output = small_jobs.write_crops(tmp_path / "crops"), tmp_path / "out"
    files = sorted(str(path) for path in pathlib.Path(crops).rglob("*.jpg"))
    small_jobs.run(crops, tmp_path / "good", dtype=dtype)
    good = pathlib.Path(files[3]).read_bytes()
    for file in (files[3], files[5]):
        pathlib.Path(file).write_bytes(b"")
    small_jobs.run(crops, output, dtype=dtype)
    pathlib.Path(files[3]).write_bytes(good)
    pathlib.Path(files[1]).unlink()
    pathlib.Path(files[6]).write_bytes(b"")
    assert small_jobs.run(crops, output, dtype=dtype) == {files[5]: "has no bytes"}
    expected = small_jobs.table(tmp_path / "good")
    kept = [row for row in range(24) if row != 5]
    assert small_jobs.table(output).equals(expected.take(kept))


def test_a_job_of_nothing_but_bad_pictures(tmp_path):
    crops = small_jobs.write_crops(tmp_path / "crops", 3)
    for path in pathlib.Path(crops).rglob("*.jpg"):
        path.write_bytes(b"\xff\xd8\xff\xe0 no more")
    assert len(small_jobs.run(crops, tmp_path / "out")) == 3
    assert len(EmbeddingShards(tmp_path / "out")) == 0


def test_a_name_that_is_not_utf8_and_a_picture_that_went(tmp_path, monkeypatch):
    crops = small_jobs.write_crops(tmp_path / "crops", 4)
    odd = os.path.join(os.fsencode(crops), b"1", b"\xff.jpg")
    with open(odd, "wb") as file:
        file.write(small_data.picture(1, 1, 0))
    assert small_jobs.run(crops, tmp_path / "out") == {
        os.fsdecode(odd): "its name is not UTF-8; rename the file"
    }
    read_one = storage.Storage.read

    def gone(self, file, size):
        if "0003" in file:
            os.remove(f"{crops}/{file}")
        return read_one(self, file, size)

    monkeypatch.setattr(storage.Storage, "read", gone)
    failed = small_jobs.run(crops, tmp_path / "again")
    assert failed[f"{crops}/1/0003.jpg"] == "can't be read (No such file or directory)"


def test_a_drive_that_goes_away_ends_the_job(tmp_path, monkeypatch):
    crops, output = small_jobs.write_crops(tmp_path / "crops"), tmp_path / "out"
    monkeypatch.setattr(batches, "READERS", 1)
    # In all three jobs, for the number of pictures may decide the last bit of an embedding.
    monkeypatch.setattr(batches, "SIZE", 2)
    small_jobs.run(crops, tmp_path / "whole")
    read_one = storage.Storage.read

    def unmounted(self, file, size):
        if "0017" in file:
            os.rename(crops, tmp_path / "away")
            os.mkdir(crops)
        return read_one(self, file, size)

    with monkeypatch.context() as mounted:
        mounted.setattr(storage.Storage, "read", unmounted)
        with pytest.raises(storage.StorageError, match=r"doesn't answer.*same command again"):
            small_jobs.run(crops, output)
    assert not (output / "failed.csv").exists()
    os.rmdir(crops)
    os.rename(tmp_path / "away", crops)
    kept = small_jobs.shards(output)
    assert 0 < len(kept) < 4
    small_jobs.run(crops, output)
    assert small_jobs.shards(output) == small_jobs.shards(tmp_path / "whole")
