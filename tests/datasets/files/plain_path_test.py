"""Folders under paths that TensorFlow takes as they are."""

import os

import pytest

from datasets.files.plain_path import plain_path


def test_a_plain_folder_is_taken_as_it_is(tmp_path):
    with plain_path(tmp_path, ValueError) as path:
        assert path == str(tmp_path)


def test_a_link_lasts_as_long_as_the_block(tmp_path):
    folder = tmp_path / "a[1]"
    folder.mkdir()
    with plain_path(folder, ValueError) as path:
        assert os.path.samefile(path, folder) and "[" not in path
    assert not os.path.lexists(path) and folder.is_dir()


def test_temporary_files_below_such_a_name(tmp_path, monkeypatch):
    folder = tmp_path / "a[1]"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with (
        pytest.raises(ValueError, match=r"TMPDIR=.*set TMPDIR to a folder"),
        plain_path(folder, ValueError),
    ):
        pass
