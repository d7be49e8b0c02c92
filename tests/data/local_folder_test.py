"""Data sets are prepared below folders of any name that TFDS can take; others are refused."""

import os
import shutil

import pytest

from arn_tf.data.reid_data import ReidData
from tests.support import small_data
from tests.support.user_errors import refused


@pytest.mark.parametrize("name", ["run[1]", "a\\b", "x*", "{a,b}?", "50% ü~ #1:\n", "x://y"])
def test_folders_of_any_name(tmp_path, name):
    manual = f"{tmp_path}/{name}/manual"
    shutil.copytree(small_data.inputs()["manual_dir"], manual)
    for _ in ("prepared", "found again"):
        data = ReidData("market", f"{tmp_path}/{name}/data", manual)
        assert len(data.split("train")) == 24


def test_a_data_dir_that_is_not_utf8(tmp_path):
    with refused(r"^--data_dir=.*: TensorFlow Datasets reads and writes no folder whose path"):
        ReidData("toy_market", os.path.join(tmp_path, os.fsdecode(b"\xff")))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("argument", ["data_dir", "manual_dir"])
def test_an_address_is_no_folder_of_this_machine(tmp_path, monkeypatch, argument):
    monkeypatch.chdir(tmp_path)
    folders = {"data_dir": str(tmp_path / "data"), argument: "gs://bucket/data"}
    with refused(rf"^--{argument}=gs://bucket/data: name a folder of this machine"):
        ReidData("market", **folders)
    assert os.listdir(tmp_path) == []
