"""Draws ranked lists: a query picture and its first gallery pictures, one query per line.

A right gallery picture has a green border, a wrong one a red border. The result can be saved as a
file and, as `numpy.asarray(image)` (uint8 [height, width, 3]), be an image summary of TensorBoard.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw

from arn_tf.ranking import fonts
from datasets.files import pictures

RIGHT = (0, 170, 85)
WRONG = (208, 32, 48)
NEUTRAL = (140, 148, 160)

BORDER = 3
_BACKGROUND = (255, 255, 255)
_LETTERBOX = (225, 225, 225)
_INK = (30, 30, 30)
_GAP = 6
_FONT_SIZE = 12
_LINE = 15


@dataclasses.dataclass(frozen=True)
class Thumbnail:
    """One picture of a list.

    Attributes:
        image: an encoded picture (JPEG, PNG, ...) of any size; drawn upright.
        caption: what is written below, such as "0.83\\ncamera 2"; what is wider than the
            thumbnail is cut off.
        correct: right (True), wrong (False), or neither (None), as for the query itself.
    """

    image: bytes
    caption: str
    correct: bool | None


@dataclasses.dataclass(frozen=True)
class Row:
    """A query and its gallery pictures, best first; rows may differ in length.

    Attributes:
        query: the query picture.
        gallery: its gallery pictures.
    """

    query: Thumbnail
    gallery: Sequence[Thumbnail]


def draw(
    queries: Sequence[Row], *, header: str = "", width: int = 64, height: int = 128
) -> Image.Image:
    """Draws one line of thumbnails per query, below a header and the ranks from 1.

    Args:
        queries: at least one row.
        header: a line above everything, such as the name of the run and its scores.
        width: of a thumbnail inside its border, pixels.
        height: likewise. Pictures are scaled to fit and letterboxed, never stretched.

    Returns:
        An RGB image as large as the lists need.

    Raises:
        ValueError: there is no row, a thumbnail would have no size, or the bytes of a
            picture cannot be read; the message names it.
    """
    if not queries:
        raise ValueError("queries is empty: there is no ranked list to draw")
    if width < 1 or height < 1:
        raise ValueError(f"width and height must be at least 1 pixel, not {width} x {height}")

    captions = [thumbnail.caption for row in queries for thumbnail in (row.query, *row.gallery)]
    lines = max(caption.count("\n") + 1 for caption in captions)
    columns = 1 + max(len(row.gallery) for row in queries)
    cell_width = width + 2 * BORDER + _GAP
    cell_height = height + 2 * BORDER + lines * _LINE + _GAP
    # The query stands apart from its gallery by one more gap.
    left = [_GAP + column * cell_width + _GAP * (column > 0) for column in range(columns)]
    first_line = _GAP + (_LINE + _GAP) * bool(header)
    top = first_line + _LINE + _GAP // 2

    canvas = Image.new(
        "RGB", (left[-1] + cell_width, top + len(queries) * cell_height), _BACKGROUND
    )
    pen = ImageDraw.Draw(canvas)
    if header:
        _write(pen, (_GAP, _GAP), " ".join(header.split()), canvas.width - 2 * _GAP)
    for column, x in enumerate(left):
        _write(pen, (x, first_line), str(column or "query"), cell_width - _GAP)

    for name, row, column, thumbnail in _cells(queries):
        x, y = left[column], top + row * cell_height
        right, bottom = x + width + 2 * BORDER, y + height + 2 * BORDER
        colour = {True: RIGHT, False: WRONG, None: NEUTRAL}[thumbnail.correct]
        pen.rectangle((x, y, right - 1, bottom - 1), fill=_LETTERBOX, outline=colour, width=BORDER)
        picture = _fit(_decode(name, thumbnail.image, (width, height)), width, height)
        offset = (width - picture.width) // 2, (height - picture.height) // 2
        canvas.paste(picture, (x + BORDER + offset[0], y + BORDER + offset[1]))
        for number, line in enumerate(thumbnail.caption.split("\n")):
            _write(pen, (x, bottom + 1 + number * _LINE), line, right - x)
    return canvas


def _cells(queries: Sequence[Row]) -> Iterator[tuple[str, int, int, Thumbnail]]:
    """Yields every thumbnail with a name for messages, its row, and its column (0 the query's)."""
    for row, query in enumerate(queries):
        yield f"query {row}", row, 0, query.query
        for column, thumbnail in enumerate(query.gallery, 1):
            yield f"query {row}, gallery picture {column}", row, column, thumbnail


def _decode(name: str, data: bytes, size: tuple[int, int]) -> Image.Image:
    try:
        return pictures.thumbnail(data, size)
    except pictures.PictureError as error:
        raise ValueError(f"{name}: these bytes are not a readable picture: {error}") from error


def _fit(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Scales a picture up or down until it just fits."""
    scale = min(width / picture.width, height / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.BICUBIC)


def _write(
    pen: ImageDraw.ImageDraw,
    position: tuple[int, int],
    text: str,
    width: int,
) -> None:
    """Writes one line of text, of which it leaves out the end that does not fit."""
    text, font = fonts.fitting(text, _FONT_SIZE)
    if pen.textlength(text, font) > width:
        while text and pen.textlength(text + "…", font) > width:
            text = text[:-1]
        text += "…"
    pen.text(position, text, _INK, font)
