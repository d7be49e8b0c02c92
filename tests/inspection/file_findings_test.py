"""Files that can't be read, can't be placed, or are decoded anew: counted, named, explained."""

import os

import pytest
from PIL import Image

from arn_tf.inspection.facts import Problem, facts_of
from tests.support.small_crops import crop, inspected, two_cameras


@pytest.fixture
def folder(tmp_path):
    two_cameras(tmp_path / "crops")
    return tmp_path / "crops"


def cut(path):
    crop(5, (64, 128)).save(path, quality=95)
    os.truncate(path, path.stat().st_size // 2)


BAD = {
    "empty": lambda path: path.write_bytes(b""),
    "damaged": cut,
    "heic": lambda path: path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(60)),
    "not_a_picture": lambda path: path.write_text("a page that says: not found"),
    "too_large": lambda path: Image.new("1", (5000, 4000)).save(path, "PNG"),
    "gone": lambda path: path.symlink_to("nowhere.jpg"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_found(folder, name):
    BAD[name](folder / "in" / "bad.jpg")
    told = inspected(folder)
    finding = told["findings"][name]
    assert (finding["count"], finding["examples"]) == (1, ["in/bad.jpg"])
    assert finding["level"] == "harms" and finding["causes"] and finding["do"]
    assert (told["pictures"], told["readable"], told["status"]) == (81, 80, 0)
    assert not (BAD.keys() - {name}) & told["findings"].keys()


def test_a_pipe_does_not_make_it_wait(folder):
    os.mkfifo(folder / "in" / "pipe.jpg")
    told = inspected(folder)
    assert told["pictures"] == 80 and any("pipe.jpg" in note for note in told["notes"])


def test_what_can_not_be_opened_is_unreachable():
    assert facts_of("x" * 300)["problem"] == Problem.UNREACHABLE


def test_photographs_that_are_passed_over_are_told(folder):
    (folder / "out" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(60))
    (folder / "out" / "notes.txt").write_text("no photograph")
    finding = inspected(folder)["findings"]["undecodable"]
    assert (finding["count"], finding["examples"]) == (1, ["out/IMG_1.HEIC"])


def test_pictures_unlike_the_template_are_left_out_and_told(folder):
    crop(1).save(folder / "stray.jpg")
    told = inspected(folder, "{camera}/{*}")
    assert told["findings"]["left_out"]["examples"] == ["stray.jpg"]
    assert (told["pictures"], told["status"]) == (80, 0)


def test_rows_of_a_table_without_a_file_are_left_out_and_told(folder):
    table = folder / "table.csv"
    rows = [f"in/{path.name},in" for path in sorted((folder / "in").iterdir())]
    table.write_text("\n".join(["file,camera", *rows, "in/gone.jpg,in"]))
    told = inspected(table)
    assert told["findings"]["left_out"]["examples"] == ["in/gone.jpg"]
    assert told["pictures"] == 40


def test_other_formats_are_counted(folder):
    crop(5).save(folder / "in" / "a.bmp")
    crop(6).save(folder / "in" / "b.webp")
    finding = inspected(folder)["findings"]["other_formats"]
    assert finding["count"] == 2 and finding["level"] == "note"
    assert "BMP, WEBP" in finding["what"]


def test_turned_pictures_are_counted_and_measured_upright(folder):
    exif = Image.Exif()
    exif[0x112] = 6
    crop(5, (128, 64)).save(folder / "in" / "turned.jpg", exif=exif)
    told = inspected(folder)
    assert told["findings"]["turned"]["examples"] == ["in/turned.jpg"]
    assert "wide" not in told["findings"]
    assert told["cameras"][0]["largest"] == [64, 128]
