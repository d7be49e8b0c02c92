"""The .npz file of embeddings: whole or not there, and checked before the work."""

import errno
import fcntl
import os
import re
import resource
import socket
import subprocess
import sys

import numpy as np
import pytest

from serving.client.npz_file import EmbeddingFile
from serving.client.results import Embeddings
from serving.errors import BadInputError

VECTORS = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
FOUND = Embeddings(VECTORS, ["a.jpg", "\N{SNOWMAN}/b.jpg", "c d.png"], "0123456789abcdef", 7, [])


def write(path, embeddings=FOUND, reserve=10_000):
    with EmbeddingFile(str(path)) as file:
        file.reserve(reserve, 4)
        file.write(embeddings, "arn")


def test_what_is_written_is_read(tmp_path):
    write(tmp_path / "emb.npz")
    with np.load(tmp_path / "emb.npz", allow_pickle=False) as found:
        assert found["embeddings"].dtype == np.float32
        np.testing.assert_array_equal(found["embeddings"], VECTORS)
        assert found["files"].tolist() == FOUND.files
        assert str(found["embedding_space"]) == FOUND.space
        assert (str(found["model"]), int(found["version"])) == ("arn", 7)
    assert os.listdir(tmp_path) == ["emb.npz"]
    assert os.path.getsize(tmp_path / "emb.npz") < 10_000  # what was reserved is given back


def test_the_old_file_stays_until_there_is_a_new_one(tmp_path):
    path = tmp_path / "emb.npz"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), EmbeddingFile(str(path)) as file:
        file.reserve(1000, 4)
        assert path.read_bytes() == b"old"
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["emb.npz"]
    write(path)
    assert np.load(path)["version"] == 7


def test_what_a_killed_command_left_is_no_hindrance(tmp_path):
    (tmp_path / ".emb.npz.partial").write_bytes(b"x" * 100_000)
    write(tmp_path / "emb.npz")
    assert np.load(tmp_path / "emb.npz")["version"] == 7
    assert os.listdir(tmp_path) == ["emb.npz"]


def test_two_commands_do_not_write_one_file(tmp_path):
    path = str(tmp_path / "emb.npz")
    with EmbeddingFile(path) as first:
        with pytest.raises(BadInputError, match="another command"):
            write(path)
        first.write(FOUND, "arn")
    assert np.load(path)["version"] == 7


@pytest.mark.parametrize("name", [None, "ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def test_who_writes_there_is_said_on_disks_without_locks_too(tmp_path, monkeypatch, name):
    if name:

        def flock(*_):
            raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

        monkeypatch.setattr(fcntl, "flock", flock)
    path = str(tmp_path / "emb.npz")
    with EmbeddingFile(path) as first:
        who = f"another command is writing there: process {os.getpid()} on {socket.gethostname()}"
        with pytest.raises(BadInputError, match=re.escape(who)):
            write(path)
        first.write(FOUND, "arn")
    write(path)
    assert os.listdir(tmp_path) == ["emb.npz"]


@pytest.mark.parametrize("code", ["EINVAL", "EOPNOTSUPP", None])
def test_without_a_promise_of_space_the_file_is_whole_and_no_longer(tmp_path, monkeypatch, code):
    write(tmp_path / "expected.npz")
    if code is None:
        monkeypatch.delattr(os, "posix_fallocate")
    else:

        def refuse(*_):
            raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

        monkeypatch.setattr(os, "posix_fallocate", refuse)
    write(tmp_path / "emb.npz", reserve=3_000_000)
    assert (tmp_path / "emb.npz").read_bytes() == (tmp_path / "expected.npz").read_bytes()


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("code", ["EIO", "ENOSPC"])
def test_a_disk_that_fails_leaves_what_was_there(tmp_path, monkeypatch, step, code):
    path = tmp_path / "emb.npz"
    path.write_bytes(b"old")

    reason = os.strerror(getattr(errno, code))

    def fail(*_):
        raise OSError(getattr(errno, code), reason)

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(BadInputError, match=f"can't be written: {reason}"):
        write(path)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["emb.npz"]


def test_a_command_that_comes_after_the_rename_keeps_its_own_file(tmp_path):
    path = str(tmp_path / "emb.npz")
    with EmbeddingFile(path) as second:
        second.write(FOUND, "arn")
        third = EmbeddingFile(path)
        third.__enter__()
    third.write(FOUND, "arn")
    third.__exit__(None, None, None)
    assert os.listdir(tmp_path) == ["emb.npz"]


@pytest.mark.parametrize("whole", [True, False])
def test_a_command_that_ends_between_opening_and_locking_is_left_alone(
    tmp_path, monkeypatch, whole
):
    path = str(tmp_path / "emb.npz")
    first, lock = EmbeddingFile(path), fcntl.flock
    first.__enter__()

    def end_first_and_lock(*arguments):
        monkeypatch.setattr(fcntl, "flock", lock)
        if whole:
            first.write(FOUND, "arn")
        first.__exit__(None, None, None)
        lock(*arguments)

    monkeypatch.setattr(fcntl, "flock", end_first_and_lock)
    with EmbeddingFile(path) as second:
        second.reserve(10_000, 4)
        if whole:
            assert np.load(path)["version"] == 7
            assert os.path.getsize(path) < 10_000
        second.write(Embeddings(VECTORS, FOUND.files, FOUND.space, 8, []), "arn")
    assert np.load(path)["version"] == 8
    assert os.listdir(tmp_path) == ["emb.npz"]


def test_places_where_nothing_can_be_written(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file").touch()
    for name, text in (
        ("none/emb.npz", "can't be written: No such file"),
        ("folder.npz", "not a file"),
        ("emb.npy", "ends in .npz"),
        ("file/emb.npz", "Not a directory"),
        ("x" * 300 + ".npz", "too long"),
        ("dev", "not a file"),
    ):
        path = "/dev/null" if name == "dev" else str(tmp_path / name)
        with pytest.raises(BadInputError, match=f"output={path}: .*{text}"), EmbeddingFile(path):
            pass
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.npz"]


LIMITED = """
import resource, sys
from serving.client.npz_file import EmbeddingFile
from serving.errors import BadInputError
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    with EmbeddingFile(sys.argv[1]) as file:
        file.reserve(1000, 256)
        print("1 MB is there")
        file.reserve(1000, 512)
except BadInputError as error:
    print(error)
"""


def test_room_is_asked_for_before_the_work(tmp_path):
    path = tmp_path / "emb.npz"
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, path], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines() == [
        "1 MB is there",
        f"output={path}: can't be written: File too large",
    ]
    assert os.listdir(tmp_path) == []


def test_room_that_runs_out_in_the_end(tmp_path):
    path = tmp_path / "emb.npz"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    try:
        with pytest.raises(BadInputError, match="can't be written: File too large"):
            write(path, reserve=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["emb.npz"]
