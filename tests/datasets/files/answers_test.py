"""Paths on disks that answer, and on those that don't."""

import errno
import os

import pytest

from datasets.files import answers
from tests.support import silent_disk


def test_paths_of_a_disk_that_answers(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    assert answers.is_file(str(tmp_path / "file")) and not answers.is_folder(str(tmp_path / "file"))
    assert answers.is_folder(str(tmp_path)) and not answers.is_file(str(tmp_path))
    for name in ("nothing", "file/below", "loop", "a\0b", "x" * 300):
        assert not answers.is_file(str(tmp_path / name))
        assert not answers.is_folder(str(tmp_path / name))


@pytest.mark.parametrize("number", silent_disk.ERRORS)
def test_a_disk_that_does_not_answer(tmp_path, monkeypatch, number):
    (tmp_path / "file").write_text("x")
    silent_disk.below(tmp_path, number, monkeypatch)
    for ask in (answers.is_file, answers.is_folder):
        with pytest.raises(OSError, match=os.strerror(number)) as raised:
            ask(str(tmp_path / "file"))
        assert "network drive" in answers.way_out(raised.value)
    assert answers.is_gone(str(tmp_path))
    assert answers.way_out(OSError(errno.EACCES, "no")) == "check its rights"


def test_a_drive_that_was_unmounted_leaves_an_empty_folder(tmp_path):
    assert answers.is_gone(str(tmp_path))
    (tmp_path / "file").write_text("x")
    assert not answers.is_gone(str(tmp_path))
    assert answers.is_gone(str(tmp_path / "nothing"))
