"""The EXIF orientation as Python reads it; tests/data/orientation_test.py compares the graph."""

import io

import pytest
from PIL import Image

from datasets.files import orientation
from tests.support import small_exif
from tests.support.small_exif import ORIENTATIONS, app1, chunk, exif, jpeg, png


@pytest.mark.parametrize("value", ORIENTATIONS)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_what_pillow_writes(value, form):
    information = Image.Exif()
    information[0x010E] = "a description"
    information[0x0112] = value
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, form, exif=information)
    if form == "WEBP":
        assert orientation.of_exif(Image.open(stream).info["exif"]) == value
    else:
        assert orientation.of(stream.getvalue()) == value


@pytest.mark.parametrize("value", ORIENTATIONS)
@pytest.mark.parametrize("order", "<>")
def test_both_byte_orders(value, order):
    assert orientation.of(jpeg(app1(exif(value, order)))) == value
    assert orientation.of(png(chunk(b"eXIf", exif(value, order)), last=True)) == value


@pytest.mark.parametrize("what", small_exif.damaged())
def test_damage_is_upright(what):
    assert orientation.of_exif(small_exif.damaged()[what]) == 1


@pytest.mark.parametrize("what", small_exif.damaged_jpegs())
def test_a_damaged_jpeg_is_upright(what):
    assert orientation.of(small_exif.damaged_jpegs()[what]) == 1
