"""What is written lasts, where a disk and a system can promise it; elsewhere nothing breaks."""

import errno
import os
import resource
import stat
import sys

import pytest

from datasets.files import durable

# VirtualBox, old CIFS, some FUSE; a folder without the right to read; filters of system calls.
REFUSALS = ("EINVAL", "ENOTSUP", "EBADF", "EACCES", "EPERM", "ENOSYS", "EROFS")
FAILURES = ("EIO", "ENOSPC", "EDQUOT")


def failing(name):
    def fail(*_):
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    return fail


@pytest.mark.parametrize("call", ["open", "fsync"])
@pytest.mark.parametrize("name", REFUSALS)
def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch, call, name):
    monkeypatch.setattr(os, call, failing(name))
    durable.sync_folder(str(tmp_path))


@pytest.mark.parametrize("name", FAILURES)
def test_a_disk_that_fails_is_an_error(tmp_path, monkeypatch, name):
    open_before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "fsync", failing(name))
    with pytest.raises(OSError) as caught:
        durable.sync_folder(str(tmp_path))
    assert caught.value.errno == getattr(errno, name)
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_it_is_the_folder_that_is_synced(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number)))
    durable.sync_folder(str(tmp_path))
    (found,) = synced
    assert stat.S_ISDIR(found.st_mode) and os.path.samestat(found, os.stat(tmp_path))


def test_windows_opens_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "open", failing("EACCES"))
    durable.sync_folder(str(tmp_path))


@pytest.fixture(params=["promised", "macos", "EINVAL", "EOPNOTSUPP", "ENOSYS"])
def way(request, monkeypatch):
    if request.param == "macos":
        monkeypatch.delattr(os, "posix_fallocate")
    elif request.param != "promised":
        monkeypatch.setattr(os, "posix_fallocate", failing(request.param))


@pytest.mark.parametrize("size", [1, 10, 2**20, 3 * 2**20 + 7])
def test_space_is_taken_and_content_and_place_stay(tmp_path, way, size):
    with open(tmp_path / "file", "w+b") as file:
        file.write(b"content")
        file.seek(3)
        durable.reserve(file, size)
        assert file.tell() == 3
        assert os.stat(file.name).st_size == max(size, 7)
        assert os.stat(file.name).st_blocks * 512 >= size  # no hole
        assert file.read(4) == b"tent"


@pytest.mark.parametrize("buffering", [0, -1])
def test_space_that_is_not_there_is_an_error_at_once(tmp_path, way, buffering):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open(tmp_path / "file", "wb", buffering=buffering) as file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20 + 5, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                durable.reserve(file, 3 * 2**20)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
