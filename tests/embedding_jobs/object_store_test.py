"""Pictures in an object store, by fsspec's own in memory; one that fails in the middle."""

import pathlib

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from arn_tf.embedding_jobs import batches, given_pictures, storage
from arn_tf.embedding_jobs.storage import StorageError
from arn_tf.errors import UserError
from datasets.embedding_shards.read import EmbeddingShards
from tests.support import small_jobs


class Flaky(MemoryFileSystem):
    """A store that takes `left` more requests for pictures."""

    protocol = "flaky"
    left = 10**9

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("flaky://", "memory://"))

    def cat_file(self, path, *args, **kwargs):
        Flaky.left -= path.endswith(".jpg")
        if Flaky.left < 0:
            raise TimeoutError("no answer in 5 s")
        return super().cat_file(path, *args, **kwargs)


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    return small_jobs.write_crops(tmp_path_factory.mktemp("crops"))


@pytest.fixture
def store(crops):
    """An address with the same pictures, and what lies beside them."""
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    Flaky.left = 10**9
    memory = fsspec.filesystem("flaky")
    for path in pathlib.Path(crops).rglob("*.jpg"):
        memory.pipe(f"/bucket/crops/{path.relative_to(crops)}", path.read_bytes())
    yield "flaky://bucket/crops"
    memory.store.clear()


def test_the_pictures_of_a_store_are_those_of_a_folder(crops, store, tmp_path, capsys):
    memory = fsspec.filesystem("flaky")
    picture = pathlib.Path(crops, "1/0000.jpg").read_bytes()
    memory.pipe("/bucket/crops/4/@eaDir/0001.jpg", picture)
    memory.pipe("/bucket/crops/4/.hidden.jpg", picture)
    memory.pipe("/bucket/crops/4/notes.txt", b"a note")
    memory.pipe("/bucket/crops/4/zz_without_ending", picture)
    small_jobs.run(crops, tmp_path / "folder")
    assert small_jobs.run(store + "/", tmp_path / "store") == {}
    found, expected = (small_jobs.vectors(tmp_path / name) for name in ("store", "folder"))
    np.testing.assert_array_equal(found[:7], expected[:7])
    shards = EmbeddingShards(tmp_path / "store")
    assert shards.job.root == store and len(shards) == 25
    files = [file for batch in shards.batches() for file in batch.column("file").to_pylist()]
    assert files[-1] == "4/zz_without_ending"
    out = capsys.readouterr().out
    assert "thumbnails or trash: .hidden.jpg (1), @eaDir (1)" in out
    assert "left out, no pictures: 4/notes.txt" in out


def test_cameras_by_a_template(store, tmp_path):
    small_jobs.run(store, tmp_path, names="{camera}/{tracklet}.jpg")
    [first, *_] = EmbeddingShards(tmp_path).batches()
    assert first.column("tracklet").to_pylist()[:2] == ["0000", "0003"]


def test_a_store_that_fails_in_the_middle(store, tmp_path, monkeypatch):
    small_jobs.run(store, tmp_path / "whole")
    monkeypatch.setattr(batches, "READERS", 1)
    Flaky.left = 17
    with pytest.raises(StorageError, match=r"TimeoutError: no answer in 5 s.*same command goes on"):
        small_jobs.run(store, tmp_path / "out")
    kept = small_jobs.shards(tmp_path / "out")
    assert 0 < len(kept) < 4
    assert not (tmp_path / "out/failed.csv").exists()
    Flaky.left = 24 - 7 * len(kept)  # nothing is read again
    small_jobs.run(store, tmp_path / "out")
    assert small_jobs.shards(tmp_path / "out") == small_jobs.shards(tmp_path / "whole")


def test_objects_that_went_or_are_too_large(store, tmp_path, monkeypatch):
    memory = fsspec.filesystem("flaky")
    monkeypatch.setattr(given_pictures.storage, "MAX_BYTES", 10**5)
    memory.pipe("/bucket/crops/4/large.jpg", b"\xff\xd8\xff" + bytes(10**5))
    cat_file = Flaky.cat_file

    def gone(self, path, *args, **kwargs):
        if "0004" in path:
            raise FileNotFoundError(path)
        return cat_file(self, path, *args, **kwargs)

    monkeypatch.setattr(Flaky, "cat_file", gone)
    assert small_jobs.run(store, tmp_path) == {
        f"{store}/4/0004.jpg": "can't be read (FileNotFoundError)",
        f"{store}/4/large.jpg": "has 100003 bytes; the limit is 100000",
    }


def test_a_token_that_expires_ends_the_job(store, tmp_path, monkeypatch):
    small_jobs.run(store, tmp_path / "whole")
    cat_file = Flaky.cat_file

    def expired(self, path, *args, **kwargs):
        if "0017" in path:
            raise PermissionError("The provided token has expired.")
        return cat_file(self, path, *args, **kwargs)

    with monkeypatch.context() as changed:
        changed.setattr(Flaky, "cat_file", expired)
        with pytest.raises(StorageError, match=r"token has expired.*same command goes on"):
            small_jobs.run(store, tmp_path / "out")
    assert not (tmp_path / "out/failed.csv").exists()
    small_jobs.run(store, tmp_path / "out")
    assert small_jobs.shards(tmp_path / "out") == small_jobs.shards(tmp_path / "whole")


@pytest.mark.parametrize("listed", ["raises", "is empty"])
def test_a_bucket_that_goes_away_ends_the_job(store, tmp_path, monkeypatch, listed):
    memory = fsspec.filesystem("flaky")
    cat_file = Flaky.cat_file

    def gone(self, path, *args, **kwargs):
        if "0017" in path:
            memory.store.clear()
        return cat_file(self, path, *args, **kwargs)

    monkeypatch.setattr(Flaky, "cat_file", gone)
    if listed == "is empty":
        monkeypatch.setattr(Flaky, "ls", lambda *_, **__: [])
    with pytest.raises(StorageError, match=f"images={store}: the store can't be read"):
        small_jobs.run(store, tmp_path)
    assert not (tmp_path / "failed.csv").exists()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("flaky://bucket/nothing", "no pictures there|store can't be read"),
        ("flaky://bucket/site.csv", "a table is read from this machine alone"),
        ("nonsense://bucket/crops", "nonsense"),
        ("gs://bucket/crops", "gcsfs"),
    ],
)
def test_addresses(store, tmp_path, address, words):
    fsspec.filesystem("flaky").pipe("/bucket/site.csv", b"file\n1.jpg\n")
    with pytest.raises(UserError, match=words) as error:
        small_jobs.run(address, tmp_path)
    assert str(error.value).startswith(f"images={address}")


@pytest.mark.parametrize(
    "address",
    [
        "flaky://amy:secret@bucket/crops",
        "flaky://amy:secr@t@bucket/crops",
        "https://secret@bucket/crops",
    ],
)
def test_a_password_gets_into_no_output(store, tmp_path, capsys, address):
    with pytest.raises(UserError, match=r"//bucket/crops: .* FSSPEC_[A-Z]+_PASSWORD") as error:
        small_jobs.run(address, tmp_path / "out")
    assert "secr" not in str(error.value) + capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("address", ["abfs://crops@account/site", "s3://bucket/@a:b@c/crops"])
def test_a_name_in_an_address_is_no_password(address):
    storage.refuse_password(address)


def test_a_store_that_does_not_answer_at_all(store, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise ConnectionError("refused")

    monkeypatch.setattr(Flaky, "find", refuse)
    with pytest.raises(StorageError, match="ConnectionError: refused"):
        small_jobs.run(store, tmp_path)
