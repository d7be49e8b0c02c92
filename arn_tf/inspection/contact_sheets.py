"""Contact sheets: evenly spread crops of a camera, upright, on one picture to look at."""

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from arn_tf.inspection.cameras import Camera
from arn_tf.inspection.finding import Pictures
from arn_tf.inspection.names import shortened
from arn_tf.ranking import fonts
from datasets.files import pictures
from datasets.files.atomic_files import replaced
from datasets.files.printable import printable

COLUMNS, ROWS = 10, 5
# Pixels.
_CELL = (104, 208)
_GAP = 14
_CAPTION = 18
_MARGIN = 32
_HEADER = 92
# A tiny crop stays tiny.
_MOST_ENLARGED = 3
_PAGE, _FRAME, _TEXT, _QUIET = "#ffffff", "#f0f2f5", "#1b1f24", "#7a8594"
_TITLE_SIZE, _COUNT_SIZE, _CAPTION_SIZE = 28, 16, 11
_LONGEST_NAME = 60  # letters in a file's name


def write(folder: str, cameras: Sequence[Camera], pictures: Pictures) -> list[str]:
    """Writes a sheet for each camera; returns their paths, in that order.

    Args:
        folder: for the sheets; made if it isn't there.
        cameras: whose they are.
        pictures: theirs, and all that is known of them.

    Raises:
        OSError: one can't be written.
    """
    os.makedirs(folder, exist_ok=True)
    paths = []
    for number, camera in enumerate(cameras, 1):
        name = "no camera" if camera.name is None else f"camera {printable(camera.name)}"
        good = camera.rows[pictures.good[camera.rows]]
        files = {
            pictures.listing.path(row): _caption(pictures.listing.files[row], camera.name)
            for row in _spread(good).tolist()
        }
        sheet, _ = draw(name, camera.pictures, files)
        # The number makes it unique, whatever a disk takes for the same.
        paths.append(os.path.join(folder, f"{number:03d}_{_safe(camera.name or name)}.jpg"))
        with replaced(paths[-1]) as partial:
            sheet.save(partial, quality=90)
    return paths


def draw(name: str, count: int, files: Mapping[str, str]) -> tuple[Image.Image, int]:
    """Returns a sheet, and how many crops are on it.

    Args:
        name: of the camera.
        count: of its pictures.
        files: {path: caption} of those to show, `COLUMNS` x `ROWS` at most.
    """
    thumbnails = [
        (caption, small)
        for file, caption in files.items()
        if (small := _thumbnail(file)) is not None
    ]
    lines = max(-(-len(thumbnails) // COLUMNS), 1)
    step = (_CELL[0] + _GAP, _CELL[1] + _CAPTION + _GAP)
    size = (
        2 * _MARGIN + COLUMNS * step[0] - _GAP,
        _HEADER + lines * step[1] - _GAP + _MARGIN,
    )
    sheet = Image.new("RGB", size, _PAGE)
    pen = ImageDraw.Draw(sheet)
    room = size[0] - 2 * _MARGIN
    told = f"{count:,} pictures, {len(thumbnails)} shown"
    _write(pen, (_MARGIN, 22), name, _TITLE_SIZE, room, _TEXT)
    _write(pen, (_MARGIN, 58), told, _COUNT_SIZE, room, _QUIET)
    for place, (caption, small) in enumerate(thumbnails):
        left = _MARGIN + place % COLUMNS * step[0]
        top = _HEADER + place // COLUMNS * step[1]
        pen.rounded_rectangle(
            (left, top, left + _CELL[0] - 1, top + _CELL[1] - 1), radius=6, fill=_FRAME
        )
        sheet.paste(
            small, (left + (_CELL[0] - small.width) // 2, top + (_CELL[1] - small.height) // 2)
        )
        _write(pen, (left, top + _CELL[1] + 4), caption, _CAPTION_SIZE, _CELL[0], _QUIET)
    return sheet, len(thumbnails)


def _caption(file: str, camera: str | None) -> str:
    """Returns a picture's path without what all on the sheet share: the camera, the ending."""
    return printable(os.path.splitext(file.removeprefix(f"{camera}/"))[0])


def _spread(rows: np.ndarray) -> np.ndarray:
    """Returns evenly spread rows, as many as a sheet holds."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), COLUMNS * ROWS))
    return rows[places.round().astype(int)]


def _write(
    pen: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, room: int, colour: str
) -> None:
    """Writes text, its middle left out where it is wider than there is room for."""
    text, font = fonts.fitting(text, size)
    shown = text
    while len(shown) > 1 and font.getlength(shown) > room:
        shown = shortened(text, len(shown) - 1)
    pen.text(place, shown, fill=colour, font=font)


def _thumbnail(path: str) -> Image.Image | None:
    """Returns a picture that fills a cell, or None where it has become unreadable."""
    try:
        with open(path, "rb") as file:
            small = pictures.thumbnail(file.read(), (2 * _CELL[0], 2 * _CELL[1]))
    except (OSError, pictures.PictureError):
        return None
    scale = min(_CELL[0] / small.width, _CELL[1] / small.height, _MOST_ENLARGED)
    size = max(round(small.width * scale), 1), max(round(small.height * scale), 1)
    return small.resize(size, Image.Resampling.LANCZOS)


def _safe(name: str) -> str:
    """Returns a file's name for a camera: every disk takes it."""
    text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_")[:_LONGEST_NAME] or "camera"
