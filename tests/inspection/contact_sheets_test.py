"""A contact sheet has evenly spread crops of one camera; no name breaks it."""

import numpy as np
import pytest
from PIL import Image

from arn_tf.inspection import command, contact_sheets
from arn_tf.ranking import fonts
from datasets.files.printable import printable
from tests.support.small_crops import crop, inspected, two_cameras, write


def cells(sheet):
    """The number of frames, told by the colour of their left edge."""
    frame = Image.new("RGB", (1, 1), contact_sheets._FRAME).getpixel((0, 0))
    width, height = contact_sheets._CELL
    found = 0
    for line in range(contact_sheets.ROWS):
        for column in range(contact_sheets.COLUMNS):
            left = contact_sheets._MARGIN + column * (width + contact_sheets._GAP)
            step = height + contact_sheets._CAPTION + contact_sheets._GAP
            place = (left + 2, contact_sheets._HEADER + line * step + height // 2)
            found += place[1] < sheet.height and sheet.getpixel(place) == frame
    return found


@pytest.mark.parametrize(("count", "shown"), [(3, 3), (50, 50), (170, 50)])
def test_a_sheet_has_as_many_crops_as_it_says(tmp_path, count, shown):
    # Narrow, so that frames show beside them.
    rows = contact_sheets._spread(np.arange(count))
    assert len(set(rows.tolist())) == shown and rows[0] == 0 and rows[-1] == count - 1
    for row in rows:
        crop(1, (20, 100)).save(tmp_path / f"{row}.png")
    sheet, number = contact_sheets.draw(
        "door", count, {str(tmp_path / f"{r}.png"): "" for r in rows}
    )
    assert number == cells(sheet) == shown


def test_a_sheet_for_each_camera_is_told(tmp_path, capsys):
    two_cameras(tmp_path / "crops")
    (tmp_path / "crops" / "in" / "bad.jpg").write_bytes(b"")
    json, sheets = tmp_path / "report.json", tmp_path / "new" / "sheets"
    assert command.inspect(str(tmp_path / "crops"), "", "", str(json), str(sheets)) == 0
    assert sorted(path.name for path in sheets.iterdir()) == ["001_in.jpg", "002_out.jpg"]
    assert f"contact sheets: 2 in {sheets}" in capsys.readouterr().out
    assert str(sheets / "002_out.jpg") in json.read_text()


def test_no_name_breaks_a_sheet(tmp_path):
    crop(1).save(tmp_path / "a.png")
    for name in ("Süd", "门口", "x" * 200, "a/../b", "", "line\nbreak", "w\udcff", "..", 'q"uote'):
        path = contact_sheets._safe(name)
        assert path.isascii() and "/" not in path and 0 < len(path) <= 60
        contact_sheets.draw(printable(name), 1, {str(tmp_path / "a.png"): printable(name)})
    assert contact_sheets._safe("Süd") == "Sud"


def test_a_picture_that_vanishes_is_left_out(tmp_path):
    crop(1).save(tmp_path / "a.png")
    files = {str(tmp_path / "a.png"): "a", str(tmp_path / "gone.png"): "gone"}
    assert contact_sheets.draw("door", 2, files)[1] == 1
    assert contact_sheets.draw("door", 2, {str(tmp_path / "gone.png"): "gone"})[1] == 0


def test_a_caption_leaves_out_what_all_share():
    assert contact_sheets._caption("door/t1/7.jpg", "door") == "t1/7"
    assert contact_sheets._caption("a_door_7.jpg", "door") == "a_door_7"
    assert contact_sheets._caption("w\udcff.jpg", None) == r"w\xff"


def test_crops_are_upright(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    crop(5, (128, 64)).save(tmp_path / "turned.jpg", exif=exif)
    small = contact_sheets._thumbnail(str(tmp_path / "turned.jpg"))
    assert small.size == contact_sheets._CELL


@pytest.mark.parametrize("text", ["door", "Süd", "门口", "…"])
def test_a_font_has_the_letters_of_its_text(text):
    shown, font = fonts.fitting(text, 20)
    assert len(shown) == len(text)
    assert fonts._has(font, shown)


def test_ascii_looks_the_same_on_every_machine():
    assert fonts.fitting("camera 1", 20)[1].getname()[0] == "Aileron"


def test_nothing_is_written_unasked(tmp_path):
    write(tmp_path / "crops", 40)
    before = sorted((tmp_path / "crops").iterdir())
    inspected(tmp_path / "crops")
    assert sorted((tmp_path / "crops").iterdir()) == before
    assert {path.name for path in tmp_path.iterdir()} == {"crops", "report.json"}
