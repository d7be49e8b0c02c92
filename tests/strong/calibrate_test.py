"""The command that teaches a model cameras: what it adds, keeps and prints; crashes."""

import errno
import os
import pathlib
import signal
import sys

import keras
import numpy as np
import pytest

from arn_tf.errors import UserError
from arn_tf.layers.normalization import TARGET
from arn_tf.run.folder import RunDir
from arn_tf.strong import camera_statistics
from arn_tf.strong.calibrate import calibrate
from arn_tf.strong.model import StrongModel
from arn_tf.strong.served_model import served_model
from datasets import camera_names
from tests.support import small_calibration, small_data, small_tables
from tests.support.small_calibration import PATTERN, contents, noise, write_crops
from tests.support.small_data import assert_equal


@pytest.fixture
def run(calibrated_run, tmp_path):
    return small_calibration.copied(calibrated_run, tmp_path / "run")


def table(model: StrongModel, *cameras: int) -> dict[str, np.ndarray]:
    """Returns {column: rows of cameras}; the target's where one isn't known."""
    return small_tables.rows(model, *model.table.rows_of(cameras))


# What it does.


def test_a_camera_is_added(run, tmp_path):
    before, crops = run.load_model("model.keras"), noise(2, 66, 50, 200)
    _, outcomes = calibrate(run, str(write_crops(tmp_path / "c", 7, crops)), PATTERN)
    model = run.load_model("model.keras")
    assert model.cameras == [1, 2, 7]
    assert {c: str(o) for c, o in outcomes.items()} == {7: "added from 66 pictures"}
    assert_equal(table(model, 1, 2, -1), table(before, 1, 2, -1))
    # Exactly what a refreshed model has for those pictures.
    expected, _ = camera_statistics.refresh(before, crops, np.full(66, 7))
    assert_equal(table(model, 7), table(expected, 7))
    images = noise(3, 4)
    np.testing.assert_array_equal(model(images), before(images))
    old, new = (each(images, each.table.rows_of([7] * 4)) for each in (before, model))
    assert np.abs(new - old).max() > 1e-3


def test_a_camera_is_refreshed_and_others_are_left_alone(run, tmp_path):
    before = run.load_model("model.keras")
    folder = write_crops(tmp_path / "c" / "of today", 2, noise(2, 64, 0, 100))
    _, outcomes = calibrate(run, str(folder.parent), PATTERN)
    model = run.load_model("model.keras")
    assert (model.cameras, str(outcomes[2])) == ([1, 2], "refreshed from 64 pictures")
    assert_equal(table(model, 1, -1), table(before, 1, -1))
    old, new = table(before, 2), table(model, 2)
    assert len(new) == 4
    assert all(np.any(new[key] != old[key]) for key in new)


def test_a_camera_is_dropped(run):
    before = run.load_model("model.keras")
    calibrate(run, "", PATTERN, ["1"])
    model = run.load_model("model.keras")
    assert model.cameras == [2]
    assert_equal(table(model, 2, -1), table(before, 2, -1))
    assert model.table.rows_of([1]).tolist() == [TARGET]
    calibrate(run, "", PATTERN, ["2"])
    assert run.load_model("model.keras").cameras == []


def test_cameras_go_by_their_names(run, tmp_path):
    """In what is told, in the model's file, in what is served, and to forget one."""
    write_crops(tmp_path / "c" / "hall", 0, noise(2, 64, 50, 200))
    write_crops(tmp_path / "c" / "lift", 0, noise(3, 3))
    _, outcomes = calibrate(run, str(tmp_path / "c"), "", (), "{camera}/{*}")
    told = {outcome.name: str(outcome) for outcome in outcomes.values()}
    assert told["hall"] == "added from 64 pictures"
    assert told["lift"].startswith("added from 3 pictures, fewer than 64")
    model = run.load_model("model.keras")
    assert set(model.camera_names.values()) == {"1", "2", "hall", "lift"}
    assert set(served_model(model).camera_names.values()) == {"1", "2", "hall", "lift"}
    assert model.camera_names[camera_names.number_of("hall")] == "hall"
    calibrate(run, "", "", ["lift"])
    assert set(run.load_model("model.keras").camera_names.values()) == {"1", "2", "hall"}
    # The second time it is known.
    _, outcomes = calibrate(run, str(tmp_path / "c"), "", (), "{camera}/{*}")
    assert {outcome.name: outcome.known for outcome in outcomes.values()} == {
        "hall": True,
        "lift": False,
    }


def test_three_crops_of_a_camera_count_for_little_and_it_says_so(run, tmp_path):
    before = run.load_model("model.keras")
    for camera in (2, 9):
        write_crops(tmp_path / "c", camera, noise(2, 3))
    _, outcomes = calibrate(run, str(tmp_path / "c"), PATTERN)
    assert {c: str(o) for c, o in outcomes.items()} == {
        2: "refreshed from 3 pictures, fewer than 64: its statistics are shrunk, 84% of them are "
        "those that it had",
        9: "added from 3 pictures, fewer than 64: its statistics are shrunk, 84% of them are those "
        "of the whole target",
    }
    model = run.load_model("model.keras")
    assert model.cameras == [1, 2, 9]
    assert_equal(table(model, 1, -1), table(before, 1, -1))
    # Of the way from what it had, or from the target, to three crops' own it goes 3 / 19.
    for camera in (2, 9):
        [left], [right] = (table(each, camera)["mean"] for each in (before, model))
        alone, _ = camera_statistics.estimate(before, noise(2, 3), np.full(3, camera))
        [own] = table(alone, camera)["mean"]
        np.testing.assert_allclose(right - left, (own - left) * 3 / 19, rtol=1e-3, atol=1e-5)


# Crashes.


def test_a_full_disk_leaves_the_model_whole(run, monkeypatch):
    save, before = keras.Model.save, contents(run)

    def full(model: keras.Model, path: str) -> None:
        save(model, path)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(keras.Model, "save", full)
    with pytest.raises(UserError, match=r"can't write .*model\.keras: .*No space left"):
        calibrate(run, "", PATTERN, ["1"])
    assert contents(run) == before
    assert not os.path.exists(run.file(".partial.keras"))
    monkeypatch.undo()
    calibrate(run, "", PATTERN, ["1"])
    assert run.load_model("model.keras").cameras == [2]


def killed_program(path: str) -> None:
    """Dies as after kill -9, half way through the file."""

    def half(model: keras.Model, path: str) -> None:
        pathlib.Path(path).write_bytes(b"half a model")
        os.kill(os.getpid(), signal.SIGKILL)

    keras.Model.save = half
    calibrate(RunDir(path), "", PATTERN, ["1"])


def test_kill_9_while_saving_leaves_the_model_whole(run):
    before = contents(run)
    status, _, err = small_data.finish([sys.executable, __file__, run.path])
    assert status == -signal.SIGKILL, err
    assert contents(run) == before
    assert os.path.exists(run.file(".partial.keras"))
    # What is left of it is in nobody's way.
    calibrate(run, "", PATTERN, ["1"])
    assert run.load_model("model.keras").cameras == [2]
    assert not os.path.exists(run.file(".partial.keras"))


# The command line.

LINES = {
    "cameras come and go": (
        ["--model_dir=HERE/run", "--images=HERE/c", "--drop_cameras=1"],
        0,
        [
            "camera 7: added from 64 pictures",
            "camera 8: added from 3 pictures, fewer than 64: its statistics are shrunk",
            "cameras with statistics of their own: 2, 7, 8",
        ],
    ),
    "a run of the paper's": (
        ["--model_dir=HERE/paper", "--images=HERE/c"],
        2,
        ["--model_dir=HERE/paper: only runs of --preset=strong have cameras"],
    ),
    "no picture": (
        ["--model_dir=HERE/run", "--images=HERE/paper"],
        2,
        ["--images=HERE/paper: no pictures there"],
    ),
}


@pytest.fixture(scope="module")
def processes(calibrated_run, tmp_path_factory):
    """{case: (folder, process)}, all started at once: most of their time is TensorFlow's start."""
    started = {}
    for case, (line, _, _) in LINES.items():
        folder = tmp_path_factory.mktemp("here")
        small_calibration.copied(calibrated_run, folder / "run")
        write_crops(folder / "c", 7, noise(0, 64))
        write_crops(folder / "c", 8, noise(0, 3))
        (folder / "paper").mkdir()
        small_data.settings(folder / "paper").save(folder / "paper" / "settings.json")
        line = [flag.replace("HERE", str(folder)) for flag in line]
        started[case] = folder, small_data.start([*small_data.command("arn_tf.calibrate"), *line])
    return started


@pytest.mark.parametrize("case", LINES)
def test_a_command_line_says_what_it_did_or_why_not(processes, case):
    folder, process = processes[case]
    _, status, words = LINES[case]
    out, err = process.communicate(timeout=300)
    assert process.returncode == status, err
    assert "Traceback" not in err
    for word in words:
        assert word.replace("HERE", str(folder)) in (err if status else out)


if __name__ == "__main__":
    killed_program(sys.argv[1])
