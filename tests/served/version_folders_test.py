"""A version of a model is published whole and proven, or not at all."""

import fcntl
import hashlib
import os
import pathlib
import shutil

import numpy as np
import pytest

from arn_tf import ARN
from arn_tf.errors import UserError
from arn_tf.served.version_folders import new_version
from tests.support import shared_folders, small_export
from tests.support.small_export import PICTURES


@pytest.fixture(scope="module")
def model():
    return small_export.model()


def content(folder):
    """{file: hash} of everything below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file()
    }


def test_a_new_version_leaves_the_old_one_alone(model, tmp_path):
    first, _ = small_export.export_model(model, tmp_path / "arn", PICTURES)
    before = content(first)
    second, _ = small_export.export_model(model, tmp_path / "arn", PICTURES)
    assert [pathlib.Path(path).name for path in (first, second)] == ["1", "2"]
    assert content(first) == before
    (tmp_path / "arn" / "7").mkdir()
    third, _ = small_export.export_model(model, tmp_path / "arn", PICTURES)
    assert pathlib.Path(third).name == "8"
    # Taking one away doesn't give its number to another.
    shutil.rmtree(third)
    fourth, _ = small_export.export_model(model, tmp_path / "arn", PICTURES)
    assert pathlib.Path(fourth).name == "9"


def test_what_disagrees_is_not_published(model, tmp_path, monkeypatch):
    honest = ARN.embed
    monkeypatch.setattr(ARN, "embed", lambda self, images: honest(self, images) + 2e-5)
    with pytest.raises(UserError, match=r"disagree on 5 pictures.*nothing was published"):
        small_export.export_model(model, tmp_path / "arn", PICTURES)
    assert sorted(os.listdir(tmp_path / "arn")) == [".last_version"]


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_useless_embeddings_are_not_published(tmp_path, value):
    model = small_export.model()
    for weight in model.encoder_c.convolutions[-1].weights:
        weight.assign(np.full(weight.shape, value))
    with pytest.raises(UserError, match="embeddings are zero or not finite"):
        small_export.export_model(model, tmp_path / "arn", PICTURES)


def test_leftovers_of_a_killed_export_go(model, tmp_path):
    (tmp_path / "arn").mkdir()
    (tmp_path / "arn" / ".partial-x").write_text("somebody's file")
    partial = tmp_path / "arn" / ".partial-1" / "variables"
    partial.mkdir(parents=True)
    (partial / "variables.data-00000-of-00001").write_bytes(b"half")
    folder, _ = small_export.export_model(model, tmp_path / "arn", PICTURES)
    assert pathlib.Path(folder).name == "1"
    assert sorted(os.listdir(tmp_path / "arn")) == [".last_version", ".partial-x", "1"]


def test_two_exports_at_once(model, tmp_path):
    (tmp_path / "arn").mkdir()
    with open(tmp_path / "arn" / ".last_version", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is exporting there"):
            small_export.export_model(model, tmp_path / "arn", PICTURES)


def test_a_folder_that_can_not_be(model, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"export_dir=.*file"):
        small_export.export_model(model, tmp_path / "file" / "arn", PICTURES)


@pytest.mark.parametrize("name", [None, "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOLCK", "EINVAL"])
def test_who_exports_there_is_named_on_every_disk(tmp_path, monkeypatch, name):
    if name:
        shared_folders.without_locks(monkeypatch, name)
    words = rf"export_dir=.*: process {os.getpid()} on .* is exporting there"
    with new_version(str(tmp_path)):
        with pytest.raises(UserError, match=words), new_version(str(tmp_path)):
            pass
        # An earlier version, which knows this lock alone, is kept out too.
        with open(tmp_path / ".last_version") as lock, pytest.raises(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with new_version(str(tmp_path)) as (_, version):
        assert version == 2
    assert sorted(os.listdir(tmp_path)) == [".last_version", "1", "2"]
    assert (tmp_path / ".last_version").read_text() == "1\n2\n"


def test_a_read_only_folder_is_named(tmp_path):
    with (
        shared_folders.read_only(tmp_path),
        pytest.raises(
            UserError, match=r"export_dir=.*written \((Read-only|Permission).* of your own"
        ),
        new_version(str(tmp_path)),
    ):
        pass
