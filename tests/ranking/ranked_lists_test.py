"""Pictures of ranked lists: size, borders where they belong, letterboxes, bad pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from arn_tf.ranking import ranked_lists
from arn_tf.ranking.ranked_lists import BORDER, NEUTRAL, RIGHT, WRONG, Row, Thumbnail
from tests.support import small_exif, small_pictures

BLUE = (20, 40, 230)


def picture(
    size: tuple[int, int] = (64, 128),
    colour: tuple[int, int, int] = BLUE,
    mode: str = "RGB",
    encoding: str = "PNG",
) -> bytes:
    """Returns an encoded picture of one colour; size is (width, height)."""
    data = io.BytesIO()
    Image.new("RGB", size, colour).convert(mode).save(data, encoding)
    return data.getvalue()


def row(flags: str, image: bytes | None = None, caption: str = "0.93\ncamera 2") -> Row:
    """Returns a query whose gallery pictures are right ("1") and wrong ("0") in this order."""
    image = image or picture()
    gallery = [Thumbnail(image, caption, flag == "1") for flag in flags]
    return Row(Thumbnail(image, "0042\ncamera 1", None), gallery)


def boxes(image: Image.Image, colour: tuple[int, int, int]) -> list[tuple[int, int, int, int]]:
    """Returns (left, top, right, bottom) of each separate area of this colour, left to right."""
    found = np.all(np.asarray(image) == colour, axis=-1)
    columns = np.flatnonzero(found.any(axis=0))
    result = []
    for run in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
        rows = np.flatnonzero(found[:, run].any(axis=1))
        result.append((int(run[0]), int(rows[0]), int(run[-1]) + 1, int(rows[-1]) + 1))
    return result


def test_borders_are_where_they_belong():
    image = ranked_lists.draw([row("10")])
    (query,), (right,), (wrong,) = (boxes(image, colour) for colour in (NEUTRAL, RIGHT, WRONG))
    for box in (query, right, wrong):
        assert box[2] - box[0] == 64 + 2 * BORDER
        assert box[3] - box[1] == 128 + 2 * BORDER
        assert box[1] == query[1]
    assert query[2] < right[0] and right[2] < wrong[0]
    insides = boxes(image, BLUE)
    assert insides == [
        (left + BORDER, top + BORDER, right - BORDER, bottom - BORDER)
        for left, top, right, bottom in (query, right, wrong)
    ]


def test_size_grows_with_rows_columns_and_thumbnails():
    one = ranked_lists.draw([row("1")])
    assert one.mode == "RGB"
    wide = ranked_lists.draw([row("1"), row("1010101010")])
    column = ranked_lists.draw([row("10")]).width - one.width
    assert wide.width == one.width + 9 * column
    assert column > 64 + 2 * BORDER
    assert 128 + 2 * BORDER < wide.height - one.height < 200
    assert ranked_lists.draw([row("1")], header="a run").height > one.height
    large = ranked_lists.draw([row("1")], width=128, height=256)
    assert (large.width - one.width, large.height - one.height) == (2 * 64, 128)


def test_query_without_gallery_and_without_caption():
    image = ranked_lists.draw([Row(Thumbnail(picture(), "", None), [])])
    assert len(boxes(image, NEUTRAL)) == 1
    assert np.asarray(image).dtype == np.uint8
    assert np.asarray(image).shape == (image.height, image.width, 3)


@pytest.mark.parametrize(
    ("size", "inside"),
    [
        ((32, 64), (64, 128)),
        ((400, 100), (64, 16)),
        ((10, 1000), (1, 128)),
        ((5000, 1), (64, 1)),
        ((1, 1), (64, 64)),
    ],
)
def test_pictures_are_letterboxed(size, inside):
    image = ranked_lists.draw([Row(Thumbnail(picture(size), "", None), [])])
    (box,), (border,) = boxes(image, BLUE), boxes(image, NEUTRAL)
    assert (box[2] - box[0], box[3] - box[1]) == inside
    for axis in (0, 1):  # in the middle, to half a pixel
        assert abs(box[axis] + box[axis + 2] - border[axis] - border[axis + 2]) <= 1


@pytest.mark.parametrize(("mode", "encoding"), [("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG")])
def test_any_kind_of_picture(mode, encoding):
    image = picture(colour=(90, 90, 90), mode=mode, encoding=encoding)
    drawn = np.asarray(ranked_lists.draw([row("", image)]))
    assert np.any(np.all(np.abs(drawn.astype(int) - 90) <= 2, axis=-1))


def test_pictures_are_drawn_upright():
    data = small_exif.png(small_exif.chunk(b"eXIf", small_exif.exif(6)))
    straight = io.BytesIO()
    Image.fromarray(small_exif.turned(small_exif.pixels(), 6)).save(straight, "PNG")
    turned, expected = (
        np.asarray(ranked_lists.draw([row("1", picture)]))
        for picture in (data, straight.getvalue())
    )
    np.testing.assert_array_equal(turned, expected)


@pytest.mark.parametrize("name", small_pictures.bombs())
def test_a_bomb_is_named(name):
    with pytest.raises(ValueError, match=r"query 0: these bytes are not .* pixels"):
        ranked_lists.draw([Row(Thumbnail(small_pictures.bombs()[name], "", None), [])])


def test_text_is_drawn_and_cut_to_its_column():
    short, long = (
        np.asarray(ranked_lists.draw([row("11", caption=text)], header=text)).min(axis=-1)
        for text in ("", "a caption much wider than its thumbnail " * 9 + "\ncamera 2")
    )
    assert (long < 60).sum() > (short < 60).sum() + 100
    # The columns between two thumbnails stay blank below the pictures.
    image = ranked_lists.draw([row("11", caption="W" * 99)])
    (first, second) = boxes(image, RIGHT)
    assert np.all(np.asarray(image)[first[3] :, first[2] : second[0]] == 255)


@pytest.mark.parametrize(
    "data", [b"", b"not a picture", picture(encoding="JPEG")[:300], picture()[:60]]
)
def test_unreadable_picture_is_named(data):
    broken = Row(row("1").query, [Thumbnail(picture(), "", True), Thumbnail(data, "", True)])
    with pytest.raises(ValueError, match="query 1, gallery picture 2: these bytes are not"):
        ranked_lists.draw([row("1"), broken])
    with pytest.raises(ValueError, match="query 0: these bytes are not"):
        ranked_lists.draw([Row(Thumbnail(data, "", None), [])])


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="queries is empty"):
        ranked_lists.draw([])
    with pytest.raises(ValueError, match="at least 1 pixel, not 0 x 128"):
        ranked_lists.draw([row("1")], width=0)
