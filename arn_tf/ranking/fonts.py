"""A font that has the letters of a text, of those that this machine has; or other letters."""

import functools
import unicodedata

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
# Of Linux, Windows and macOS, for European letters and for all others.
_FILES = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "arial.ttf",
    "Arial.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-zenhei.ttc",
    "msyh.ttc",
    "malgun.ttf",
    "PingFang.ttc",
    "Arial Unicode.ttf",
)
# No letter, and never one: what a font draws for it stands for all that it lacks.
_NO_LETTER = "\uffff"


def fitting(text: str, size: int) -> tuple[str, Font]:
    """Returns text and a font that has all of its letters.

    Pillow's own font has ASCII alone. Where no font has a letter, it becomes one without its
    accents, or a question mark.

    Args:
        text: to be drawn.
        size: of the font, pixels.
    """
    own = ImageFont.load_default(size)
    if _has(own, text):
        return text, own
    for file in _FILES:
        font = _of_file(file, size)
        if font is not None and _has(font, text):
            return text, font
    return "".join(_replaced(letter, own) for letter in text), own


@functools.cache
def _of_file(file: str, size: int) -> Font | None:
    try:
        return ImageFont.truetype(file, size)
    except OSError:
        return None


def _has(font: Font, text: str) -> bool:
    lacking = bytes(font.getmask(_NO_LETTER))
    return all(letter == " " or bytes(font.getmask(letter)) != lacking for letter in set(text))


def _replaced(letter: str, font: Font) -> str:
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return letter if _has(font, letter) else plain or "?"
