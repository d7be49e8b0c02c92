"""What the benchmarks measure on when they run in one go."""

import importlib.util
import pathlib

import pytest

from benchmarks import inputs
from tests.support.picture_formats import drawn, encoded


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written():
    return sorted(pathlib.Path(inputs.PICTURES).glob("*/*.jpg"))


def test_pictures_are_drawn_for_eight_cameras():
    inputs.write_pictures(None)
    paths = written()
    assert len(paths) == inputs.COUNT
    assert {path.parent.name for path in paths} == {f"camera{number}" for number in range(1, 9)}
    assert len({path.read_bytes() for path in paths}) > 200


def test_given_ones_replace_what_was_there(monkeypatch):
    monkeypatch.setattr(inputs, "COUNT", 9)
    given = pathlib.Path("crops")
    given.mkdir()
    pictures = [encoded(drawn(number), format="JPEG") for number in range(10)]
    for number, picture in enumerate(pictures):
        (given / f"{number}.jpg").write_bytes(picture)
    old = pathlib.Path(inputs.FOLDER, "run", "old")
    old.mkdir(parents=True)
    inputs.write_pictures("crops")
    assert {path.read_bytes() for path in written()} == set(pictures[:9])
    assert len(written()) == 9 and not old.exists()


def test_too_few(monkeypatch):
    monkeypatch.setattr(inputs, "COUNT", 2)
    pathlib.Path("crops").mkdir()
    pathlib.Path("crops", "1.jpg").write_bytes(encoded(drawn(1), format="JPEG"))
    with pytest.raises(SystemExit, match="--pictures=crops: fewer than 2"):
        inputs.write_pictures("crops")


def test_openvino_is_exported_where_it_is_installed(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found("os"))
    formats = [word for line in inputs.commands("a b") for word in line if "format" in word]
    assert formats == ["--format=saved_model", "--format=openvino"]
    assert inputs.commands("a b")[0] == ["benchmarks.inputs", "--pictures=a b"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert [line[0] for line in inputs.commands(None)] == [
        "benchmarks.inputs",
        "arn_tf.train",
        "arn_tf.export",
    ]
