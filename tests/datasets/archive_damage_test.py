"""The errors of archives and folders that are damaged, another's, or hold unusable files."""

import pathlib
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from datasets import archive
from datasets.files import pictures
from tests.support import small_pictures
from tests.support.small_archive import FOLDER, LAYOUT, good_files, jpeg, write_folder, write_zip


def fails(manual: pathlib.Path, *words: str, skip_bad_images: bool = False) -> None:
    with pytest.raises(archive.DataError) as caught:
        archive.scan(manual, LAYOUT, skip_bad_images)
    for word in (str(manual), *words):
        assert word in str(caught.value)


# The archive or folder as a whole.


def test_two_complete_folders_are_ambiguous(tmp_path):
    write_folder(tmp_path, good_files(), f"{FOLDER}/a")
    write_folder(tmp_path, good_files(), f"{FOLDER}/b")
    fails(tmp_path, "more than one folder", "a/query", "b/bounding_box_test")


def test_missing_source_lists_what_is_there(tmp_path):
    fails(tmp_path, "neither Any-reID.zip nor", "found: nothing")
    (tmp_path / "Any-reID (1).zip").touch()
    fails(tmp_path, "found: Any-reID (1).zip", "Put the official archive here")
    fails(tmp_path / "nowhere", "found: nothing")
    fails(tmp_path / "Any-reID (1).zip", "found: nothing")  # A file, not a directory.


@pytest.mark.parametrize("keep", [0, 10, 300, -1])
def test_truncated_archive(tmp_path, keep):
    write_zip(tmp_path, good_files())
    path = tmp_path / LAYOUT.archive
    path.write_bytes(path.read_bytes()[:keep])
    fails(tmp_path, LAYOUT.archive, "not a readable zip", "interrupted download")
    with pytest.raises(archive.DataError):
        archive.fingerprint(tmp_path, LAYOUT)


def test_encrypted_archive(tmp_path):
    write_zip(tmp_path, good_files())
    path = tmp_path / LAYOUT.archive
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1  # Flag bit 0 of the first central entry.
    path.write_bytes(data)
    fails(tmp_path, "encrypted", skip_bad_images=True)


def test_another_data_set_under_this_name(tmp_path):
    renamed = {name.replace("_c", "_cam"): data for name, data in good_files().items()}
    write_zip(tmp_path, renamed)
    fails(tmp_path, "another data set", "0007_c2.jpg", "-1_cam1.jpg", skip_bad_images=True)


def test_missing_or_empty_split(tmp_path):
    files = {name: data for name, data in good_files().items() if not name.startswith("query")}
    write_zip(tmp_path, files | {"query/": b"", "query/Thumbs.db": b"litter"})
    fails(tmp_path, "no folder holds all of", "query", "found: Any-reID/bounding_box_test")
    write_zip(tmp_path, files | {"query/0003_c1.jpg": b""})
    fails(tmp_path, "no usable picture is left in query", skip_bad_images=True)
    with zipfile.ZipFile(tmp_path / LAYOUT.archive, "w"):
        pass
    fails(tmp_path, "found: none of them")


def test_duplicate_names(tmp_path):
    write_zip(tmp_path, good_files())
    with zipfile.ZipFile(tmp_path / LAYOUT.archive, "a") as zipped, pytest.warns(UserWarning):
        zipped.writestr(f"{FOLDER}/query/0003_c1.jpg", jpeg(9))
    fails(tmp_path, "1 names occur more than once", "query/0003_c1.jpg", skip_bad_images=True)


def test_no_damage_to_an_archive_escapes_as_another_error(tmp_path):
    write_zip(tmp_path, good_files())
    path = tmp_path / LAYOUT.archive
    intact = path.read_bytes()
    random, refused = np.random.default_rng(0), 0
    for at in random.integers(0, len(intact), 150):
        path.write_bytes(intact[:at] + random.bytes(8) + intact[at + 8 :])
        try:
            archive.scan(tmp_path, LAYOUT, skip_bad_images=True)
        except archive.DataError as error:
            assert str(path) in str(error)
            refused += 1
    # Some of it ends the scan, some costs a picture.
    assert 0 < refused < 150


def test_an_entry_without_a_name_is_no_error(tmp_path):
    write_zip(tmp_path, good_files())
    path = tmp_path / LAYOUT.archive
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 46] = 0  # A NUL ends the first central entry's name.
    path.write_bytes(data)
    assert len(archive.scan(tmp_path, LAYOUT).splits["train"]) == 2


def test_a_source_changed_after_the_scan(tmp_path):
    write_zip(tmp_path, good_files())
    contents = archive.scan(tmp_path, LAYOUT)
    write_zip(tmp_path, {})
    with pytest.raises(archive.DataError, match=r"0003_c1\.jpg cannot be read"):
        list(archive.read_examples(contents.source, contents.splits["query"]))


# Single pictures and names.


@pytest.mark.parametrize("write", [write_zip, write_folder])
def test_unknown_names_are_counted_and_can_be_skipped(tmp_path, write):
    names = ["0007.jpg", "x_c1.jpg", "0007_c1.txt", "٣_c1.jpg", "deeper/0007_c1.jpg", "a.jpg"]
    write(tmp_path, good_files() | {f"bounding_box_train/{name}": jpeg(8) for name in names})
    fails(tmp_path, "6 of 13 files", "0007.jpg: not such a name", "and 1 more", "skip_bad_images")
    contents = archive.scan(tmp_path, LAYOUT, skip_bad_images=True)
    assert len(contents.splits["train"]) == 3
    assert len(contents.metadata["skipped"]) == 6
    assert contents.metadata["skip_bad_images"]


def png() -> bytes:
    return tf.io.encode_png(np.zeros((16, 8, 3), np.uint8)).numpy()


@pytest.mark.parametrize("write", [write_zip, write_folder])
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty"),
        (b"<html>404</html>", "not a picture, it looks like text"),
        (b"\0\0\0\x18ftypheic" + bytes(99), "not a picture, it looks like a HEIC picture (convert"),
        (png()[:-20], "a truncated or broken PNG"),
        (png()[:20], "a truncated or broken PNG"),
        (small_pictures.encoded("bmp")[:-9], "a truncated or broken BMP"),
        (small_pictures.encoded("webp")[:-20], "a truncated or broken WEBP"),
        (jpeg(8)[:-1], "a truncated or broken JPEG"),
        (jpeg(8)[:-200], "a truncated or broken JPEG"),
        (jpeg(8)[:-200] + bytes(200), "a truncated or broken JPEG"),
        (jpeg(8)[:4], "a truncated or broken JPEG"),
    ],
)
def test_bad_pictures_are_named_and_can_be_skipped(tmp_path, write, data, problem):
    write(tmp_path, good_files() | {"bounding_box_train/0002_c9.jpg": data})
    fails(tmp_path, "1 of 8 files", f"bounding_box_train/0002_c9.jpg: {problem}")
    contents = archive.scan(tmp_path, LAYOUT, skip_bad_images=True)
    assert [p.file_name for p in contents.splits["train"]] == [
        "0002_c1.jpg",
        "0007_c1.jpg",
        "0007_c2.jpg",
    ]
    assert contents.metadata["skipped"][0].startswith("bounding_box_train/0002_c9.jpg: ")


def test_too_large_pictures_are_not_read(tmp_path, monkeypatch):
    write_zip(tmp_path, good_files())
    monkeypatch.setattr(pictures, "MAX_PIXELS", 16 * 8 - 1)
    fails(tmp_path, "7 of 7 files", "8 x 16 pixels")
    monkeypatch.setattr(pictures, "MAX_BYTES", 20)
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    fails(tmp_path, "7 of 7 files", "bytes, more than the 20 allowed")


def test_damage_inside_an_archive_and_a_dangling_link(tmp_path):
    write_zip(tmp_path, good_files())
    path = tmp_path / LAYOUT.archive
    path.write_bytes(path.read_bytes().replace(jpeg(4)[-60:-20], bytes(40)))
    fails(tmp_path, "query/0003_c1.jpg: unreadable", "CRC")

    path.unlink()
    write_folder(tmp_path, good_files())
    (tmp_path / FOLDER / "query" / "0004_c1.jpg").symlink_to(tmp_path / "gone.jpg")
    fails(tmp_path, "query/0004_c1.jpg: unreadable")


@pytest.mark.parametrize("folder", ["bounding_box_train", "query"])
@pytest.mark.parametrize("person", ["-1", "0", "0000"])
def test_only_the_gallery_may_hold_junk_or_distractors(tmp_path, folder, person):
    write_zip(tmp_path, good_files() | {f"{folder}/{person}_c1.jpg": jpeg(8)})
    problem = (
        f"{folder}/{person}_c1.jpg: person {person}: "
        "only bounding_box_test may hold junk or distractors"
    )
    fails(tmp_path, "1 of 8 files", problem, "skip_bad_images")
    contents = archive.scan(tmp_path, LAYOUT, skip_bad_images=True)
    assert contents.metadata["skipped"] == [problem]
    assert [len(pictures) for pictures in contents.splits.values()] == [3, 1, 3]
    assert {picture.person_id for picture in contents.splits["gallery"]} == {-1, 0, 3}


@pytest.mark.parametrize("name", small_pictures.bombs())
def test_bombs_are_refused_in_every_format(tmp_path, name):
    write_zip(tmp_path, good_files() | {"query/0009_c1.jpg": small_pictures.bombs()[name]})
    fails(tmp_path, "1 of 8 files", "query/0009_c1.jpg: has", "crop the person")
