"""Shards come back as they were written, and nothing else is taken for one."""

import json
import os
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets.embedding_shards import job_file, read, shard
from datasets.embedding_shards.job_file import ShardError
from datasets.embedding_shards.read import EmbeddingShards
from tests.support import small_shards


def path_of(folder, number):
    return folder / f"shard-{number:05d}.parquet"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_was_written_is_read(tmp_path, dtype):
    job = small_shards.job(dtype=dtype)
    small_shards.write(tmp_path, job, failed=[1, 6])
    shards = EmbeddingShards(tmp_path)
    assert (shards.job, len(shards)) == (job, 5)
    assert shards.failed == {"001.jpg": "can't be decoded", "006.jpg": "can't be decoded"}
    table = pa.Table.from_batches(list(shards.batches()))
    assert table.column("file").to_pylist() == [f"{row:03d}.jpg" for row in (0, 2, 3, 4, 5)]
    assert table.column("camera").to_pylist() == [None, "0", "1", "0", "1"]
    assert table.column("tracklet").to_pylist() == [None, None, "t", None, "t"]
    assert table.column("person_id").null_count == 5
    assert table.column("time").to_pylist() == [None, 2, None, 4, 5]
    assert table.column("content_hash").to_pylist() == [bytes([r]) * 32 for r in (0, 2, 3, 4, 5)]
    found = np.concatenate([read.vectors(batch) for batch in shards.batches(["embedding"])])
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, small_shards.vectors(job)[[0, 2, 3, 4, 5]].astype(dtype))


def test_a_shard_without_rows(tmp_path):
    job = small_shards.job()
    small_shards.write(tmp_path, job, failed=[3, 4, 5])
    shards = EmbeddingShards(tmp_path)
    assert len(shards) == 4 and sum(len(batch) for batch in shards.batches()) == 4


def test_the_same_rows_are_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        small_shards.write(tmp_path / name, small_shards.job(), failed=[2])
    files = sorted(os.listdir(tmp_path / "a"))
    assert len(files) == 4 and files == sorted(os.listdir(tmp_path / "b"))
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_shard_that_is_cut_off_is_named(tmp_path):
    job = small_shards.job()
    small_shards.write(tmp_path, job)
    path = path_of(tmp_path, 1)
    whole = path.read_bytes()
    for size in (0, 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(shard.DamagedShardError, match=re.escape(str(path))):
            shard.failed(str(path), job, 1)
        with pytest.raises(ShardError, match=r"shard-00001.*same command"):
            EmbeddingShards(tmp_path)


def test_a_changed_byte_is_found(tmp_path):
    job = small_shards.job(embedding_dim=64)
    small_shards.write(tmp_path, job)
    path = path_of(tmp_path, 2)
    content = bytearray(path.read_bytes())
    vector = small_shards.vectors(job)[6].tobytes()
    content[content.index(vector) + 1] ^= 1  # of little weight: still of unit length
    path.write_bytes(content)
    with pytest.raises(ShardError, match=r"shard-00002\.parquet: damaged"):
        list(EmbeddingShards(tmp_path).batches())


def test_a_missing_shard_is_named(tmp_path):
    small_shards.write(tmp_path, small_shards.job())
    path_of(tmp_path, 1).unlink()
    with pytest.raises(ShardError, match=r"1 of 3 shards are missing, the first is 1"):
        EmbeddingShards(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"embedding_space": "f" * 16}, "of embedding space f+, and the job's is abcdef"),
        ({"listing": "1" * 64}, "of another job"),
    ],
)
def test_a_shard_of_another_job_is_refused(tmp_path, changes, words):
    for name, facts in (("here", {}), ("there", changes)):
        (tmp_path / name).mkdir()
        small_shards.write(tmp_path / name, small_shards.job(**facts))
    os.replace(path_of(tmp_path / "there", 1), path_of(tmp_path / "here", 1))
    with pytest.raises(ShardError, match=rf"shard-00001\.parquet: {words}") as error:
        EmbeddingShards(tmp_path / "here")
    assert not isinstance(error.value, shard.DamagedShardError)


def test_shards_that_changed_places_are_refused(tmp_path):
    small_shards.write(tmp_path, small_shards.job())
    os.replace(path_of(tmp_path, 0), path_of(tmp_path, 1))
    with pytest.raises(ShardError, match=r"shard-00001\.parquet: this is shard 0, and not 1"):
        shard.failed(str(path_of(tmp_path, 1)), small_shards.job(), 1)


def test_a_missing_column_is_named(tmp_path):
    small_shards.write(tmp_path, small_shards.job())
    path = path_of(tmp_path, 0)
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["camera"]), path)
    with pytest.raises(ShardError, match=r"shard-00000\.parquet: has no column camera"):
        EmbeddingShards(tmp_path)
    pq.write_table(table.set_column(4, "time", table.column("time").cast(pa.float32())), path)
    with pytest.raises(ShardError, match="columns of other types"):
        EmbeddingShards(tmp_path)
    pq.write_table(table.replace_schema_metadata(None), path)
    with pytest.raises(ShardError, match="not a shard of an embedding job"):
        EmbeddingShards(tmp_path)
    pq.write_table(table.slice(1), path)
    with pytest.raises(ShardError, match="has 2 rows and 0 failed pictures, and should have 3"):
        EmbeddingShards(tmp_path)


@pytest.mark.parametrize("odd", [np.nan, 0, np.inf])
def test_vectors_of_no_length_are_not_written(tmp_path, odd):
    job = small_shards.job()
    vectors = small_shards.vectors(job)
    vectors[4] = odd
    with pytest.raises(ShardError, match=r"004\.jpg: .* zero or not finite, as of 1 of 3"):
        small_shards.write(tmp_path, job, vectors)
    assert sorted(os.listdir(tmp_path)) == ["job.json", "shard-00000.parquet"]


def test_vectors_of_no_length_are_not_read(tmp_path):
    """As another program may have written them."""
    small_shards.write(tmp_path, small_shards.job())
    path = path_of(tmp_path, 2)
    table = pq.read_table(path)
    zeros = pa.FixedSizeListArray.from_arrays(
        pa.array(np.zeros(small_shards.DIM, np.float32)), type=table.schema.field("embedding").type
    )
    pq.write_table(table.set_column(6, table.schema.field("embedding"), zeros), path)
    with pytest.raises(ShardError, match=r"shard-00002\.parquet: the embeddings of 1 rows"):
        list(EmbeddingShards(tmp_path).batches())


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "pictures": "many"}']
)
def test_a_damaged_job_file(tmp_path, text):
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(ShardError, match=r"job\.json: damaged"):
        EmbeddingShards(tmp_path)


def test_job_files_of_others(tmp_path):
    with pytest.raises(ShardError, match=r"no job\.json there"):
        EmbeddingShards(tmp_path)
    assert job_file.read(str(tmp_path)) is None
    content = {"format": 3, **small_shards.job().facts()}
    (tmp_path / "job.json").write_text(json.dumps(content))
    with pytest.raises(ShardError, match="format 3 is newer than 2; update arn_tf"):
        EmbeddingShards(tmp_path)
    for wrong in ({"shard_size": 0}, {"table": 3}, {"table": "../site.csv"}):
        (tmp_path / "job.json").write_text(json.dumps(content | {"format": 1} | wrong))
        with pytest.raises(ShardError, match="damaged"):
            EmbeddingShards(tmp_path)


def test_what_killed_writers_left_is_removed(tmp_path):
    small_shards.write(tmp_path, small_shards.job())
    (tmp_path / ".123-ab.new.shard-00001.parquet").write_bytes(b"half")
    (tmp_path / ".mine").write_bytes(b"")
    shard.remove_partial(str(tmp_path))
    names = ["job.json", *(f"shard-{number:05d}.parquet" for number in range(3))]
    assert sorted(os.listdir(tmp_path)) == [".mine", *names]
    assert job_file.shard_files(str(tmp_path)).keys() == {0, 1, 2}
