"""Encoded pictures that stay in their files."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from arn_tf.data import picture_files
from arn_tf.data.picture_files import PictureFiles, stamps
from tests.support import own_pictures
from tests.support.user_errors import refused

NAMES = [f"{n}.png" for n in range(5)]


@pytest.fixture
def files(tmp_path):
    root = own_pictures.write(
        tmp_path, {name: own_pictures.encoded(row) for row, name in enumerate(NAMES)}
    )
    return PictureFiles(root, NAMES, stamps(root, NAMES))


def test_rows(files):
    expected = [own_pictures.encoded(row) for row in range(5)]
    assert files[3] == files[np.int64(-2)] == expected[3]
    assert files[1:3].tolist() == expected[1:3]
    assert files[[4, 0]].tolist() == [expected[4], expected[0]]
    assert files[np.array([True, False, False, False, True])].tolist() == [expected[0], expected[4]]
    assert np.asarray(files).tolist() == list(files) == expected
    assert files[:0].dtype == object and len(files) == 5


def test_a_subset(files):
    part = files.subset(np.array([4, 2, 0])).subset(np.array([2, 1]))
    assert [part[0], part[1]] == [own_pictures.encoded(0), own_pictures.encoded(2)]
    assert part.path(1).endswith("2.png")


def test_other_formats_come_as_png(tmp_path):
    root = own_pictures.write(tmp_path, {"x.jpg": own_pictures.encoded(1, "BMP")})
    data = PictureFiles(root, ["x.jpg"], stamps(root, ["x.jpg"]))[0]
    assert data.startswith(b"\x89PNG")
    np.testing.assert_array_equal(Image.open(io.BytesIO(data)), own_pictures.pixels(1))


def test_the_digest_changes_with_the_files_and_reads_none(files, tmp_path):
    again = PictureFiles(str(tmp_path), NAMES, stamps(str(tmp_path), NAMES))
    assert again.digest == files.digest != files.subset(np.arange(4)).digest
    with open(tmp_path / "3.png", "ab") as file:
        file.write(b"x")
    assert PictureFiles(str(tmp_path), NAMES, stamps(str(tmp_path), NAMES)).digest != files.digest


def test_sizes_and_times_of_more_than_a_block(files, tmp_path, monkeypatch):
    monkeypatch.setattr(picture_files, "_BLOCK", 2)
    found = [os.stat(tmp_path / name) for name in NAMES]
    expected = [[each.st_size, each.st_mtime_ns] for each in found]
    assert stamps(str(tmp_path), NAMES).tolist() == expected
    assert stamps(str(tmp_path), []).shape == (0, 2)


def test_a_file_that_is_gone(files, tmp_path):
    (tmp_path / "3.png").unlink()
    assert stamps(str(tmp_path), NAMES)[3].tolist() == [-1, -1]
    with refused(r"3\.png: can't be read \(No such file"):
        files[:]
