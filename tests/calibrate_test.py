"""The command that teaches a model cameras: what it adds, keeps, says and refuses; crashes."""

import errno
import fcntl
import os
import pathlib
import shutil
import signal
import sys

import keras
import numpy as np
import pytest
import small_data
import tensorflow as tf

from arn_tf import calibrate, camera_statistics
from arn_tf.errors import UserError
from arn_tf.run_dir import RunDir
from arn_tf.strong_config import StrongSettings
from arn_tf.strong_model import TARGET_ROW, StrongModel

SIZE = (small_data.HEIGHT, small_data.WIDTH)
PATTERN = r"_c(\d+)"


def noise(seed, count, low=0, high=256):
    return np.random.default_rng(seed).integers(low, high, (count, *SIZE, 3)).astype(np.uint8)


def write_crops(folder, camera, pictures):
    folder.mkdir(parents=True, exist_ok=True)
    for shot, picture in enumerate(pictures):
        path = folder / f"{shot:04d}_c{camera}.png"
        path.write_bytes(tf.io.encode_png(picture).numpy())
    return folder


@pytest.fixture(scope="module")
def finished():
    """A folder as a run leaves it; its model knows cameras 1 and 2."""
    run = RunDir(str(small_data.folder() / "calibrated"))
    os.makedirs(run.path)
    StrongSettings(
        source="market", target="duke", backbone="Tiny", backbone_weights="random",
        input_size=f"{SIZE[0]}x{SIZE[1]}", model_dir=run.path,
    ).save(run.file("settings.json"))  # fmt: skip
    keras.utils.set_random_seed(0)
    model = StrongModel(3, "Tiny", "random", SIZE)
    pictures = np.concatenate([noise(0, 70, 0, 150), noise(1, 70, 100, 256)])
    model, _ = camera_statistics.estimate(model, pictures, np.repeat([1, 2], 70))
    run.save_model(model, "model.keras")
    return run


@pytest.fixture
def run(finished, tmp_path):
    shutil.copytree(finished.path, tmp_path / "run")
    return RunDir(str(tmp_path / "run"))


def table(model, *cameras):
    """{key: rows of the table} of cameras; the target's where one isn't known."""
    return {key: v.numpy()[model.rows_of(cameras)] for key, v in model.table.items()}


def assert_same(left, right):
    for key in left:
        np.testing.assert_array_equal(left[key], right[key], err_msg=key)


def contents(run):
    return pathlib.Path(run.file("model.keras")).read_bytes()


# What it does.


def test_a_camera_is_added(run, tmp_path):
    before, crops = run.load_model("model.keras"), noise(2, 66, 50, 200)
    _, outcomes = calibrate.calibrate(run, str(write_crops(tmp_path / "c", 7, crops)), PATTERN)
    model = run.load_model("model.keras")
    assert model.cameras == [1, 2, 7]
    assert {c: str(o) for c, o in outcomes.items()} == {7: "added from 66 pictures"}
    assert_same(table(model, 1, 2, -1), table(before, 1, 2, -1))
    # Exactly what a run's own estimate has for those pictures.
    expected, _ = camera_statistics.estimate(before, crops, np.full(66, 7))
    assert_same(table(model, 7), table(expected, 7))
    images = noise(3, 4)
    np.testing.assert_array_equal(model(images), before(images))
    old, new = before(images, before.rows_of([7] * 4)), model(images, model.rows_of([7] * 4))
    assert np.abs(new - old).max() > 1e-3


def test_a_camera_is_refreshed_and_others_are_left_alone(run, tmp_path):
    before = run.load_model("model.keras")
    folder = write_crops(tmp_path / "c" / "of today", 2, noise(2, 64, 0, 100))
    _, outcomes = calibrate.calibrate(run, str(folder.parent), PATTERN)
    model = run.load_model("model.keras")
    assert (model.cameras, str(outcomes[2])) == ([1, 2], "refreshed from 64 pictures")
    assert_same(table(model, 1, -1), table(before, 1, -1))
    assert all(np.any(table(model, 2)[key] != table(before, 2)[key]) for key in model.table)


def test_a_camera_is_dropped(run):
    before = run.load_model("model.keras")
    calibrate.calibrate(run, "", PATTERN, ["1"])
    model = run.load_model("model.keras")
    assert model.cameras == [2]
    assert_same(table(model, 2, -1), table(before, 2, -1))
    assert model.rows_of([1]).tolist() == [TARGET_ROW]
    calibrate.calibrate(run, "", PATTERN, ["2"])
    assert run.load_model("model.keras").cameras == []


def test_three_crops_of_a_camera_change_nothing_and_it_says_so(run, tmp_path):
    for camera in (2, 9):
        write_crops(tmp_path / "c", camera, noise(2, 3))
    before = contents(run)
    model, outcomes = calibrate.calibrate(run, str(tmp_path / "c"), PATTERN)
    assert {c: str(o) for c, o in outcomes.items()} == {
        2: "3 pictures are fewer than 64, so it keeps what it has",
        9: "3 pictures are fewer than 64, so it uses the statistics of the whole target",
    }
    assert model.rows_of([9]).tolist() == [TARGET_ROW]
    assert contents(run) == before


def test_pictures_of_any_size_and_kind(tmp_path):
    pictures = noise(0, 3)
    small = tf.image.resize(pictures[1], (20, 30)).numpy().astype(np.uint8)
    for name, data in (
        ("0007_c1.JPEG", tf.io.encode_jpeg(pictures[0])), ("b_c12s3.png", tf.io.encode_png(small)),
        ("below/c_c1.png", tf.io.encode_png(pictures[2][..., :1])),
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data.numpy())
    (tmp_path / "folder_c1.png").mkdir()
    found, cameras = calibrate.read_crops(str(tmp_path), PATTERN, SIZE)
    assert (found.shape, found.dtype) == ((3, *SIZE, 3), np.uint8)
    assert cameras.tolist() == [1, 12, 1]
    # One channel becomes three.
    np.testing.assert_array_equal(found[2], np.repeat(pictures[2][..., :1], 3, axis=2))


# What it refuses.


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"_c(\d+", r"--camera_pattern=_c\(\\d\+: missing \)"),
        (r"_c(\d{99999999999})", r"--camera_pattern=_c\(\\d\{9+\}\): "),
        (r"_c\d+", r"--camera_pattern=_c\\d\+: needs one group, as in '_c\(\\d\+\)'"),
        (r"_(c)(\d+)", "needs one group"),
        (r"cam(\d+)", r"0000_c7\.png: --camera_pattern=cam.* finds no camera's number in that"),
        (r"_(c)\d+", r"0000_c7\.png: .* finds no camera's number"),
        (r"_c7(\d)?", r"0000_c7\.png: .* finds no camera's number"),
    ],
)
def test_patterns_that_find_no_number(run, tmp_path, pattern, words):
    folder, before = write_crops(tmp_path / "c", 7, noise(0, 1)), contents(run)
    with pytest.raises(UserError, match=words):
        calibrate.calibrate(run, str(folder), pattern)
    assert contents(run) == before


def test_a_number_that_no_camera_has(tmp_path):
    write_crops(tmp_path, "9" * 30, noise(0, 1))
    with pytest.raises(UserError, match="finds no camera's number"):
        calibrate.read_crops(str(tmp_path), PATTERN, SIZE)


@pytest.mark.parametrize("data", [b"", b"<html>404</html>", small_data.picture(1, 1, 1)[:300]])
def test_a_file_that_is_no_picture(tmp_path, data):
    write_crops(tmp_path, 7, noise(0, 5))
    (tmp_path / "0003_c7.jpg").write_bytes(data)
    with pytest.raises(UserError, match=r"0003_c7\.jpg: can't be read as a picture"):
        calibrate.read_crops(str(tmp_path), PATTERN, SIZE)


def test_of_many_pictures_of_a_camera_evenly_spread_ones_are_read(tmp_path, monkeypatch):
    write_crops(tmp_path, 1, noise(0, 7))
    write_crops(tmp_path, 2, noise(1, 2))
    everything, cameras = calibrate.read_crops(str(tmp_path), PATTERN, SIZE)
    monkeypatch.setattr(calibrate.camera_statistics, "MOST_PICTURES", 3)
    pictures, fewer = calibrate.read_crops(str(tmp_path), PATTERN, SIZE)
    assert sorted(fewer.tolist()) == [1, 1, 1, 2, 2]
    rows = sorted([*np.flatnonzero(cameras == 1)[[0, 3, 6]], *np.flatnonzero(cameras == 2)])
    np.testing.assert_array_equal(pictures, everything[rows])


def test_a_name_that_is_no_utf_8(tmp_path):
    write_crops(tmp_path, 1, noise(0, 1))
    os.rename(tmp_path / "0000_c1.png", os.fsencode(tmp_path) + b"/\xff_c1.png")
    pictures, cameras = calibrate.read_crops(str(tmp_path), PATTERN, SIZE)
    assert len(pictures) == 1
    assert cameras.tolist() == [1]


@pytest.mark.parametrize("numbers", [["5"], ["1", "x"], ["-1"], [""]])
def test_cameras_to_drop_that_are_not_there(run, numbers):
    before = contents(run)
    with pytest.raises(UserError, match=rf"--drop_cameras={numbers[-1]}: the model knows \[1, 2\]"):
        calibrate.calibrate(run, "", PATTERN, numbers)
    assert contents(run) == before


def test_nothing_to_do_or_to_do_it_with(run, tmp_path):
    with pytest.raises(UserError, match="--images=FOLDER or --drop_cameras=NUMBERS"):
        calibrate.calibrate(run, "", PATTERN)
    with pytest.raises(UserError, match=f"--images={tmp_path}/nowhere: not a folder"):
        calibrate.calibrate(run, f"{tmp_path}/nowhere", PATTERN)
    with pytest.raises(UserError, match=f"--model_dir={tmp_path}: no settings.json there"):
        calibrate.calibrate(RunDir(str(tmp_path)), str(tmp_path), PATTERN)
    os.remove(run.file("model.keras"))
    with pytest.raises(UserError, match=r"model\.keras is not there; finish the run"):
        calibrate.calibrate(run, str(tmp_path), PATTERN)


def test_a_run_that_is_being_trained(run):
    with open(run.file(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process"):
            calibrate.calibrate(run, "", PATTERN, ["1"])


# Crashes.


def test_a_full_disk_leaves_the_model_whole(run, monkeypatch):
    save, before = keras.Model.save, contents(run)

    def full(model, path):
        save(model, path)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(keras.Model, "save", full)
    with pytest.raises(UserError, match=r"can't write .*model\.keras: .*No space left"):
        calibrate.calibrate(run, "", PATTERN, ["1"])
    assert contents(run) == before
    assert not os.path.exists(run.file(".partial.keras"))
    monkeypatch.undo()
    calibrate.calibrate(run, "", PATTERN, ["1"])
    assert run.load_model("model.keras").cameras == [2]


def killed_program(path):
    """Dies as kill -9 lets it, half way through the file."""

    def half(model, path):
        pathlib.Path(path).write_bytes(b"half a model")
        os.kill(os.getpid(), signal.SIGKILL)

    keras.Model.save = half
    calibrate.calibrate(RunDir(path), "", PATTERN, ["1"])


def test_kill_9_while_saving_leaves_the_model_whole(run):
    before = contents(run)
    status, _, err = small_data.finish([sys.executable, __file__, "killed", run.path])
    assert status == -signal.SIGKILL, err
    assert contents(run) == before
    assert os.path.exists(run.file(".partial.keras"))
    # What is left of it is in nobody's way.
    calibrate.calibrate(run, "", PATTERN, ["1"])
    assert run.load_model("model.keras").cameras == [2]
    assert not os.path.exists(run.file(".partial.keras"))


# The command line.

LINES = {
    "cameras come and go": (
        ["--model_dir=HERE/run", "--images=HERE/c", "--drop_cameras=1"], 0,
        ["camera 7: added from 64 pictures", "camera 8: 3 pictures are fewer than 64",
         "cameras with statistics of their own: 2, 7"],
    ),
    "a run of the paper's": (
        ["--model_dir=HERE/paper", "--images=HERE/c"], 2,
        ["--model_dir=HERE/paper: only runs of --preset=strong have cameras"],
    ),
    "no picture": (
        ["--model_dir=HERE/run", "--images=HERE/paper"], 2, ["--images=HERE/paper: no .jpg"],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def processes(finished, tmp_path_factory):
    """{case: (folder, process)}, all started at once: most of their time is TensorFlow's start."""
    started = {}
    for case, (line, _, _) in LINES.items():
        folder = tmp_path_factory.mktemp("here")
        shutil.copytree(finished.path, folder / "run")
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
    if sys.argv[1:2] == ["killed"]:
        killed_program(sys.argv[2])
    else:
        raise SystemExit(pytest.main([__file__]))
