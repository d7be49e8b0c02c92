"""Fixtures of the tests of the gallery's commands: a client without a server, and pictures."""

import os

import pytest

from serving import client
from tests.support.fake_embedder import FakeClient, write_files


@pytest.fixture
def fake(monkeypatch):
    """The client that every command gets; a test may put another in its place."""
    current = [FakeClient()]
    monkeypatch.setattr(client, "from_arguments", lambda args: current[0])

    def use(**arguments):
        current[0] = FakeClient(**arguments)
        return current[0]

    return use


@pytest.fixture
def work(tmp_path, monkeypatch, fake):
    """A working folder with 8 pictures of cameras 1 and 2, one deeper, and things to ignore."""
    monkeypatch.chdir(tmp_path)
    names = [f"{person:04d}_c{camera}s1.jpg" for person in (1, 2, 3) for camera in (1, 2)]
    write_files(tmp_path / "crops", [*names, "plain.PNG"])
    (tmp_path / "crops" / "notes.txt").write_text("no picture")
    write_files(tmp_path / "crops" / "deep" / "er", ["0009_c2s1.jpeg"])
    os.mkfifo(tmp_path / "pipe.jpg")
    return tmp_path
