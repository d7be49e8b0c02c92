"""A user's folder or table as a data set of a run."""

import dataclasses
import errno
import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from arn_tf.data import own_record, picture_files
from arn_tf.data.own_data import OwnData, Place
from arn_tf.data.picture_files import PictureFiles
from datasets import camera_names
from datasets.own_cameras import listing
from tests.support import own_pictures, silent_disk
from tests.support.shared_folders import read_only
from tests.support.user_errors import refused


@pytest.fixture
def place(tmp_path):
    return Place(str(tmp_path / "run" / "pictures"), begun=False)


def folder(tmp_path, **more):
    files = {
        f"{camera}/{number}.png": own_pictures.encoded(10 * row + number)
        for row, camera in enumerate(("7", "lift"))
        for number in range(3)
    }
    return own_pictures.write(tmp_path / "crops", files | more)


def test_the_pictures_their_cameras_and_no_copy(tmp_path, place):
    root = folder(tmp_path)
    data = OwnData("target", root, "", False, own_pictures.SIZE, place)
    split = data.split("train")
    lift = camera_names.number_of("lift")
    assert (data.name, len(split)) == ("crops", 6)
    assert split.file_name == [f"{camera}/{n}.png" for camera in ("7", "lift") for n in range(3)]
    assert split.camera_id.tolist() == [7] * 3 + [lift] * 3
    assert split.camera_names == {lift: "lift"}
    assert [split.camera(0), split.camera(3)] == ["c7", "lift"]
    assert split.person_id.tolist() == [-1] * 6 and split.tracklet is None and split.time is None
    for row, seed in enumerate([0, 1, 2, 10, 11, 12]):
        np.testing.assert_array_equal(split.pictures[row], own_pictures.pixels(seed))
        assert split.images[row] == own_pictures.encoded(seed)
    assert isinstance(split.pictures, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        split.pictures[0] = 0
    assert data.told()[0] == "target crops: 6 pictures, 2 cameras from the first folder: 7, lift"
    # The folder is as it was.
    assert sorted(os.listdir(root)) == ["7", "lift"]


def test_a_run_that_goes_on_compares_its_pictures_without_reading_them(
    tmp_path, place, monkeypatch
):
    root = folder(tmp_path)
    made = OwnData("target", root, "", False, own_pictures.SIZE, place).split("train")
    expected = [picture_files.content_hash(own_pictures.encoded(n)) for n in (0, 1, 2, 10, 11, 12)]
    assert made.content_hashes() == expected
    monkeypatch.setattr(PictureFiles, "_read", None)  # not called
    again = OwnData(
        "target", root, "", False, own_pictures.SIZE, dataclasses.replace(place, begun=True)
    ).split("train")
    assert again.content_hashes() == expected
    assert again.subset(np.array([4, 0])).content_hashes() == [expected[4], expected[0]]


def test_a_record_of_before_its_numbers_were_packed_is_still_read(tmp_path):
    root = folder(tmp_path)
    found = dataclasses.replace(
        listing.read(root, "{camera}/{time}.png"), time=np.array([0, 1.5, np.nan, 1, 2, 3])
    )
    stamps = picture_files.stamps(found.root, found.files)
    own_record.kept(path := str(tmp_path / "new.json"), found, stamps, begun=False)
    content = {
        "root": found.root,
        "told_by": found.told_by,
        "official": "",
        "files": found.files,
        "time": [0.0, 1.5, None, 1.0, 2.0, 3.0],
        "stamps": stamps.tolist(),
        "camera": {"names": ["7", "lift"], "codes": [0, 0, 0, 1, 1, 1]},
        **{name: {"names": [], "codes": [-1] * 6} for name in ("tracklet", "person_id", "split")},
    }
    (tmp_path / "old.json").write_text(json.dumps(content))
    for each in (path, str(tmp_path / "old.json")):
        known, stamps_known = own_record.known(each)
        np.testing.assert_array_equal(stamps_known, stamps)
        np.testing.assert_array_equal(known.time, found.time)
        np.testing.assert_array_equal(known.camera.codes, [0, 0, 0, 1, 1, 1])
        assert (known.files, known.camera.names) == (found.files, ["7", "lift"])
        assert known.tracklet.codes.tolist() == [-1] * 6 and known.camera.codes.dtype == np.int32


def test_persons_tracklets_and_times(tmp_path, place):
    files = {f"{n}.png": own_pictures.encoded(n) for n in range(3)}
    own_pictures.write(tmp_path, files)
    table = tmp_path / "site.csv"
    table.write_text(
        "file,camera,tracklet,time,person_id\n0.png,1,a,5,bob\n1.png,1,a,6,amy\n2.png,,,,\n"
    )
    split = OwnData("target", str(table), "", False, own_pictures.SIZE, place).split("train")
    assert split.person_id.tolist() == [2, 1, -1]  # amy, bob
    assert split.camera_id.tolist() == [1, 1, -1]
    assert split.tracklet.tolist() == [0, 0, -1]
    assert split.time[:2].tolist() == [5, 6] and np.isnan(split.time[2])
    source = OwnData("source", str(table), "", False, own_pictures.SIZE, place)
    assert source.split("train").file_name == ["0.png", "1.png"]
    assert source.notes == ["1 pictures of no known person are left out"]


def test_a_source_without_persons(tmp_path, place):
    data = OwnData("source", folder(tmp_path), "", False, own_pictures.SIZE, place)
    with refused(r"source crops: no picture's person is known.*--source_names="):
        data.split("train")


def test_an_official_folder(tmp_path, place):
    files = {
        "bounding_box_train/0002_c1s1_000451_03.jpg": own_pictures.encoded(0, "JPEG"),
        "bounding_box_test/-1_c3s1_000451_03.jpg": own_pictures.encoded(1, "JPEG"),
        "query/0005_c2s1_000451_03.jpg": own_pictures.encoded(2, "JPEG"),
        "more/0005_c1s1_000451_03.jpg": own_pictures.encoded(3, "JPEG"),
    }
    data = OwnData(
        "target", own_pictures.write(tmp_path / "m", files), "", False, own_pictures.SIZE, place
    )
    found = {name: data.split(name) for name in ("train", "query", "gallery")}
    persons = {name: split.person_id.tolist() for name, split in found.items()}
    # Of the names -1, 0002 and 0005; what lies in none of these folders is to learn from.
    assert persons == {"train": [1, 2], "query": [2], "gallery": [-1]}


def test_persons_of_two_folders_are_the_same_by_name(tmp_path):
    numbers = {}
    found = {}
    for name, persons in (("query", "ac"), ("gallery", "cb")):
        files = {f"{person}_1.png": own_pictures.encoded(0) for person in persons}
        root = own_pictures.write(tmp_path / name, files)
        data = OwnData(
            name, root, "{person_id}_{camera}", False, own_pictures.SIZE, persons=numbers
        )
        found[name] = dict(zip(data.listing.files, data.split("train").person_id, strict=True))
    assert found == {"query": {"a_1.png": 1, "c_1.png": 2}, "gallery": {"b_1.png": 3, "c_1.png": 2}}


def test_there_is_no_query_without_one(tmp_path, place):
    data = OwnData("target", folder(tmp_path), "", False, own_pictures.SIZE, place)
    assert [data.has_split(name) for name in ("train", "query")] == [True, False]
    with refused("target crops: has no pictures for query"):
        data.split("query")


BAD = {
    "lift/cut.png": own_pictures.encoded(5)[:60],
    "lift/empty.jpg": b"",
    "lift/text.jpg": b"no picture at all",
}


def test_bad_pictures_are_named_or_left_out(tmp_path, place):
    root = folder(tmp_path, **BAD)
    with refused(r"--target.*3 of 9 pictures can't be used: .*cut\.png.*empty\.jpg.*--skip_bad"):
        OwnData("target", root, "", False, own_pictures.SIZE, place).split("train")
    data = OwnData("target", root, "", True, own_pictures.SIZE, place)
    split = data.split("train")
    assert len(split) == len(split.pictures) == len(split.camera_id) == 6
    np.testing.assert_array_equal(split.pictures[5], own_pictures.pixels(12))
    assert split.images[5] == own_pictures.encoded(12)
    assert "left out: 3 of 9 pictures" in data.notes[-1]


def test_without_a_place_nothing_is_kept(tmp_path, place):
    root = folder(tmp_path, **BAD)
    data = OwnData("query", root, "", True, own_pictures.SIZE)
    kept = OwnData("query", root, "", True, own_pictures.SIZE, place).split("train")
    found = data.split("train")
    np.testing.assert_array_equal(found.pictures, kept.pictures)
    assert found.file_name == kept.file_name
    assert os.listdir(tmp_path / "run" / "pictures") and not isinstance(found.pictures, np.memmap)


def test_all_bad(tmp_path, place):
    root = own_pictures.write(tmp_path / "crops", {"a.jpg": b"x", "b.jpg": b""})
    with refused("2 of 2 pictures can't be used"):
        OwnData("target", root, "", True, own_pictures.SIZE, place).split("train")


@pytest.mark.parametrize(
    ("path", "names", "words"),
    [
        ("nothing", "", "--target=.*nothing.* neither a folder of pictures nor a table"),
        ("crops", "{camera}/x/{*}", "--target=.*6 of 6 pictures are not like .*names="),
    ],
)
def test_what_can_not_be_read(tmp_path, place, path, names, words):
    folder(tmp_path)
    with refused(words):
        OwnData("target", str(tmp_path / path), names, False, own_pictures.SIZE, place)


def test_two_names_of_one_number(tmp_path, place):
    files = {f"{camera}/1.png": own_pictures.encoded(0) for camera in ("1", "01")}
    with refused("cameras '01' and '1' have one number|cameras '1' and '01' have one number"):
        OwnData(
            "target",
            own_pictures.write(tmp_path / "crops", files),
            "",
            False,
            own_pictures.SIZE,
            place,
        )


def test_a_run_goes_on_with_what_it_began_with(tmp_path, place):
    root = folder(tmp_path)
    first = OwnData("target", root, "", False, own_pictures.SIZE, place)
    before = first.split("train")
    begun = dataclasses.replace(place, begun=True)
    same = OwnData("target", root, "", False, own_pictures.SIZE, begun)
    assert same.notes == [] and same.split("train").digest == before.digest
    os.remove(f"{root}/7/0.png")
    own_pictures.write(tmp_path / "crops", {"roof/1.png": own_pictures.encoded(77)})
    with open(f"{root}/lift/1.png", "ab") as file:
        file.write(b"more")
    later = OwnData("target", root, "", False, own_pictures.SIZE, begun)
    assert later.notes == [
        "1 pictures were added (roof/1.png); 1 pictures were removed (7/0.png); 1 pictures were "
        "changed (lift/1.png) since the run began. It goes on with the pictures that it began "
        "with; to learn from those of now, name another model_dir"
    ]
    after = later.split("train")
    assert after.digest == before.digest and after.file_name == before.file_name
    np.testing.assert_array_equal(after.pictures, before.pictures)
    # One that hasn't begun takes what is there.
    fresh = OwnData("target", root, "", False, own_pictures.SIZE, place)
    assert fresh.split("train").file_name[-1] == "roof/1.png"


@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO])
def test_pictures_that_can_be_read_again_are_not_left_out(tmp_path, place, monkeypatch, error):
    root = folder(tmp_path)

    def opened(skip_bad, place=place):
        data = OwnData("target", root, "", skip_bad, own_pictures.SIZE, place)
        return data.split("train")

    with monkeypatch.context() as patch:
        silent_disk.below(f"{root}/lift/1.png", error, patch, ("open",))
        with refused(r"1 of 6 pictures can't be used: .*lift/1\.png: can't be read"):
            opened(False)
        assert len(opened(True)) == 5
        # Somebody has learnt from the five.
        assert len(opened(True, dataclasses.replace(place, begun=True))) == 5
    assert len(opened(True, dataclasses.replace(place, begun=True))) == 5
    assert len(opened(False)) == len(opened(True)) == 6


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("number", silent_disk.ERRORS)
def test_a_drive_that_stops_while_it_is_decoded(tmp_path, place, monkeypatch, number, skip_bad):
    root = folder(tmp_path)
    for where in (place, None):
        data = OwnData("target", root, "", skip_bad, own_pictures.SIZE, where)
        with monkeypatch.context() as patch:
            silent_disk.below(root, number, patch)
            with refused("its folder went away. Check the disk or network drive"):
                data.split("train")
        assert len(OwnData("target", root, "", False, own_pictures.SIZE, where).split("train")) == 6


def test_a_run_goes_on_without_its_folder(tmp_path, place):
    root = folder(tmp_path)
    before = OwnData("target", root, "", False, own_pictures.SIZE, place).split("train")
    begun = dataclasses.replace(place, begun=True)
    expected = [np.asarray(Image.open(io.BytesIO(image))) for image in before.images]

    def goes_on(words):
        data = OwnData("target", root, "", False, own_pictures.SIZE, begun)
        [note] = data.notes
        assert words in note and ("The run goes on" in note or "It goes on" in note)
        after = data.split("train")
        assert after.digest == before.digest and after.file_name == before.file_name
        np.testing.assert_array_equal(after.pictures, before.pictures)
        for image, pixels in zip(after.images, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(image))), pixels)
        assert len(after.content_hashes()) == 6
        part = after.subset(np.array([5, 2]))
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(part.images[0]))), expected[5]
        )

    # A picture that isn't like the others, one that changed, one that is gone.
    own_pictures.write(tmp_path / "crops", {"lists.png": own_pictures.encoded(9)})
    goes_on("1 of its pictures lie beside folders")
    os.remove(f"{root}/lists.png")
    own_pictures.write(tmp_path / "crops", {"7/1.png": own_pictures.encoded(9, "BMP")})
    goes_on("1 pictures were changed (7/1.png)")
    os.remove(f"{root}/7/1.png")
    goes_on("1 pictures were removed (7/1.png)")
    os.rename(root, f"{root}_moved")
    goes_on("neither a folder of pictures nor a table")
    os.mkdir(root)
    goes_on("no pictures there")


def test_a_run_that_has_not_begun_needs_its_folder(tmp_path, place):
    root = folder(tmp_path)
    OwnData("target", root, "", False, own_pictures.SIZE, place).split("train")
    os.rename(root, f"{root}_moved")
    with refused("neither a folder of pictures nor a table"):
        OwnData("target", root, "", False, own_pictures.SIZE, place)


def test_what_a_source_means_is_said_with_its_own_flag(tmp_path, place):
    root = folder(tmp_path, **{"1.png": own_pictures.encoded(1)})
    with refused(r"say what the paths mean with --source_names, such as --source_names={camera}"):
        OwnData("source", root, "", False, own_pictures.SIZE, place)
    with refused(r"1 of 7 pictures are not like --source_names={camera}/{\*}: 1\.png"):
        OwnData("source", root, "{camera}/{*}", False, own_pictures.SIZE, place)


def test_digits_that_are_no_numbers_keep_their_names(tmp_path, place):
    names = ["²", "9" * 30, "١", "0", "07"]
    files = {f"{name}/1.png": own_pictures.encoded(row) for row, name in enumerate(names)}
    root = own_pictures.write(tmp_path / "crops", files)
    split = OwnData("target", root, "", False, own_pictures.SIZE, place).split("train")
    shown = [split.camera(row) for row in range(len(split))]
    assert sorted(shown) == sorted(["²", "9" * 30, "١", "c0", "c7"])


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
def test_no_room_for_the_list_of_the_pictures(tmp_path, place, monkeypatch, error):
    root = folder(tmp_path)

    def fails(*_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(own_record, "replace_text", fails)
    with refused(r"target\.json: can't be written \(.*\)\. Name a --model_dir with room"):
        OwnData("target", root, "", False, own_pictures.SIZE, place)


def test_a_run_to_be_read_alone_that_has_no_record(tmp_path, capsys):
    root = folder(tmp_path)
    (tmp_path / "run").mkdir()
    place = Place(str(tmp_path / "run" / "pictures"), begun=True)
    with read_only(tmp_path / "run"):
        split = OwnData("target", root, "", False, own_pictures.SIZE, place).split("train")
    np.testing.assert_array_equal(split.pictures[1], own_pictures.pixels(1))
    assert "target.json can't be written (" in capsys.readouterr().out
