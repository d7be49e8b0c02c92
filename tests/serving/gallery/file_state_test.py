"""What is under a name: the picture, something else, nothing, or nobody can tell."""

import hashlib
import os
import sys

import pytest

from serving.errors import BadInputError
from serving.gallery.file_state import FileState, gone, state

CONTENT = b"\xff\xd8\xffpicture"
HASH = hashlib.sha256(CONTENT).digest()


@pytest.fixture
def files(tmp_path):
    (tmp_path / "there.jpg").write_bytes(CONTENT)
    (tmp_path / "changed.jpg").write_bytes(CONTENT + b"!")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("there.jpg")
    (tmp_path / "dangling.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("there.jpg", FileState.THERE),
        ("link.jpg", FileState.THERE),
        ("changed.jpg", FileState.CHANGED),
        ("folder.jpg", FileState.CHANGED),
        ("pipe.jpg", FileState.CHANGED),
        ("nowhere.jpg", FileState.GONE),
        ("nowhere/a.jpg", FileState.GONE),
        ("there.jpg/a.jpg", FileState.GONE),
        ("dangling.jpg", FileState.GONE),
        ("loop.jpg", FileState.GONE),
    ],
)
def test_states(files, name, expected):
    assert state(str(files / name), HASH) is expected
    assert gone(str(files / name)) == (expected is FileState.GONE)


@pytest.mark.parametrize("error", [PermissionError(13, "denied"), OSError(5, "I/O"), OSError(116)])
def test_what_nobody_can_tell_is_not_gone(files, monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(os, "stat", refuse)
    file = str(files / "there.jpg")
    assert state(file, HASH) is FileState.UNREADABLE and not gone(file)


@pytest.mark.parametrize("ask", [gone, lambda file: state(file, HASH)])
def test_where_names_are_no_utf_8_here_a_file_is_not_taken_for_gone(tmp_path, monkeypatch, ask):
    file = tmp_path / "Über.jpg"
    file.write_bytes(CONTENT)
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    with pytest.raises(BadInputError, match=r"are iso8859-1 in this terminal.* PYTHONUTF8=1"):
        ask(str(file))
    (tmp_path / "Uber.jpg").write_bytes(CONTENT)
    assert ask(str(tmp_path / "Uber.jpg")) in (False, FileState.THERE)
