"""Whatever can be wrong outside: a sentence that names it and the way out, never a traceback."""

import os
import pathlib

import keras
import pytest

from arn_tf.data.reid_data import ReidData
from arn_tf.errors import UserError
from arn_tf.paper import train
from arn_tf.run import command_line
from tests.support import small_data

LAYOUT = small_data.MARKET


@pytest.fixture
def manual(tmp_path):
    """A folder with the archive of the target; that of the source is for the test to spoil."""
    small_data.write_archive(tmp_path / "manual", "duke")
    return tmp_path / "manual"


def fails(tmp_path, *words, **changes):
    """Training must stop, and its command print all these words."""
    with pytest.raises(UserError) as caught:
        run = {"model_dir": str(tmp_path / "run")}
        train.train(small_data.settings(**run | small_data.SHORT | changes))
    for word in words:
        assert str(word) in command_line.message(caught.value)
    assert not os.path.exists(tmp_path / "run" / "model.keras")


def places(tmp_path):
    return {"manual_dir": str(tmp_path / "manual"), "data_dir": str(tmp_path / "data")}


# Archives.


def test_no_archive(tmp_path, manual):
    fails(
        tmp_path,
        "--source or --target market",
        manual,
        LAYOUT.archive,
        "DukeMTMC-reID.zip",
        **places(tmp_path),
    )


def test_no_manual_folder(tmp_path):
    fails(tmp_path, "market", "manual", **places(tmp_path))


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_truncated_archive(tmp_path, manual, keep):
    path = small_data.write_archive(manual, "market")
    os.truncate(path, int(path.stat().st_size * keep) if isinstance(keep, float) else keep)
    fails(tmp_path, path, "not a readable zip archive", "interrupted download", **places(tmp_path))


def test_another_archive_under_that_name(tmp_path, manual):
    duke = manual / small_data.DUKE.archive
    (manual / LAYOUT.archive).write_bytes(duke.read_bytes())
    fails(tmp_path, LAYOUT.archive, "this is another data set", **places(tmp_path))


def test_an_archive_without_the_folders(tmp_path, manual):
    small_data.write_archive(manual, "market", {"train/0001_c1s1_000001_00.jpg": b"x"})
    fails(tmp_path, LAYOUT.archive, "no folder holds all of bounding_box_train", **places(tmp_path))


def spoilt_archive(manual):
    files = small_data.pictures("market")
    files["bounding_box_train/somebody.jpg"] = small_data.picture(1, 1, 1)
    files["query/0102_c1s1_000099_00.jpg"] = small_data.picture(1, 1, 1)[:300]
    files["bounding_box_test/0102_c2s1_000099_00.jpg"] = b""
    return small_data.write_archive(manual, "market", files)


def test_bad_names_and_pictures_are_listed(tmp_path, manual):
    path = spoilt_archive(manual)
    fails(
        tmp_path,
        path,
        "3 of 46 files cannot be used",
        "bounding_box_train/somebody.jpg",
        "query/0102_c1s1_000099_00.jpg: a truncated or broken JPEG",
        "bounding_box_test/0102_c2s1_000099_00.jpg: empty",
        "skip_bad_images",
        **places(tmp_path),
    )


def test_bad_pictures_can_be_left_out(tmp_path, manual):
    spoilt_archive(manual)
    data = ReidData("market", str(tmp_path / "data"), str(manual), skip_bad_images=True)
    assert [len(data.split(name)) for name in ("train", "query", "gallery")] == [24, 8, 11]
    [note] = [note for note in data.notes if "left out" in note]
    assert note.startswith("3 unusable pictures were left out: ")
    assert "somebody.jpg" in note


def test_data_that_were_prepared_from_another_archive(tmp_path, manual):
    small_data.write_archive(manual, "market")
    ReidData("market", str(tmp_path / "data"), str(manual))
    small_data.write_archive(manual, "market", shots=3)
    fails(
        tmp_path,
        tmp_path / "data",
        "was prepared from other pictures than those in",
        manual,
        "Remove that folder",
        **places(tmp_path),
    )


def test_a_data_folder_that_cannot_be_written(tmp_path, manual):
    small_data.write_archive(manual, "market")
    (tmp_path / "data").write_text("a file")
    fails(tmp_path, f"--data_dir={tmp_path / 'data'}", **places(tmp_path))


# Settings. More of them in config_test.py.


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"source": "cuhk"}, ["--source=cuhk", "data sets that have a name are market, duke"]),
        ({"target": "cuhk"}, ["--target=cuhk", "data sets that have a name are market, duke"]),
        ({"target": "market"}, ["--source and --target are both market"]),
        ({"batch_size": 9}, ["--batch_size=9", "--images_per_identity=2"]),
        ({"replicas": 3}, ["--batch_size=8 can't be divided by --replicas=3"]),
        ({"learning_rate_scale": -1.0}, ["--learning_rate_scale=-1.0", "not negative"]),
        ({"encoder_learning_rate": -1e-3}, ["--encoder_learning_rate=-0.001", "not negative"]),
        ({"margin": float("nan")}, ["--margin=nan"]),
        ({"backbone": "ResNet51"}, ["--backbone=ResNet51", "ResNet50", "MobileNetV2"]),
        ({"backbone_weights": "nowhere.h5"}, ["--backbone_weights=nowhere.h5", "no such file"]),
        ({"batch_size": 14}, ["--batch_size=14", "needs 7 identities, the source has 6"]),
        (
            {"batch_size": 48, "images_per_identity": 8},
            ["--batch_size=48 is more than the 24 pictures of the target"],
        ),
    ],
)
def test_settings_that_cannot_be(tmp_path, changes, words):
    fails(tmp_path, *words, **changes)


def test_a_mistake_put_right_needs_no_new_folder(tmp_path):
    fails(tmp_path, "needs 7 identities", batch_size=14)
    fails(tmp_path, "no such file", backbone_weights="nowhere.h5")


def test_weights_of_another_network(tmp_path):
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)]).save_weights(path)
    fails(
        tmp_path,
        f"--backbone_weights={path}",
        "not a weights file of Tiny",
        backbone_weights=str(path),
    )


def test_a_weights_file_that_is_none(tmp_path):
    path = tmp_path / "other.weights.h5"
    path.write_text("<html>404</html>")
    fails(tmp_path, f"--backbone_weights={path}", "not a weights file", backbone_weights=str(path))


def test_weights_that_give_nothing(tmp_path):
    network = small_data.tiny_network(False, None, (small_data.HEIGHT, small_data.WIDTH, 3))
    for variable in network.variables:
        variable.assign(variable * 0)
    network.save_weights(tmp_path / "zero.weights.h5")
    fails(
        tmp_path,
        "--backbone_weights",
        "root mean square of 0.0",
        backbone_weights=str(tmp_path / "zero.weights.h5"),
    )


# Folders.


@pytest.mark.parametrize("flag", ["model_dir", "cache_dir"])
def test_a_file_where_a_folder_should_be(tmp_path, flag):
    (tmp_path / "file").write_text("")
    fails(tmp_path, f"--{flag}={tmp_path / 'file'}", **{flag: str(tmp_path / "file" / "folder")})


# Command lines.

LINES = {
    "an unknown flag": (
        "arn_tf.train",
        ["--epoch=3"],
        ["Unknown command line flag 'epoch'", "--help"],
    ),
    "a word without a flag": ("arn_tf.train", ["market"], ["what is 'market'? Flags begin with"]),
    "no archive": (
        "arn_tf.train",
        ["--source=market", "--target=duke", "--data_dir=HERE/data", "--model_dir=HERE/run"],
        ["--source or --target market", "neither Market-1501-v15.09.15.zip nor"],
    ),
    "no model folder": ("arn_tf.evaluate", [], ["--model_dir=", "name the folder of a run"]),
    "names of nothing": (
        "arn_tf.evaluate",
        ["--model_dir=HERE", "--names={camera}/{*}"],
        ["--names={camera}/{*}: is about the paths of", "name one of them"],
    ),
    "an empty folder": (
        "arn_tf.evaluate",
        ["--model_dir=HERE"],
        ["--model_dir=HERE", "no settings.json"],
    ),
}


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """{case: (folder, process)}, all started at once: most of their time is TensorFlow's start."""
    started = {}
    for case, (module, flags, _) in LINES.items():
        folder = tmp_path_factory.mktemp("here")
        (folder / "data" / "downloads" / "manual").mkdir(parents=True)
        (folder / "data" / "downloads" / "manual" / "something").write_text("")
        flags = [flag.replace("HERE", str(folder)) for flag in flags]
        started[case] = folder, small_data.start([*small_data.command(module), *flags])
    return started


@pytest.mark.parametrize("case", LINES)
def test_a_command_line_ends_with_a_sentence_and_status_2(processes, case):
    folder, process = processes[case]
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2, err
    assert "Traceback" not in err
    [message] = [part for part in err.split("error: ")[1:]]
    for word in LINES[case][2]:
        assert word.replace("HERE", str(folder)) in message
    assert not list(pathlib.Path(folder).glob("**/*.keras"))
