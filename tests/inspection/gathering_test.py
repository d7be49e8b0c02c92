"""One pass: each file is read once, and few decoded pictures are in memory at a time."""

import os
import threading
import weakref

import numpy as np
import pytest

from arn_tf.inspection import facts, gathering
from tests.support.small_crops import write


@pytest.fixture
def many(tmp_path):
    """2,000 names of 20 files."""
    crops = write(tmp_path / "few", 20)
    (tmp_path / "crops").mkdir()
    names = [f"{number:05d}.jpg" for number in range(2000)]
    for number, name in enumerate(names):
        os.link(crops[number % len(crops)], tmp_path / "crops" / name)
    return str(tmp_path / "crops"), names


def test_memory_does_not_grow_with_the_number_of_files(many, monkeypatch):
    decode = facts.pictures.thumbnail
    lock = threading.Lock()
    alive, counts = [0], []

    def count(change):
        with lock:
            alive[0] += change
            counts.append(alive[0])

    def counted(*arguments):
        small = decode(*arguments)
        count(1)
        weakref.finalize(small, count, -1)
        return small

    monkeypatch.setattr(facts.pictures, "thumbnail", counted)
    found = gathering.gather(*many, "test")
    assert len(counts) == 2 * len(found) == 4000
    assert max(counts) <= gathering._THREADS and counts[-1] == 0
    assert found.itemsize < 50


def test_rows_are_those_of_the_files(many):
    found = gathering.gather(*many, "test")
    assert not found["problem"].any()
    assert len(np.unique(found["digest"])) == 20
    for row in (0, 19, 20, 1999):
        assert found[row] == facts.facts_of(os.path.join(many[0], many[1][row]))


def test_files_that_vanish_meanwhile_are_told(many):
    os.remove(os.path.join(many[0], many[1][7]))
    found = gathering.gather(*many, "test")
    assert np.flatnonzero(found["problem"]).tolist() == [7]
    assert found["problem"][7] == facts.Problem.GONE


def test_ctrl_c_ends_it_before_the_rest_is_read(many, monkeypatch):
    read = []

    def interrupted(path):
        read.append(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(gathering, "facts_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gathering.gather(*many, "test")
    assert len(read) < 2000
