"""Tests of datasets/archive.py on small archives, good and bad, made here."""

import dataclasses
import io
import os
import pathlib
import shutil
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from datasets import archive

FOLDER = "Any-reID"
LAYOUT = archive.Layout(
    archive="Any-reID.zip",
    folder=FOLDER,
    name_pattern=r"(?P<person>-1|\d+)_c(?P<camera>\d+)(\.jpg)+",
    name_example="0007_c2.jpg",
    train_per_camera=(2, 1),
    train_identities=2,
    query_pictures=1,
    gallery_pictures=3,
)


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 8, 3), np.uint8)
    return tf.io.encode_jpeg(pixels).numpy()


def good_files() -> dict[str, bytes]:
    """Path below the data set's folder -> content; in no particular order."""
    return {
        "bounding_box_train/0007_c2.jpg": jpeg(1),
        "bounding_box_train/0002_c1.jpg": jpeg(2),
        "bounding_box_train/0007_c1.jpg": jpeg(3),
        "query/0003_c1.jpg": jpeg(4),
        "bounding_box_test/0003_c2.JPG": jpeg(5),
        "bounding_box_test/0000_c1.jpg": jpeg(6),
        "bounding_box_test/-1_c1.jpg.jpg": jpeg(7),
        "bounding_box_test/Thumbs.db": b"litter",
        "bounding_box_test/._0003_c2.jpg": b"litter",
        "gt_bbox/0001_c1.jpg": b"another folder",
        "readme.txt": b"another file",
    }


def write_zip(manual: pathlib.Path, files: dict[str, bytes], root: str = FOLDER + "/") -> None:
    with zipfile.ZipFile(manual / LAYOUT.archive, "w") as zipped:
        for name, data in files.items():
            zipped.writestr(root + name, data)


def write_folder(manual: pathlib.Path, files: dict[str, bytes], root: str = FOLDER) -> None:
    for name, data in files.items():
        path = manual / root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def facts(contents: archive.Contents) -> dict:
    """Everything that is read, without where it was read from."""
    return {
        split: [example for _, example in archive.read_examples(contents.source, pictures)]
        for split, pictures in contents.splits.items()
    }


def fails(manual: pathlib.Path, *words: str, skip_bad_images: bool = False) -> None:
    with pytest.raises(archive.DataError) as caught:
        archive.scan(manual, LAYOUT, skip_bad_images)
    for word in (str(manual), *words):
        assert word in str(caught.value)


def test_names_are_parsed_sorted_and_litter_is_ignored(tmp_path):
    write_zip(tmp_path, good_files())
    contents = archive.scan(tmp_path, LAYOUT)
    parsed = {
        split: [(p.file_name, p.person_id, p.camera_id) for p in pictures]
        for split, pictures in contents.splits.items()
    }
    assert parsed == {
        "train": [("0002_c1.jpg", 2, 1), ("0007_c1.jpg", 7, 1), ("0007_c2.jpg", 7, 2)],
        "query": [("0003_c1.jpg", 3, 1)],
        "gallery": [("-1_c1.jpg.jpg", -1, 1), ("0000_c1.jpg", 0, 1), ("0003_c2.JPG", 3, 2)],
    }
    examples = list(archive.read_examples(contents.source, contents.splits["query"]))
    expected = {"image": jpeg(4), "person_id": 3, "camera_id": 1, "file_name": "0003_c1.jpg"}
    assert examples == [("0003_c1.jpg", expected)]


def test_metadata_counts_and_official_comparison(tmp_path):
    write_zip(tmp_path, good_files())
    metadata = archive.scan(tmp_path, LAYOUT).metadata
    assert metadata["splits"]["train"] == {
        "pictures": 3,
        "identities": 2,
        "cameras": 2,
        "pictures_per_camera": {"1": 2, "2": 1},
        "junk": 0,
        "distractors": 0,
    }
    assert metadata["splits"]["gallery"]["identities"] == 1
    assert metadata["splits"]["gallery"]["junk"] == 1
    assert metadata["splits"]["gallery"]["distractors"] == 1
    assert metadata["source"] == LAYOUT.archive
    assert metadata["source_bytes"] == (tmp_path / LAYOUT.archive).stat().st_size
    assert metadata["official_comparison"][0].startswith("all counts equal")

    larger = dataclasses.replace(LAYOUT, train_per_camera=(2, 1, 4), query_pictures=9)
    lines = archive.scan(tmp_path, larger).metadata["official_comparison"]
    assert lines[0].startswith("3 of 8 counts differ")
    assert "train pictures of camera 3: 0 (official 4, differs)" in lines
    assert "train pictures of camera 1: 2 (official 2)" in lines
    assert "query pictures: 1 (official 9, differs)" in lines

    files = {"query/0007_c1.jpg": jpeg(8), "bounding_box_test/0002_c2.jpg": jpeg(9)}
    write_zip(tmp_path, good_files() | files)
    lines = archive.scan(tmp_path, LAYOUT).metadata["official_comparison"]
    assert "train identities also in query or gallery: 2 (official 0, differs)" in lines


@pytest.mark.parametrize(
    "root", [FOLDER + "/", "", "outer/" + FOLDER + "/", "../../", "/etc/", "outer\\"]
)
def test_an_archive_may_be_nested_and_its_paths_are_harmless(tmp_path, root):
    manual = tmp_path / "a" / "b"
    manual.mkdir(parents=True)
    write_folder(manual, good_files())
    expected = facts(archive.scan(manual, LAYOUT))
    write_zip(manual, good_files(), root)
    before = sorted(tmp_path.rglob("*"))
    contents = archive.scan(manual, LAYOUT)
    assert contents.source.name == LAYOUT.archive  # The archive wins over the folder.
    assert facts(contents) == expected
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_may_be_nested(tmp_path):
    write_folder(tmp_path, good_files(), f"{FOLDER}/{FOLDER}")
    assert len(archive.scan(tmp_path, LAYOUT).splits["train"]) == 3


def test_two_complete_folders_are_ambiguous(tmp_path):
    write_folder(tmp_path, good_files(), f"{FOLDER}/a")
    write_folder(tmp_path, good_files(), f"{FOLDER}/b")
    fails(tmp_path, "more than one folder", "a/query", "b/bounding_box_test")


def test_missing_source_says_what_is_there(tmp_path):
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


@pytest.mark.parametrize("write", [write_zip, write_folder])
def test_unknown_names_are_counted_and_can_be_skipped(tmp_path, write):
    names = ["0007.jpg", "x_c1.jpg", "0007_c1.png", "٣_c1.jpg", "deeper/0007_c1.jpg", "a.jpg"]
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
        (png(), "not a JPEG"),
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
    monkeypatch.setattr(archive, "MAX_PIXELS", 16 * 8 - 1)
    fails(tmp_path, "7 of 7 files", "16 x 8 pixels")
    monkeypatch.setattr(archive, "MAX_BYTES", 20)
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


def test_no_damage_to_an_archive_escapes_as_another_error(tmp_path):
    write_zip(tmp_path, good_files())
    path = tmp_path / LAYOUT.archive
    intact = path.read_bytes()
    random = np.random.default_rng(0)
    for at in random.integers(0, len(intact), 150):
        path.write_bytes(intact[:at] + random.bytes(8) + intact[at + 8 :])
        try:
            archive.scan(tmp_path, LAYOUT, skip_bad_images=True)
        except archive.DataError as error:
            assert str(path) in str(error)


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


@pytest.mark.parametrize("write", [write_zip, write_folder])
def test_fingerprint_notices_other_pictures(tmp_path, write):
    def fingerprint(name: str, files: dict[str, bytes]) -> str:
        (tmp_path / name).mkdir()
        write(tmp_path / name, files)
        return archive.fingerprint(tmp_path / name, LAYOUT)

    files = good_files()
    first = fingerprint("first", files)
    assert archive.fingerprint(str(tmp_path / "first"), LAYOUT) == first
    assert archive.scan(tmp_path / "first", LAYOUT).metadata["fingerprint"] == first
    assert fingerprint("ignored", files | {"gt_bbox/0001_c1.jpg": b"other", "a.txt": b""}) == first

    without = dict(files)
    renamed = without.pop("bounding_box_train/0007_c2.jpg")
    others = {
        first,
        fingerprint("larger", files | {"query/0003_c1.jpg": files["query/0003_c1.jpg"] + b"0"}),
        fingerprint("added", files | {"query/0003_c2.jpg": jpeg(8)}),
        fingerprint("missing", without),
        fingerprint("renamed", without | {"bounding_box_train/0008_c2.jpg": renamed}),
    }
    assert len(others) == 5

    # 0008 moves from the start of one split to the end of another: the names keep their order.
    files = {name: data for name, data in files.items() if not name.startswith("query")}
    files["query/0009_c1.jpg"] = jpeg(9)
    moved = {"query/0008_c1.jpg": jpeg(8)}, {"bounding_box_train/0008_c1.jpg": jpeg(8)}
    assert fingerprint("query", files | moved[0]) != fingerprint("train", files | moved[1])


def test_an_archive_its_folder_and_a_copy_have_one_fingerprint(tmp_path):
    """Also where a split holds a folder, whose own size depends on the file system."""
    zipped, extracted, copy = (tmp_path / name for name in ("zipped", "extracted", "copy"))
    zipped.mkdir()
    write_zip(zipped, good_files() | {"query/deeper/0003_c1.jpg": jpeg(8), "query/none/": b""})
    with zipfile.ZipFile(zipped / LAYOUT.archive) as source:
        source.extractall(extracted)
    shutil.copytree(extracted, copy)
    for path in copy.rglob("*"):
        os.utime(path, (10**9, 10**9))
    first, *others = (archive.fingerprint(path, LAYOUT) for path in (zipped, extracted, copy))
    assert others == [first, first]


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


def test_png_would_pass_the_decoder():
    """Why the first bytes are checked as well."""
    assert tf.io.decode_jpeg(io.BytesIO(png()).getvalue()).shape == (16, 8, 3)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
