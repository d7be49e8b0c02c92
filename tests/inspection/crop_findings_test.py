"""Crops that show no whole person, and crops that are there twice."""

import shutil

import pytest
from PIL import Image

from tests.support.small_crops import crop, inspected, two_cameras, write


@pytest.fixture
def folder(tmp_path):
    two_cameras(tmp_path / "crops")
    return tmp_path / "crops"


SHAPES = {
    "tiny": lambda: crop(1, (15, 60)),
    "blank": lambda: Image.new("RGB", (32, 64), (200, 30, 30)),
    "wide": lambda: crop(1, (64, 64)),
    "tall": lambda: crop(1, (20, 101)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_crop_that_is_no_person_is_found(folder, name):
    SHAPES[name]().save(folder / "out" / "odd.png")
    findings = inspected(folder)["findings"]
    assert (findings[name]["count"], findings[name]["examples"]) == (1, ["out/odd.png"])
    assert findings[name]["level"] == "harms"
    assert not (SHAPES.keys() - {name}) & findings.keys()


def test_good_crops_have_none_of_that(folder):
    crop(501, (16, 32)).save(folder / "out" / "least.png")
    crop(502, (20, 100)).save(folder / "out" / "tall.png")
    # A night picture: dark, and yet of more than one colour.
    crop(503).point(lambda value: value // 8).save(folder / "out" / "dark.png")
    assert inspected(folder)["findings"].keys() == {"few_pictures", "small_cameras"}


def test_copies_in_one_camera_are_a_note(folder):
    shutil.copy(folder / "in" / "0003.jpg", folder / "in" / "again.jpg")
    shutil.copy(folder / "in" / "0003.jpg", folder / "in" / "and_again.jpg")
    findings = inspected(folder)["findings"]
    assert findings["copies"]["level"] == "note" and findings["copies"]["count"] == 2
    assert findings["copies"]["examples"][0] == "in/again.jpg = in/0003.jpg"
    assert "copies_across_cameras" not in findings
    assert "near_copies_across_cameras" not in findings


def test_copies_in_two_cameras_are_named_apart(folder):
    shutil.copy(folder / "in" / "0003.jpg", folder / "out" / "again.jpg")
    findings = inspected(folder)["findings"]
    finding = findings["copies_across_cameras"]
    assert (finding["count"], finding["level"]) == (1, "harms")
    assert finding["examples"] == ["out/again.jpg = in/0003.jpg"]
    assert not {"copies", "near_copies_across_cameras"} & findings.keys()


@pytest.mark.parametrize("how", ["quality", "format", "size"])
def test_a_picture_saved_anew_for_another_camera_is_a_near_copy(folder, how):
    with Image.open(folder / "in" / "0003.jpg") as picture:
        if how == "quality":
            picture.save(folder / "out" / "anew.jpg", quality=60)
        elif how == "format":
            picture.save(folder / "out" / "anew.png")
        else:
            picture.resize((48, 96)).save(folder / "out" / "anew.jpg", quality=90)
    finding = inspected(folder)["findings"]["near_copies_across_cameras"]
    assert finding["count"] == 1
    assert set(finding["examples"][0].split(" = ")) == {"in/0003.jpg", next_name(folder)}


def next_name(folder):
    return f"out/{next((folder / 'out').glob('anew.*')).name}"


def test_near_copies_in_one_camera_are_a_share(folder):
    with Image.open(folder / "in" / "0003.jpg") as picture:
        picture.save(folder / "in" / "anew.png")
    told = inspected(folder)
    assert "near_copies_across_cameras" not in told["findings"]
    assert told["near_within"] == pytest.approx(2 / 81, abs=1e-4)


def test_pictures_of_the_source_are_found(folder, tmp_path):
    write(tmp_path / "source" / "person", 3, 38)  # 38 and 39 are those of "in"
    finding = inspected(folder, source=str(tmp_path / "source"))["findings"]["in_source"]
    assert (finding["count"], finding["level"]) == (2, "harms")
    assert finding["examples"] == ["in/0038.jpg", "in/0039.jpg"]


def test_a_source_that_shares_nothing_is_no_finding(folder, tmp_path):
    write(tmp_path / "source", 3, 500)
    told = inspected(folder, source=str(tmp_path / "source"))
    assert "in_source" not in told["findings"]
    assert "3 pictures were compared" in told["source"]


def test_pictures_of_several_sources_are_found(folder, tmp_path):
    write(tmp_path / "one" / "person", 3, 38)
    write(tmp_path / "two", 3, 500)
    given = f"toy_market,{tmp_path / 'one'},{tmp_path / 'two'}"
    told = inspected(folder, source=given)
    assert told["findings"]["in_source"]["count"] == 2
    assert "arn_tf.train compares it" in told["source"]
    assert told["source"].count("its 3 pictures were compared") == 2
    assert inspected(folder, source="none")["source"] == ""


def test_a_source_by_name_says_who_compares_it(folder):
    assert "arn_tf.train compares it" in inspected(folder, source="toy_market")["source"]
