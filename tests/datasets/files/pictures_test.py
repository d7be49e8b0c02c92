"""Every picture that people have becomes a JPEG or PNG with the pixels that they see."""

import contextlib
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from datasets.files import pictures
from datasets.files.pictures import PictureError, as_jpeg_or_png, size, thumbnail, upright
from tests.support import small_exif, small_pictures
from tests.support.places import SHARED
from tests.support.small_exif import ORIENTATIONS, app1, chunk, exif, jpeg, pixels, png
from tests.support.small_pictures import FORMATS, ROUGHLY, decoded, encoded


def seen(data: bytes) -> np.ndarray:
    """What TensorFlow makes of it, and with it the product."""
    return tf.io.decode_image(data, channels=3, expand_animations=False).numpy()


def saved(picture: Image.Image, form: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


# Formats.


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_keeps_its_pixels(form):
    data = encoded(form)
    found = as_jpeg_or_png(data)
    if form in ("jpeg", "mpo", "png", "apng"):
        assert found == upright(data) == data
    else:
        assert pictures.checked_kind(found) == "PNG"
        np.testing.assert_array_equal(seen(found), decoded(data))
    expected = decoded(encoded("pgm")) if form == "pgm" else pixels()
    assert np.abs(seen(found).astype(int) - expected).max() <= ROUGHLY.get(form, 0)
    assert size(data) == (40, 24)
    assert thumbnail(data, (20, 20)).size == (20, 12)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_sixteen_bits_become_the_upper_eight(form):
    values = np.random.default_rng(0).integers(0, 1 << 16, (24, 40), np.uint16)
    data = saved(Image.fromarray(values), form)
    grey = (values >> 8).astype(np.uint8)
    np.testing.assert_array_equal(seen(as_jpeg_or_png(data)), np.repeat(grey[..., None], 3, 2))
    np.testing.assert_array_equal(np.asarray(thumbnail(data, (40, 24)))[..., 0], grey)


@pytest.mark.parametrize("values", [np.full((4, 4), 0.5, "f4"), np.full((4, 4), 1 << 20, "i4")])
def test_numbers_that_have_no_grey_are_refused(values):
    with pytest.raises(PictureError, match="convert it to 8 bits"):
        as_jpeg_or_png(saved(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize("form", ["PNG", "GIF", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("mode", ["P", "PA", "1", "L", "LA", "RGBA"])
def test_palettes_and_transparency_leave_the_colours_below(form, mode):
    picture = Image.fromarray(pixels())
    alpha = Image.fromarray(np.mgrid[:24, :40][0].astype(np.uint8) + 100)
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    if form == "AVIF":
        options = {"quality": 100}
    if mode in ("P", "PA"):
        picture = picture.quantize(16)
        options["transparency"] = 3 if mode == "P" else bytes([0, 90, 200])
        if form not in ("PNG", "GIF") or (mode, form) == ("PA", "GIF"):
            pytest.skip("this format has none")
    else:
        picture = picture.convert(mode)
        if mode in ("LA", "RGBA"):
            picture.putalpha(alpha)
    if form == "GIF" and mode in ("LA", "RGBA"):
        pytest.skip("a GIF's transparency is all or nothing")
    expected = np.asarray(picture.convert("RGB"))
    found = seen(as_jpeg_or_png(saved(picture, form, **options)))
    difference = np.abs(found.astype(int) - expected)
    assert difference.mean() < 4 if form == "AVIF" else difference.max() == 0


@pytest.mark.parametrize("adobe", [True, False])
def test_inks_mean_to_pillow_what_they_mean_to_tensorflow(adobe):
    colours = np.random.default_rng(0).integers(0, 256, (3, 5, 4), np.uint8)
    picture = Image.fromarray(colours.repeat(8, 0).repeat(8, 1), "CMYK")
    data = saved(picture, "JPEG", quality=100)
    if not adobe:
        at = data.index(b"\xff\xee\x00\x0eAdobe")
        data = data[:at] + data[at + 16 :]
    turned = data[:2] + app1(exif(6)) + data[2:]
    expected = small_exif.turned(seen(data), 6).astype(int)
    assert np.abs(seen(upright(turned)) - expected).max() <= 2
    assert np.abs(np.asarray(thumbnail(turned, (24, 40))) - expected).max() <= 2
    assert upright(data) == data


def test_inks_of_a_tiff():
    picture = Image.fromarray(pixels()).convert("CMYK")
    found = seen(as_jpeg_or_png(saved(picture, "TIFF")))
    np.testing.assert_array_equal(found, np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("form", ["gif", "animated_webp", "apng", "mpo"])
def test_of_a_moving_picture_the_first_is_taken(form):
    assert Image.open(io.BytesIO(encoded(form))).n_frames == 2
    found = np.asarray(thumbnail(encoded(form), (40, 24))).astype(int)
    assert np.abs(found - pixels()).max() <= ROUGHLY.get(form, 0)


# Orientation.


@pytest.mark.parametrize("value", ORIENTATIONS)
@pytest.mark.parametrize("order", "<>")
def test_every_orientation_of_a_jpeg_and_a_png(value, order):
    for data in (jpeg(app1(exif(value, order))), png(chunk(b"eXIf", exif(value, order)))):
        assert as_jpeg_or_png(data) == data
        expected = small_exif.turned(decoded(data), value)
        found = upright(data)
        assert (found == data) == (value == 1)
        np.testing.assert_array_equal(decoded(found), expected)
        assert b"Exif\0\0" not in found or value == 1
        small = np.asarray(thumbnail(data, (40, 40)))
        np.testing.assert_array_equal(small, expected)


@pytest.mark.parametrize("value", ORIENTATIONS)
@pytest.mark.parametrize("form", ["webp", "avif", "tiff", "big_tiff"])
def test_every_orientation_of_other_formats(form, value):
    stored = decoded(encoded(form))
    information = Image.Exif()
    information[0x0112] = value
    kind, options = small_pictures._SAVED[form]
    data = saved(Image.fromarray(pixels()), kind, exif=information, **options)
    expected = small_exif.turned(stored, value)
    for found in (decoded(as_jpeg_or_png(data)), np.asarray(thumbnail(data, (40, 40)))):
        assert np.abs(found.astype(int) - expected).max() <= 2 * ROUGHLY.get(form, 0)


@pytest.mark.parametrize("what", small_exif.damaged_jpegs())
def test_a_picture_with_damaged_exif_is_as_it_is(what):
    data = small_exif.damaged_jpegs()[what]
    assert upright(data) == data
    np.testing.assert_array_equal(np.asarray(thumbnail(data, (40, 24))), decoded(data))


@pytest.mark.parametrize("what", small_exif.damaged())
def test_damaged_exif_of_other_formats_costs_no_picture(what):
    block = small_exif.damaged()[what]
    assert upright(png(chunk(b"eXIf", block))) == png(chunk(b"eXIf", block))
    data = saved(Image.fromarray(pixels()), "WEBP", lossless=True, exif=block or b"Exif\0\0")
    np.testing.assert_array_equal(seen(as_jpeg_or_png(data)), pixels())


def test_sixteen_bits_are_turned_too():
    values = np.random.default_rng(0).integers(0, 1 << 16, (24, 40), np.uint16)
    data = png(chunk(b"eXIf", exif(6)), image=Image.fromarray(values))
    grey = np.repeat((values >> 8).astype(np.uint8)[..., None], 3, 2)
    np.testing.assert_array_equal(seen(upright(data)), small_exif.turned(grey, 6))


def test_a_phones_crop():
    if not (SHARED / "cases" / "exif").exists():
        pytest.skip("needs shared/cases")
    turned, straight = (
        decoded(upright((SHARED / "cases" / "exif" / name).read_bytes())).astype(int)
        for name in ("orientation_6_c1.jpg", "upright_c1.jpg")
    )
    assert np.abs(turned - straight).mean() < 3


# What is refused.


@pytest.mark.parametrize("call", [as_jpeg_or_png, upright, size, lambda d: thumbnail(d, (9, 9))])
def test_what_is_no_picture_is_said(call):
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    for data, words in (
        (b"", "has no bytes"),
        (b"<html>404</html>", "not a picture, it looks like text"),
        (heic, r"it looks like a HEIC picture \(convert it to JPEG or PNG\)"),
        (bytes(pictures.MAX_BYTES + 1), "the limit is 33554432"),
        (bytes(100), "it looks like zeros"),
    ):
        with pytest.raises(PictureError, match=words):
            call(data)


@pytest.mark.parametrize("name", small_pictures.bombs())
def test_bombs_are_refused_before_they_are_decoded(name, monkeypatch):
    data = small_pictures.bombs()[name]
    assert len(data) < 100_000

    def load(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(Image.Image, "load", load)
    with pytest.raises(PictureError, match=r"pixels.*crop the person"):
        size(data)
    with pytest.raises(PictureError, match=r"pixels.*crop the person"):
        thumbnail(data, (64, 64))
    if pictures.checked_kind(data) not in ("JPEG", "PNG"):
        with pytest.raises(PictureError, match=r"pixels.*crop the person"):
            as_jpeg_or_png(data)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("part", [0.03, 0.5, 0.9])
def test_cut_pictures_are_no_other_error(form, part):
    data = encoded(form, Image.fromarray(small_exif.pixels(60, 90)))
    cut = data[: max(int(len(data) * part), 3)]
    if form in ("mpo", "apng", "gif", "animated_webp") and part == 0.9:
        cut = cut[: len(data) // 3]  # what is left may be a whole first picture
    with pytest.raises(PictureError) as caught:
        thumbnail(cut, (9, 9))
    assert "object at" not in str(caught.value)
    if form not in ("jpeg", "mpo", "png", "apng"):
        with pytest.raises(PictureError):
            as_jpeg_or_png(cut)


@pytest.mark.parametrize("form", FORMATS)
def test_no_damage_is_another_error(form):
    data, random = encoded(form), np.random.default_rng(0)
    for _ in range(60):
        at = random.integers(3, min(len(data), 400))
        damaged = data[:at] + random.bytes(4) + data[at + 4 :]
        for call in (upright, as_jpeg_or_png, size, lambda d: thumbnail(d, (9, 9))):
            with contextlib.suppress(PictureError):
                call(damaged)
