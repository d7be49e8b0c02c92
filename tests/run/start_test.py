"""Warnings at the start of a run: small sources, and pictures that both data sets have."""

import types

import numpy as np
import pytest

from arn_tf.data.split import Split
from arn_tf.run import start
from tests.support import own_pictures, small_data
from tests.support.user_errors import refused


def split(names, persons=None):
    images = np.empty(len(names), dtype=object)
    images[:] = [name.encode() for name in names]
    person_id = np.arange(len(names)) if persons is None else np.array(persons)
    return Split(images, person_id, np.ones(len(names), np.int64), [f"{n}.jpg" for n in names])


def data(name, **splits):
    return types.SimpleNamespace(name=name, split=splits.__getitem__, has_split=splits.__contains__)


def target(train=("t1",), query=("q1",), gallery=("g1",)):
    return data("duke", train=split(train), query=split(query), gallery=split(gallery))


def large_source(*more):
    return data("market", train=split([f"s{i}" for i in range(100)] + list(more)))


def test_nothing_to_say():
    assert start.warnings([large_source()], target()) == []


def test_a_source_of_few_persons():
    few = data("market", train=split([f"s{i}" for i in range(200)], np.arange(200) % 99))
    (warning,) = start.warnings([few], target())
    assert "source market has 99 persons" in warning
    assert "worse than no training" in warning


@pytest.mark.parametrize("name", ["train", "query", "gallery"])
def test_pictures_of_the_target_that_the_source_has(name):
    shared = {name: ("own", "s7", "s3")}
    (warning,) = start.warnings([large_source()], target(**shared))
    assert f"2 of 3 pictures of the target's {name} split are in the source too" in warning
    assert "first: s7.jpg" in warning


def test_a_target_without_query_and_gallery():
    own = data("crops", train=split(["s7", "own"]))
    (warning,) = start.warnings([large_source()], own)
    assert "1 of 2 pictures of the target's train split are in the source too" in warning


def test_bad_pictures_that_are_left_out_are_told(tmp_path, capsys):
    files = {f"{camera}/{n}.png": own_pictures.encoded(n) for camera in (1, 2) for n in range(4)}
    root = own_pictures.write(tmp_path / "own", files | {"2/bad.png": b"\x89PNG\r\n\x1a\nno more"})
    changes = {"target": root, "skip_bad_images": True}
    settings = small_data.settings(tmp_path / "run", **changes)
    with start.started(settings):
        told = capsys.readouterr().out
    assert "left out: 1 of 9 pictures can't be used" in told and "2/bad.png" in told


def test_no_name_of_a_file_steers_the_terminal(tmp_path, capsys):
    files = {f"{camera}/\x1b[2J{n}.png": own_pictures.encoded(n) for camera in "ab" for n in (1, 2)}
    bad = {"b/\nbad.png": b"\x89PNG\r\n\x1a\nno more"}
    root = own_pictures.write(tmp_path / "o\nwn", files | bad)
    settings = small_data.settings(tmp_path / "run", target=root, skip_bad_images=True)
    with start.started(settings):
        told = capsys.readouterr()
    assert "\x1b" not in told.out and "\x1b[2J" not in told.err  # bars move the cursor
    assert "o\nwn" not in told.out + told.err
    assert r"  a: 2 pictures, such as a/\x1b[2J1.png" in told.out
    assert r"/b/\nbad.png" in told.out
    other = start.started(small_data.settings(tmp_path / "other", target=root))
    with refused(r"target o\\nwn: 1 of 5 pictures can't be used: .*/b/\\nbad\.png"), other:
        pass


# Several sources, or none.


def test_persons_of_several_sources_count_together():
    both = [
        data("market", train=split([f"m{i}" for i in range(60)])),
        data("crops", train=split([f"c{i}" for i in range(60)])),
    ]
    assert start.warnings(both, target()) == []
    few = [both[0], data("crops", train=split([f"c{i}" for i in range(39)]))]
    (warning,) = start.warnings(few, target())
    assert "the sources market, crops have 99 persons" in warning


def test_pictures_that_two_sources_have():
    sources = [
        large_source(),
        data("crops", train=split(["s5", "own", "s8"])),
        data("more", train=split(["new", "own"])),
    ]
    first, second = start.warnings(sources, target())
    assert first.startswith("2 of 3 pictures of source 2, crops, are in source 1, market, too")
    assert "first: s5.jpg" in first
    assert "A person of both counts as two" in first
    assert second.startswith("1 of 2 pictures of source 3, more, are in source 2, crops, too")


def test_pictures_of_the_target_that_one_of_the_sources_has():
    sources = [large_source(), data("crops", train=split(["own"]))]
    (warning,) = start.warnings(sources, target(query=("other", "own")))
    assert "1 of 2 pictures of the target's query split are in the source too" in warning


def test_without_a_source_there_is_nothing_to_say():
    assert start.warnings([], target()) == []
