"""What the command that teaches a model cameras reads, and what it refuses."""

import fcntl
import os

import numpy as np
import pytest
import tensorflow as tf

from arn_tf.run.folder import RunDir
from arn_tf.strong import row_pictures
from arn_tf.strong.calibrate import calibrate
from arn_tf.strong.crops import read_crops
from datasets import camera_names
from datasets.files import pictures
from tests.support import (
    own_pictures,
    small_calibration,
    small_data,
    small_exif,
    small_pictures,
)
from tests.support.small_calibration import PATTERN, SIZE, contents, noise, write_crops
from tests.support.user_errors import refused


@pytest.fixture
def run(calibrated_run, tmp_path):
    return small_calibration.copied(calibrated_run, tmp_path / "run")


# What it reads.


def test_pictures_of_any_size_and_kind(tmp_path):
    pictures = noise(0, 3)
    small = tf.image.resize(pictures[1], (20, 30)).numpy().astype(np.uint8)
    for name, data in (
        ("0007_c1.JPEG", tf.io.encode_jpeg(pictures[0])),
        ("b_c12s3.png", tf.io.encode_png(small)),
        ("below/c_c1.png", tf.io.encode_png(pictures[2][..., :1])),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data.numpy())
    (tmp_path / "folder_c1.png").mkdir()
    found, cameras, _ = read_crops(str(tmp_path), PATTERN, SIZE)
    assert (found.shape, found.dtype) == ((3, *SIZE, 3), np.uint8)
    assert cameras.tolist() == [1, 12, 1]
    # One channel becomes three.
    np.testing.assert_array_equal(found[2], np.repeat(pictures[2][..., :1], 3, axis=2))


@pytest.mark.parametrize("form", small_pictures.FORMATS)
def test_every_format_whatever_its_name(tmp_path, form):
    data = small_pictures.encoded(form)
    for name in ("a_c1.jpg", "b_c1", "c_c1.BMP"):
        (tmp_path / name).write_bytes(data)
    found, *_ = read_crops(str(tmp_path), PATTERN, (24, 40))
    assert len(found) == 3
    difference = np.abs(found.astype(int) - small_pictures.decoded(data)[None])
    assert difference.max() <= small_pictures.ROUGHLY.get(form, 0)


def test_a_picture_that_is_stored_turned(tmp_path):
    data = small_exif.png(small_exif.chunk(b"eXIf", small_exif.exif(6)))
    (tmp_path / "a_c1.png").write_bytes(data)
    found, *_ = read_crops(str(tmp_path), PATTERN, (40, 24))
    np.testing.assert_array_equal(found[0], small_exif.turned(small_exif.pixels(), 6))


def test_litter_is_passed_over_and_what_is_left_out_is_said(tmp_path, capsys):
    write_crops(tmp_path, 1, noise(0, 2))
    write_crops(tmp_path / "@eaDir", 1, noise(1, 2))
    write_crops(tmp_path / ".ipynb_checkpoints", 1, noise(1, 2))
    (tmp_path / "._0000_c1.png").write_bytes(b"\0\5\x16\7")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "b_c1.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(60))
    found, *_ = read_crops(str(tmp_path), PATTERN, SIZE)
    np.testing.assert_array_equal(found, noise(0, 2))
    printed = capsys.readouterr().out
    assert "passed over, as hidden files, thumbnails or trash: " in printed
    for word in ("@eaDir (1)", ".ipynb_checkpoints (1)", "._* (1)", "HEIC", "b_c1.heic"):
        assert word in printed
    assert f"left out, no pictures: {tmp_path}/notes.txt" in printed


def test_of_many_pictures_of_a_camera_evenly_spread_ones_are_read(tmp_path, monkeypatch):
    write_crops(tmp_path, 1, noise(0, 7))
    write_crops(tmp_path, 2, noise(1, 2))
    everything, cameras, _ = read_crops(str(tmp_path), PATTERN, SIZE)
    monkeypatch.setattr(row_pictures, "MOST_PICTURES", 3)
    pictures, fewer, _ = read_crops(str(tmp_path), PATTERN, SIZE)
    assert sorted(fewer.tolist()) == [1, 1, 1, 2, 2]
    rows = sorted([*np.flatnonzero(cameras == 1)[[0, 3, 6]], *np.flatnonzero(cameras == 2)])
    np.testing.assert_array_equal(pictures, everything[rows])


def test_a_name_that_is_no_utf_8(tmp_path):
    write_crops(tmp_path, 1, noise(0, 1))
    os.rename(tmp_path / "0000_c1.png", os.fsencode(tmp_path) + b"/\xff_c1.png")
    pictures, cameras, _ = read_crops(str(tmp_path), PATTERN, SIZE)
    assert len(pictures) == 1
    assert cameras.tolist() == [1]


# What it refuses.


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"_c(\d+", r"--camera_pattern=_c\(\\d\+: missing \)"),
        (r"_c(\d{99999999999})", r"--camera_pattern=_c\(\\d\{9+\}\): "),
        (r"_c\d+", r"--camera_pattern=_c\\d\+: needs one group, as in '_c\(\\d\+\)'"),
        (r"_(c)(\d+)", "needs one group"),
        (r"cam(\d+)", r"0000_c7\.png: --camera_pattern=cam.* finds no camera in that"),
        (r"_c7(\d)?", r"0000_c7\.png: .* finds no camera"),
    ],
)
def test_patterns_that_find_no_number(run, tmp_path, pattern, words):
    folder, before = write_crops(tmp_path / "c", 7, noise(0, 1)), contents(run)
    with refused(words):
        calibrate(run, str(folder), pattern)
    assert contents(run) == before


def test_a_number_that_is_too_large_is_a_name(tmp_path):
    write_crops(tmp_path, "9" * 30, noise(0, 1))
    *_, names = read_crops(str(tmp_path), PATTERN, SIZE)
    assert list(names.values()) == ["9" * 30]


@pytest.mark.parametrize("data", [b"", b"<html>404</html>", small_data.picture(1, 1, 1)[:300]])
def test_a_file_that_is_no_picture(tmp_path, data):
    write_crops(tmp_path, 7, noise(0, 5))
    (tmp_path / "0003_c7.jpg").write_bytes(data)
    with refused(r"0003_c7\.jpg: can't be read as a picture"):
        read_crops(str(tmp_path), PATTERN, SIZE)


@pytest.mark.parametrize("name", small_pictures.bombs())
def test_a_bomb(tmp_path, name):
    (tmp_path / "0001_c7.jpg").write_bytes(small_pictures.bombs()[name])
    with refused(r"0001_c7\.jpg: can't be read as a picture: has .* pixels.*crop the person"):
        read_crops(str(tmp_path), PATTERN, SIZE)


def test_what_cannot_be_read_is_named_once(tmp_path):
    (tmp_path / "a_c1.jpg").symlink_to(tmp_path / "gone")
    with refused(rf"^{tmp_path}/a_c1\.jpg: can't be read as a picture: No such file[^/]*$"):
        read_crops(str(tmp_path), PATTERN, SIZE)
    os.remove(tmp_path / "a_c1.jpg")
    (tmp_path / "a_c1.jpg").write_bytes(bytes(pictures.MAX_BYTES + 1))
    with refused(r"a_c1\.jpg: can't be read as a picture: has \d+ bytes; the limit is 33554432"):
        read_crops(str(tmp_path), PATTERN, SIZE)


def test_a_folder_of_heic_pictures(tmp_path):
    (tmp_path / "a_c1.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(60))
    with refused(r"no pictures there; left out, HEIC pictures, which must be converted"):
        read_crops(str(tmp_path), PATTERN, SIZE)


@pytest.mark.parametrize("numbers", [["5"], ["1", "x"], ["-1"], [""]])
def test_cameras_to_drop_that_are_not_there(run, numbers):
    before = contents(run)
    with refused(rf"--drop_cameras={numbers[-1]}: the model knows 1, 2"):
        calibrate(run, "", PATTERN, numbers)
    assert contents(run) == before


def test_nothing_to_do_or_to_do_it_with(run, tmp_path):
    with refused("--images=FOLDER or --drop_cameras=NAMES"):
        calibrate(run, "", PATTERN)
    with refused(f"--images={tmp_path}/nowhere: not a folder"):
        calibrate(run, f"{tmp_path}/nowhere", PATTERN)
    with refused(f"--model_dir={tmp_path}: no settings.json there"):
        calibrate(RunDir(str(tmp_path)), str(tmp_path), PATTERN)
    os.remove(run.file("model.keras"))
    with refused(r"model\.keras is not there; finish the run"):
        calibrate(run, str(tmp_path), PATTERN)


def test_a_run_that_is_being_trained(run):
    with open(run.file(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with refused("another process"):
            calibrate(run, "", PATTERN, ["1"])


def test_cameras_of_folders_and_tables(tmp_path, capsys):
    for camera in ("lift", "7"):
        own_pictures.write(tmp_path / "crops", {f"{camera}/1.png": own_pictures.encoded(1)})
    lift = camera_names.number_of("lift")
    pictures, cameras, names = read_crops(str(tmp_path / "crops"), "", SIZE)
    assert (len(pictures), cameras.tolist(), names) == (2, [7, lift], {7: "7", lift: "lift"})
    printed = capsys.readouterr().out
    assert "2 cameras from the first folder: 7, lift" in printed
    assert "lift: 1 pictures, such as lift/1.png" in printed
    *_, names = read_crops(str(tmp_path / "crops"), "", SIZE, "{*}/{camera}.png")
    assert names == {1: "1"}
    table = tmp_path / "site.csv"
    table.write_text("file,camera\ncrops/lift/1.png,up\n")
    *_, names = read_crops(str(table), "", SIZE)
    assert list(names.values()) == ["up"]


def test_pictures_without_a_camera(tmp_path):
    own_pictures.write(tmp_path, {"1.png": own_pictures.encoded(1)})
    with refused(r"1\.png: its camera is not told. .* --names={camera}"):
        read_crops(str(tmp_path), "", SIZE)
    with refused("--images=.*/nothing: neither a folder"):
        read_crops(str(tmp_path / "nothing"), "", SIZE)


def test_two_names_of_one_number_are_not_one_camera(tmp_path):
    files = {f"{name}/1.png": own_pictures.encoded(n) for n, name in enumerate(("01", "1"))}
    own_pictures.write(tmp_path, files)
    with refused("--images=.*: cameras '01' and '1' have one number"):
        read_crops(str(tmp_path), "", SIZE)
    named = {f"{n}_c{name}.png": own_pictures.encoded(n) for n, name in enumerate(("01", "1"))}
    with refused("--images=.*: cameras '01' and '1' have one number"):
        read_crops(own_pictures.write(tmp_path / "named", named), PATTERN, SIZE)


def test_cameras_are_told_in_one_way(tmp_path):
    with refused("^--names and --camera_pattern both say where the camera is told: give one"):
        read_crops(str(tmp_path), PATTERN, SIZE, "{camera}/{*}")
