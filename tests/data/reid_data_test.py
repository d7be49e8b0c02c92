"""Splits in memory."""

import os
import shutil
import threading
import zipfile

import numpy as np
import pytest

from arn_tf.data.reid_data import ReidData
from arn_tf.data.split import Split
from arn_tf.errors import UserError
from datasets.files import locks
from tests.support import shared_folders, small_data

MARKET = "market1501"


@pytest.fixture(scope="module")
def market() -> ReidData:
    return ReidData("market", **small_data.inputs())


def split_of(*images: bytes) -> Split:
    array = np.empty(len(images), object)
    array[:] = images
    zeros = np.zeros(len(images), np.int64)
    return Split(array, zeros, zeros, [str(i) for i in range(len(images))])


@pytest.mark.parametrize(
    "split, folder, number",
    [
        ("train", "bounding_box_train", 24),
        ("query", "query", 8),
        ("gallery", "bounding_box_test", 11),
    ],
)
def test_a_split_holds_the_archive_sorted_by_file_name(market, split, folder, number):
    found = market.split(split)
    with zipfile.ZipFile(
        f"{small_data.inputs()['manual_dir']}/{small_data.MARKET.archive}"
    ) as file:
        expected = {
            name.split("/")[-1]: file.read(name)
            for name in file.namelist()
            if f"/{folder}/" in name
        }
    assert len(found) == number
    assert found.file_name == sorted(expected)
    assert list(found.images) == [expected[name] for name in found.file_name]
    people = [int(name.split("_")[0]) for name in found.file_name]
    assert found.person_id.tolist() == people
    assert found.camera_id.tolist() == [int(n.split("_c")[1][0]) for n in found.file_name]


def test_labels_are_rows_of_the_classifier(market):
    labels, count = market.split("train").labels()
    assert count == 6
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, market.split("train").person_id - 1)
    people = np.array([7, 1500, 7, 12])
    labels, count = Split(np.empty(4, object), people, people, []).labels()
    assert (labels.tolist(), count) == ([0, 2, 0, 1], 3)


def test_the_digest_tells_pictures_and_their_order_apart():
    same = split_of(b"ab", b"c").digest
    assert same == split_of(b"ab", b"c").digest
    others = [split_of(b"c", b"ab"), split_of(b"a", b"bc"), split_of(b"abc"), split_of(b"ab", b"d")]
    assert len({same, *(other.digest for other in others)}) == 5


def test_both_data_sets_differ(market):
    duke = ReidData("duke", **small_data.inputs())
    assert duke.split("train").file_name[0] == "0001_c1_f0000001.jpg"
    assert duke.split("train").digest != market.split("train").digest


def test_what_differs_from_the_official_counts_is_noted(market):
    notes = "\n".join(market.notes)
    assert "10 of 11 counts differ" in notes
    assert "train identities: 6 (official 751, differs)" in notes


def test_a_prepared_data_set_outlives_its_archive(tmp_path, market):
    again = ReidData("market", small_data.inputs()["data_dir"], str(tmp_path / "nowhere"))
    assert again.split("query").digest == market.split("query").digest


def test_an_unknown_name_lists_the_known():
    with pytest.raises(UserError, match=r"'cuhk' is unknown; there are market, duke, toy_market"):
        ReidData("cuhk", "")


@pytest.fixture
def prepared(tmp_path, market):
    """A folder of its own, where `market` is prepared."""
    folder = tmp_path / "data"
    shutil.copytree(os.path.join(small_data.inputs()["data_dir"], "market1501"), folder / MARKET)
    return folder


def test_a_prepared_data_set_may_be_read_only(prepared, market):
    with shared_folders.read_only(prepared):
        found = ReidData("market", prepared, small_data.inputs()["manual_dir"])
        assert found.split("query").digest == market.split("query").digest


@pytest.mark.parametrize("name", ["EROFS", "EACCES", "EPERM", "ENOSPC"])
def test_a_reader_needs_no_lock_that_it_cannot_take(prepared, market, monkeypatch, name):
    with shared_folders.no_new_files(monkeypatch, prepared, name):
        found = ReidData("market", prepared, small_data.inputs()["manual_dir"])
    assert found.split("query").digest == market.split("query").digest


def test_a_reader_waits_for_nobody(prepared, market):
    with locks.held(str(prepared / ".market.lock")):
        ReidData("market", prepared, small_data.inputs()["manual_dir"])


def test_a_read_only_folder_without_the_data_set_is_named(tmp_path):
    (tmp_path / "data").mkdir()
    words = r"data_dir=.*data: market is not there.* \((Read-only|Permission).*own data_dir"
    with shared_folders.read_only(tmp_path / "data"), pytest.raises(UserError, match=words):
        ReidData("market", tmp_path / "data", small_data.inputs()["manual_dir"])


@pytest.mark.parametrize("disk", ["locks", "none"])
def test_the_second_of_two_waits_and_finds_it_prepared(tmp_path, market, monkeypatch, capsys, disk):
    if disk == "none":
        shared_folders.without_locks(monkeypatch)
    folder, waits, found = tmp_path / "data", threading.Event(), []
    folder.mkdir()
    said = ReidData._wait
    monkeypatch.setattr(ReidData, "_wait", lambda *words: (said(*words), waits.set()))

    def second():
        found.append(ReidData("market", folder, small_data.inputs()["manual_dir"]))

    with locks.held(str(folder / ".market.lock")):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(60)
        source = os.path.join(small_data.inputs()["data_dir"], MARKET)
        shutil.copytree(source, folder / "partial")
        os.rename(folder / "partial", folder / MARKET)
    thread.join()
    assert found[0].split("query").digest == market.split("query").digest
    shown = capsys.readouterr().out
    assert f"data set market: waiting for process {os.getpid()} on " in shown
    assert "preparing" not in shown
    assert os.listdir(folder) == [MARKET]
