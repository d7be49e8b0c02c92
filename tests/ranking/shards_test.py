"""Ranking from shards of jobs: as in memory, unknown persons and cameras, wrong folders."""

import dataclasses
import hashlib

import numpy as np
import pyarrow.parquet as pq
import pytest

from arn_tf.errors import ArgumentError, UserError
from arn_tf.ranking import protocol, shards
from datasets.embedding_shards import job_file, shard
from tests.support import small_shards

GATE, LIFT = "gate", "lift"


def write(folder, persons, cameras, seed=0, pictures=None, **changes):
    """Writes a job in shards of 3; returns its embeddings, float32 [N, DIM]."""
    folder.mkdir()
    job = small_shards.job(pictures=len(persons), **changes)
    embedding = small_shards.vectors(job, seed)
    pictures = pictures or [f"{folder.name}{row}" for row in range(len(persons))]
    job_file.write(str(folder), job)
    for number in range(job.shards):
        kept = list(job.rows(number))
        found = small_shards.rows(job, embedding, kept)
        found = dataclasses.replace(
            found,
            person_id=[persons[row] for row in kept],
            camera=[cameras[row] for row in kept],
            content_hash=[hashlib.sha256(pictures[row].encode()).digest() for row in kept],
        )
        shard.write(str(folder), job, number, found, {})
    return embedding.astype(job.dtype)


@pytest.fixture
def persons():
    """Names of 8 queries and 50 gallery pictures; some of the gallery have none."""
    random = np.random.default_rng(1)
    query = random.choice(["amy", "bob", "0007", "7"], 8).tolist()
    return query, random.choice(["amy", "bob", "0007", "7", "eve", None, "-1"], 50).tolist()


@pytest.fixture
def cameras():
    random = np.random.default_rng(2)
    return random.choice([GATE, LIFT], 8).tolist(), random.choice([GATE, LIFT, "x"], 50).tolist()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_equals_ranking_in_memory(persons, cameras, dtype, tmp_path):
    query = write(tmp_path / "query", persons[0], cameras[0], dtype=dtype)
    gallery = write(tmp_path / "gallery", persons[1], cameras[1], seed=1, dtype=dtype)
    found = shards.rank(str(tmp_path / "query"), str(tmp_path / "gallery"))

    numbers = {"amy": 1, "bob": 2, "0007": 3, "7": 4, "eve": 5, None: -1, "-1": -1}
    places = {GATE: 0, LIFT: 1, "x": 2}
    expected = protocol.rank_gallery(
        query,
        gallery,
        *(np.array([numbers[name] for name in names]) for names in persons),
        *(np.array([places[name] for name in names]) for names in cameras),
    )
    assert expected.junk > 0 and expected.valid_queries == 8
    assert found.to_json() == expected.to_json()


def test_by_hand_and_by_same_camera(tmp_path):
    # One camera; the query's own picture lies in the gallery, too, under another name.
    write(tmp_path / "query", ["amy"], [GATE], pictures=["a"])
    write(tmp_path / "gallery", ["amy", "amy", "bob"], [GATE] * 3, pictures=["a", "b", "c"])
    with pytest.raises(UserError, match=r"no query has a match.*same_camera"):
        shards.rank(str(tmp_path / "query"), str(tmp_path / "gallery"))
    found = shards.rank(str(tmp_path / "query"), str(tmp_path / "gallery"), same_camera=True)
    assert found.valid_queries == 1 and found.first_match_rank[0] in (1, 2)


def test_a_folder_against_itself(tmp_path):
    write(tmp_path / "all", ["amy", "amy", "bob", "bob"], [GATE, LIFT, GATE, LIFT])
    found = shards.rank(str(tmp_path / "all"), str(tmp_path / "all"))
    assert found.valid_queries == found.queries == 4


def test_unknown_cameras_are_one_camera(tmp_path):
    write(tmp_path / "query", ["amy", "bob"], [None, GATE])
    write(tmp_path / "gallery", ["amy", "bob"], [None, None], seed=1)
    found = shards.rank(str(tmp_path / "query"), str(tmp_path / "gallery"))
    assert found.first_match_rank.tolist()[0] == 0 and found.valid_queries == 1


@pytest.mark.parametrize("person", [None, "-1"])
def test_a_query_without_a_person(person, tmp_path):
    write(tmp_path / "query", ["amy", "amy", "amy", person], [GATE] * 4)
    write(tmp_path / "gallery", ["amy"], [LIFT])
    with pytest.raises(ArgumentError, match=r"query=.*1 of 4 pictures.*003.jpg"):
        shards.rank(str(tmp_path / "query"), str(tmp_path / "gallery"))


def test_another_embedding_space(tmp_path):
    write(tmp_path / "query", ["amy"], [GATE])
    write(tmp_path / "gallery", ["amy"], [LIFT], embedding_space="0" * 16)
    with pytest.raises(ArgumentError, match=r"gallery=.*another model.* than query's") as error:
        shards.rank(str(tmp_path / "query"), str(tmp_path / "gallery"))
    assert set(error.value.arguments) == {"query", "gallery"}


@pytest.mark.parametrize("which", ["query", "gallery"])
def test_a_job_that_is_not_finished(which, tmp_path):
    write(tmp_path / "query", ["amy"] * 4, [GATE] * 4)
    write(tmp_path / "gallery", ["amy"] * 4, [LIFT] * 4)
    (tmp_path / which / "shard-00001.parquet").unlink()
    with pytest.raises(ArgumentError, match=f"{which}=.*1 of 2 shards are missing"):
        shards.rank(str(tmp_path / "query"), str(tmp_path / "gallery"))


def test_a_shard_that_is_damaged_once_it_is_read(tmp_path):
    write(tmp_path / "query", ["amy"], [GATE])
    write(tmp_path / "gallery", ["amy"] * 4, [LIFT] * 4)
    path = tmp_path / "gallery" / "shard-00001.parquet"
    data = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(6)
    assert column.path_in_schema.startswith("embedding")
    data[column.data_page_offset + column.total_compressed_size - 3] ^= 255
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"gallery=.*shard-00001.parquet"):
        shards.rank(str(tmp_path / "query"), str(tmp_path / "gallery"))


def test_a_query_of_nothing(tmp_path):
    folder = tmp_path / "query"
    folder.mkdir()
    small_shards.write(folder, small_shards.job(pictures=1), failed=(0,))
    write(tmp_path / "gallery", ["amy"], [LIFT])
    with pytest.raises(ArgumentError, match=r"query=.*no picture in it has an embedding"):
        shards.rank(str(folder), str(tmp_path / "gallery"))
