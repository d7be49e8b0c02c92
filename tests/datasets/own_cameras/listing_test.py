"""A user's pictures and what is known of them."""

import os
import re

import numpy as np
import pytest

from datasets.own_cameras import listing, times
from tests.support import silent_disk

JPEG = b"\xff\xd8\xff"


def make(root, files):
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG)
    return str(root)


def names_of(labels):
    return [labels.names[code] if code >= 0 else None for code in labels.codes]


def test_a_guess(tmp_path):
    root = make(tmp_path, ["b/1.jpg", "a/2.jpg", "a/x/1.JPG", ".hidden/3.jpg", "@eaDir/4.jpg"])
    found = listing.read(root)
    assert found.files == ["a/2.jpg", "a/x/1.JPG", "b/1.jpg"]
    assert names_of(found.camera) == ["a", "a", "b"]
    assert found.told_by == "2 cameras from the first folder: a, b"
    assert found.examples() == [
        "a: 2 pictures, such as a/2.jpg, a/x/1.JPG",
        "b: 1 pictures, such as b/1.jpg",
    ]
    assert found.camera.counts().tolist() == [2, 1]
    assert "@eaDir (1)" in found.notes[0]
    assert found.path(0) == os.path.join(root, "a", "2.jpg")
    for labels in (found.tracklet, found.person_id, found.split):
        assert names_of(labels) == [None] * 3
    assert np.isnan(found.time).all()


def test_a_template_and_cameras_in_the_order_of_their_numbers(tmp_path):
    root = make(tmp_path, [f"{camera}/7/{camera}.jpg" for camera in ("10", "9", "door")])
    found = listing.read(root, "{camera}/{tracklet}/{*}.jpg")
    assert found.camera.names == ["9", "10", "door"]
    # Trackers count from one in every camera.
    assert names_of(found.tracklet) == ["10/7", "9/7", "door/7"]


def test_an_official_folder_with_its_splits(tmp_path):
    root = make(
        tmp_path,
        [
            "bounding_box_train/0002_c1s1_000451_03.jpg",
            "query/0005_c2s1_000451_03.jpg",
            "bounding_box_test/-1_c3s1_000451_03.jpg",
        ],
    )
    found = listing.read(root)
    assert found.official == "Market-1501"
    assert names_of(found.split) == ["gallery", "train", "query"]
    assert names_of(found.person_id) == ["-1", "0002", "0005"]
    assert names_of(found.camera) == ["3", "1", "2"]


def test_a_table(tmp_path):
    make(tmp_path / "crops", ["1.jpg", "2.jpg"])
    outside = make(tmp_path / "elsewhere", ["3.jpg"])
    table = tmp_path / "crops" / "site.csv"
    table.write_text(
        "file,camera,tracklet,time,person_id\n"
        "2.jpg,lift,7,2026-11-28T10:00:01,bob\n"
        "1.jpg,lift,7,2026-11-28T10:00:00,\n"
        f"{outside}/3.jpg,door,7,yesterday,bob\n"
    )
    found = listing.read(str(table))
    assert found.files == [f"{outside}/3.jpg", "1.jpg", "2.jpg"]
    assert names_of(found.camera) == ["door", "lift", "lift"]
    assert names_of(found.tracklet) == ["door/7", "lift/7", "lift/7"]
    assert names_of(found.person_id) == ["bob", None, "bob"]
    assert found.time[2] - found.time[1] == 1 and np.isnan(found.time[0])
    assert "1 times are no times, and count as unknown: 'yesterday'" in found.notes[0]
    assert [os.path.exists(found.path(row)) for row in range(3)] == [True] * 3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("12.5", 12.5),
        ("-3", -3.0),
        ("1970-01-01T00:01:00", 60.0),
        ("1970-01-01 01:01:00+01:00", 60.0),
        ("19700101T000100", 60.0),
    ],
)
def test_times(text, seconds):
    assert times.seconds(text) == seconds


@pytest.mark.parametrize("text", ["noon", "inf", "nan", "1e999", "2026-13-01", "9" * 9 + "-01-01"])
def test_no_times(text):
    assert np.isnan(times.seconds(text))


def test_missing_files_of_a_table(tmp_path):
    make(tmp_path, ["1.jpg"])
    table = tmp_path / "site.csv"
    table.write_text("file,camera\n1.jpg,a\n2.jpg,b\n")
    with pytest.raises(listing.ListingError, match=r"1 of 2 files are missing: .*2\.jpg"):
        listing.read(str(table))
    found = listing.read(str(table), skip_bad=True)
    assert found.files == ["1.jpg"] and "left out: 1 of 2 files are missing" in found.notes[0]


def test_a_template_that_is_like_half_of_the_paths(tmp_path):
    root = make(tmp_path, ["a/1.jpg", "a/b/2.jpg"])
    words = re.escape("1 of 2 pictures are not like names={camera}/{*}: a/b/2.jpg")
    with pytest.raises(listing.ListingError, match=words):
        listing.read(root, "{camera}/{*}")
    assert listing.read(root, "{camera}/{*}", skip_bad=True).files == ["a/1.jpg"]
    with pytest.raises(listing.ListingError, match="2 of 2 pictures are not like"):
        listing.read(root, "{camera}/x/y/{*}", skip_bad=True)


@pytest.mark.parametrize(
    ("files", "given", "words"),
    [
        ([], {}, "no pictures there"),
        (["@eaDir/1.jpg"], {}, "passed over, as hidden files, thumbnails or trash: @eaDir (1)"),
        (["a/1.jpg"], {"names": "{x}"}, "names={x}: names none of"),
        (["a_b_c.jpg"], {"names": "{*}_{camera}"}, "can be read in two ways"),
        (["1.jpg", "a/1.jpg", "b/1.jpg"], {}, "lie beside folders"),
    ],
)
def test_folders_that_can_not_be_used(tmp_path, files, given, words):
    root = make(tmp_path, files)
    with pytest.raises(listing.ListingError) as raised:
        listing.read(root, **given)
    assert str(raised.value).startswith(root) and words in str(raised.value)


def test_what_is_no_folder_and_no_table(tmp_path):
    (tmp_path / "x.txt").write_text("file\n")
    for path in ("x.txt", "missing"):
        with pytest.raises(listing.ListingError, match="neither a folder of pictures nor a table"):
            listing.read(str(tmp_path / path))
    table = tmp_path / "x.csv"
    table.write_text("file\nx.txt\n")
    with pytest.raises(listing.ListingError, match="no names"):
        listing.read(str(table), "{camera}/{*}")


def test_names_of_any_kind(tmp_path):
    odd = ["ca'me\"ra/1.jpg", "two\nlines/1.jpg", "Löbby 2/1.jpg", "x" * 200 + "/1.jpg", "A/1.jpg"]
    root = make(tmp_path, [*odd, "a/1.jpg"])
    os.mkdir(os.fsencode(root) + b"/\xff")
    with open(os.fsencode(root) + b"/\xff/1.jpg", "wb") as file:
        file.write(JPEG)
    found = listing.read(root)
    assert len(found) == len(found.camera.names) == 7
    assert "\udcff" in found.camera.names


def test_links_that_lead_back(tmp_path):
    root = make(tmp_path, ["a/1.jpg", "b/1.jpg"])
    os.symlink(root, os.path.join(root, "a", "again"))
    assert listing.read(root).files == ["a/1.jpg", "b/1.jpg"]


@pytest.mark.parametrize("number", silent_disk.ERRORS)
def test_a_drive_that_stops_is_neither_empty_nor_missing(tmp_path, monkeypatch, number):
    root = make(tmp_path / "drive", ["a/1.jpg", "b/1.jpg"])
    table = tmp_path / "site.csv"
    table.write_text(f"file,camera\n{root}/a/1.jpg,a\n{root}/b/1.jpg,b\n")
    words = re.escape(os.strerror(number)) + r"\); check its disk or network drive"
    for calls in (("stat",), ("stat", "open", "scandir")):
        with monkeypatch.context() as patch:
            silent_disk.below(root, number, patch, calls)
            for path in (root, str(table)):
                for skip_bad in (False, True):
                    with pytest.raises(listing.ListingError, match=words):
                        listing.read(path, skip_bad=skip_bad)
    # One folder of it is enough: what is left isn't what was meant.
    silent_disk.below(f"{root}/a", number, monkeypatch)
    for path in (root, str(table)):
        with pytest.raises(listing.ListingError, match=words):
            listing.read(path, skip_bad=True)


def test_camera_minus_one_is_none(tmp_path):
    found = listing.read(make(tmp_path, ["-1/1.jpg", "2/1.jpg"]), "{camera}/{*}")
    assert found.camera.names == ["2"] and found.camera.codes.tolist() == [-1, 0]
    [note] = found.notes
    assert note.startswith("camera -1 stands for an unknown one, so 1 pictures have no camera")


def test_paths_of_another_system_and_lines_without_end(tmp_path):
    make(tmp_path, ["a/1.jpg"])
    table = tmp_path / "site.csv"
    table.write_text("file,camera\na\\1.jpg,a\n")
    with pytest.raises(listing.ListingError, match=r"parts of paths end in /, not in \\$"):
        listing.read(str(table))
    for text in ("file\na/1.jpg\n" + "x" * 100_000 + "\n", "x" * 100_000 + "\na/1.jpg\n"):
        table.write_text(text)
        with pytest.raises(listing.ListingError, match=r"xxx\.\.\.") as raised:
            listing.read(str(table))
        assert len(str(raised.value)) < 1000
