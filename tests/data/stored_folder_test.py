"""A prepared data set that is damaged is refused in a sentence, and left as it is."""

import json
import os
import pathlib
import shutil

import pytest
import tensorflow as tf

from arn_tf.data.reid_data import ReidData
from tests.support import small_data
from tests.support.user_errors import refused

SPLITS = ("train", "query", "gallery")
TRAIN = "train.tfrecord-00000-of-00001"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Folders of a data set from an archive and of a drawn one, each as prepared."""
    folders = {}
    for name, part in (("market", "market1501"), ("toy_market", "toy_reid/market")):
        data_dir = tmp_path_factory.mktemp(name)
        ReidData(name, data_dir, small_data.inputs()["manual_dir"])
        folders[name] = data_dir, f"{part}/1.0.0", f"{part.split('/')[0]}-{TRAIN}"
    return folders


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def emptied(path):
    os.truncate(path, 0)


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


def into_folder(path):
    path.unlink()
    path.mkdir()


def rewritten(change):
    """Damage behind checksums that are right: to the list of a file's records."""

    def damage(path):
        records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in change(records):
                writer.write(record)

    return damage


def without_a_split(path):
    info = json.loads(path.read_text())
    info["splits"] = info["splits"][1:]
    path.write_text(json.dumps(info))


DAMAGES = {
    "cut": (TRAIN, cut),
    "empty": (TRAIN, emptied),
    "flipped": (TRAIN, flipped),
    "gone": (TRAIN, pathlib.Path.unlink),
    "a folder": (TRAIN, into_folder),
    "fewer pictures": (TRAIN, rewritten(lambda records: records[:-2])),
    "more pictures": (TRAIN, rewritten(lambda records: records + records[:1])),
    "a record of zero bytes": (TRAIN, rewritten(lambda records: [b"", *records[1:]])),
    "a record of something else": (TRAIN, rewritten(lambda records: [b"\xff" * 50, *records[1:]])),
    "no list": ("dataset_info.json", pathlib.Path.unlink),
    "an empty list": ("dataset_info.json", emptied),
    "half a list": ("dataset_info.json", cut),
    "another list": ("dataset_info.json", lambda path: path.write_text("{}")),
    "a split too few": ("dataset_info.json", without_a_split),
}


def damaged(prepared, name, file, damage, tmp_path):
    """Copies a prepared data set and damages a file; returns data_dir and the folder of it."""
    data_dir, part, train = prepared[name]
    shutil.copytree(data_dir, tmp_path / "data")
    folder = tmp_path / "data" / part
    damage(folder / (train if file == TRAIN else file))
    return tmp_path / "data", folder


def opened(name, data_dir):
    data = ReidData(name, data_dir, small_data.inputs()["manual_dir"])
    return data.notes, [data.split(split) for split in SPLITS]


@pytest.mark.parametrize("name", ["market", "toy_market"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder(prepared, tmp_path, name, damage):
    data_dir, folder = damaged(prepared, name, *DAMAGES[damage], tmp_path)
    left = sorted(os.listdir(folder))
    with refused(
        rf"^--source or --target {name}: {folder} is not as it was prepared \(.+\)\. Remove that "
        r"folder to prepare it again, or name another --data_dir$"
    ):
        opened(name, data_dir)
    assert sorted(os.listdir(folder)) == left


@pytest.mark.parametrize("damage", [cut, emptied, lambda path: path.write_text("[]")])
def test_damaged_notes_of_its_origin(prepared, tmp_path, damage):
    data_dir, folder = damaged(prepared, "market", "metadata.json", damage, tmp_path)
    with refused(rf"{folder} .* Remove that folder to prepare it again, or name another"):
        opened("market", data_dir)


def test_the_way_out(prepared, tmp_path):
    data_dir, folder = damaged(prepared, "market", *DAMAGES["cut"], tmp_path)
    shutil.rmtree(folder)
    assert [len(split) for split in opened("market", data_dir)[1]] == [24, 8, 11]


def test_what_no_picture_depends_on_may_be_gone(prepared, tmp_path):
    data_dir, _ = damaged(prepared, "market", "features.json", pathlib.Path.unlink, tmp_path)
    assert [len(split) for split in opened("market", data_dir)[1]] == [24, 8, 11]


def test_the_command(prepared, tmp_path):
    data_dir, folder = damaged(prepared, "market", *DAMAGES["cut"], tmp_path)
    settings = small_data.settings(tmp_path / "run", data_dir=str(data_dir))
    status, _, err = small_data.finish(small_data.command("arn_tf.train", settings))
    assert status == 2 and "Traceback" not in err
    assert f"error: --source or --target market: {folder} is not as it was prepared (" in err
