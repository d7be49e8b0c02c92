"""What is read of an archive or a folder of pictures: names, counts, its fingerprint."""

import dataclasses
import os
import shutil
import zipfile
from typing import Any

import pytest

from datasets import archive
from tests.support.small_archive import FOLDER, LAYOUT, good_files, jpeg, write_folder, write_zip


def facts(contents: archive.Contents) -> dict[str, Any]:
    """Everything that is read, without where it was read from."""
    return {
        split: [example for _, example in archive.read_examples(contents.source, pictures)]
        for split, pictures in contents.splits.items()
    }


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
