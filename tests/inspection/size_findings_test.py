"""Too few pictures, too little room; and the exit status."""

import collections

import pytest

from arn_tf.inspection import command
from arn_tf.strong.settings import StrongSettings
from tests.support.small_crops import inspected, write

Usage = collections.namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("count", "status"), [(31, 1), (32, 0)])
def test_a_batch_is_the_least_that_training_works_with(tmp_path, count, status):
    assert StrongSettings().batch_size == 32
    write(tmp_path / "crops", count)
    told = inspected(tmp_path / "crops")
    assert told["status"] == status and told["can_train"] == (not status)
    assert ("fewer_than_a_batch" in told["findings"]) == bool(status)
    assert ("few_pictures" in told["findings"]) != bool(status)


def test_bad_pictures_do_not_make_a_batch(tmp_path):
    write(tmp_path / "crops", 40)[0].write_bytes(b"")
    for path in sorted((tmp_path / "crops").iterdir())[:9]:
        path.write_bytes(b"")
    told = inspected(tmp_path / "crops")
    assert told["findings"]["fewer_than_a_batch"]["count"] == 31 and told["status"] == 1


def test_nothing_that_can_be_read(tmp_path):
    for path in write(tmp_path / "crops", 3):
        path.write_bytes(b"")
    told = inspected(tmp_path / "crops")
    assert told["findings"]["nothing_readable"]["count"] == 3 and told["status"] == 1
    assert told["cameras"][0]["median_size"] == [0, 0]


def test_decoded_pictures_that_do_not_fit_the_disk(tmp_path, monkeypatch):
    write(tmp_path / "crops", 40)
    needed = 40 * 128 * 64 * 3
    monkeypatch.setattr(command.shutil, "disk_usage", lambda _: Usage(1, 1, needed))
    told = inspected(tmp_path / "crops")
    assert "disk_full" not in told["findings"] and told["decoded_bytes"] == needed
    monkeypatch.setattr(command.shutil, "disk_usage", lambda _: Usage(1, 1, needed - 1))
    assert inspected(tmp_path / "crops")["findings"]["disk_full"]["count"] == 40


def test_an_official_layout_without_training_pictures(tmp_path):
    for path in write(tmp_path / "crops" / "query", 40):
        path.rename(path.with_name(f"0002_c1s1_00{path.stem}_00.jpg"))
    told = inspected(tmp_path / "crops")
    assert told["findings"]["nothing_to_learn_from"]["count"] == 40 and told["status"] == 1
    assert told["learnt"] == 0 and "fewer_than_a_batch" not in told["findings"]
