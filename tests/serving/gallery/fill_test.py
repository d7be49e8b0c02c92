"""Galleries that are filled from the shards of an embedding job."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from datasets.embedding_shards import job_file, shard
from datasets.own_cameras.cameras import Tracklet
from serving.errors import ServingError
from serving.gallery.store import GalleryStore
from tests.support import small_shards
from tests.support.gallery_shell import run
from tests.support.places import ROOT
from tests.support.small_gallery import contents, traces

# Commits so many batches, then kills its own process inside the next one's transaction.
KILLED = """
import os, signal, sys
from serving.gallery import command_line, rows
insert, left = rows.insert, int(sys.argv[1])
def until_killed(*arguments):
    global left
    result = insert(*arguments)
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
rows.insert = until_killed
command_line.main(sys.argv[2:])
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards").mkdir()
    return tmp_path


def fill(capsys, *arguments):
    return run(capsys, "fill", "--gallery=gal", "--shards=shards", *arguments)


def expected(job, rows):
    vectors = small_shards.vectors(job)
    return {f"/crops/{row:03d}.jpg": vectors[row] for row in rows}


def check_contents(expected):
    with GalleryStore("gal") as store:
        found = contents(store)
    assert found.keys() == expected.keys()
    for file, blob in found.items():
        np.testing.assert_allclose(np.frombuffer(blob, "<f4"), expected[file], atol=1e-7)


def test_rows_are_those_of_the_shards(place, capsys):
    job = small_shards.job()
    small_shards.write(place / "shards", job, failed=[4])
    assert "6 pictures added, 0 were there already, 0 copies" in fill(capsys)
    check_contents(expected(job, [0, 1, 2, 3, 5, 6]))
    with GalleryStore("gal") as store:
        assert store.binding.embedding_space == job.embedding_space
        pictures = {each.file: each for each in store.pictures()}
    first, second = pictures["/crops/000.jpg"], pictures["/crops/001.jpg"]
    assert (first.camera, first.tracklet) == (None, None)
    assert (second.camera, second.tracklet) == ("1", Tracklet("t", "/crops"))
    assert second.content_hash == bytes([1]) * 32
    assert "0 pictures added, 6 were there already" in fill(capsys)


def test_float16_becomes_unit_length(place, capsys):
    job = small_shards.job(dtype="float16")
    small_shards.write(place / "shards", job)
    fill(capsys)
    with GalleryStore("gal") as store, store.snapshot():
        _, vectors = store.load()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors, small_shards.vectors(job), atol=1e-3)


@pytest.mark.parametrize("batches", [0, 1, 2])
def test_killed_inside_any_batch_it_goes_on_with_the_same_command(place, capsys, batches):
    job = small_shards.job()
    small_shards.write(place / "shards", job)
    line = [sys.executable, "-c", KILLED, str(batches), "fill", "--gallery=gal", "--shards=shards"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    there = 3 * batches
    assert f"{7 - there} pictures added, {there} were there already" in fill(capsys)
    check_contents(expected(job, range(7)))


def test_of_copies_the_first_gets_the_row_however_often_it_is_filled(place, capsys):
    job = small_shards.job()
    job_file.write("shards", job)
    embedding = small_shards.vectors(job)
    for number in range(job.shards):
        rows = small_shards.rows(job, embedding, list(job.rows(number)))
        # 1 and 2 have camera 1 and 0; 3 and 5, of camera 1, have the bytes of 1, as 2 has.
        hashes = [bytes([1 if row in (1, 2, 3, 5) else row]) * 32 for row in job.rows(number)]
        rows = shard.Rows(**rows.__dict__ | {"content_hash": hashes})
        shard.write("shards", job, number, rows, {})
    assert "5 pictures added, 0 were there already, 2 copies" in fill(capsys)
    assert "0 pictures added, 5 were there already, 2 copies" in fill(capsys)
    check_contents(expected(job, [0, 1, 2, 4, 6]))


def test_a_newer_job_takes_the_place_of_pictures_that_changed_and_leaves_no_trace(place, capsys):
    job = small_shards.job()
    small_shards.write(place / "shards", job)
    fill(capsys)
    shutil.rmtree("shards")
    (place / "shards").mkdir()
    job_file.write("shards", job)
    newer = small_shards.vectors(job, seed=1)
    for number in range(job.shards):
        rows = small_shards.rows(job, newer, list(job.rows(number)))
        rows = shard.Rows(
            **rows.__dict__
            | {"content_hash": [bytes([100 + row]) * 32 for row in job.rows(number)]}
        )
        shard.write("shards", job, number, rows, {})
    assert "7 pictures added" in fill(capsys)
    check_contents({f"/crops/{row:03d}.jpg": newer[row] for row in range(7)})
    assert not traces(place / "gal", small_shards.vectors(job))


def test_pictures_are_where_root_says(place, capsys):
    small_shards.write(place / "shards", small_shards.job(root="s3://bucket/crops"))
    with pytest.raises(ServingError, match=r"s3://bucket/crops.*as --root"):
        fill(capsys)
    assert not (place / "gal").exists()
    fill(capsys, "--root=here")
    with GalleryStore("gal") as store:
        assert store.pictures()[0].file == str(place / "here" / "000.jpg")


def test_tracklets_of_a_table_are_the_table_s_as_with_add(place, capsys):
    """Names of a tracker count in their table: another one beside it begins anew."""
    job = small_shards.job(table="site.csv")
    assert job_file.read("shards") is None
    small_shards.write(place / "shards", job)
    assert job_file.read("shards") == job
    fill(capsys)
    with GalleryStore("gal") as store:
        assert store.pictures()[1].tracklet == Tracklet("t", "/crops/site.csv")
    assert "7 were there already" in fill(capsys)
    run(capsys, "fill", "--gallery=other", "--shards=shards", "--root=here")
    with GalleryStore("other") as store:
        assert store.pictures()[1].tracklet == Tracklet("t", str(place / "here" / "site.csv"))


def test_a_job_of_a_folder_is_written_as_it_was_before_there_were_tables_in_it(place):
    small_shards.write(place / "shards", small_shards.job())
    content = json.loads((place / "shards" / "job.json").read_text())
    assert content["format"] == 1 and "table" not in content


@pytest.mark.parametrize(
    "changes, what",
    [
        ({"embedding_space": "0000000000000000"}, "shards are of space 0000000000000000"),
        ({"embedding_dim": 4}, "8 numbers each.*4 numbers"),
    ],
)
def test_another_space_or_length_is_refused_and_nothing_changes(place, capsys, changes, what):
    small_shards.write(place / "shards", small_shards.job())
    fill(capsys)
    shutil.rmtree("shards")
    (place / "shards").mkdir()
    small_shards.write(place / "shards", small_shards.job(**changes))
    with pytest.raises(ServingError, match=what):
        fill(capsys)
    check_contents(expected(small_shards.job(), range(7)))


def test_shards_that_are_missing_cut_off_or_none_are_named_and_nothing_is_made(place, capsys):
    with pytest.raises(ServingError, match=r"no job\.json"):
        fill(capsys)
    small_shards.write(place / "shards", small_shards.job())
    path = place / "shards" / "shard-00001.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(ServingError, match="shard-00001"):
        fill(capsys)
    path.unlink()
    with pytest.raises(ServingError, match="1 of 3 shards are missing"):
        fill(capsys)
    assert not (place / "gal").exists()
