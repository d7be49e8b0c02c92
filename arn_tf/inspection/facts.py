"""What is known of one picture file: it is read once and decoded once, small.

Near copies are told by the difference hash of imagehash, 64 bits. Of crops of Market-1501, CUHK03
and PKU-Reid, saved anew at another quality, format or size, half change no more than 1 bit and 90
in a hundred no more than 2 or 3; of 10.7 million pairs of other persons by two cameras of one
network none differs in fewer than 8.
"""

import contextlib
import enum
import hashlib
import io
import os
import stat
import warnings

import imagehash
import numpy as np
from PIL import ExifTags, Image

from datasets.files import formats, pictures

FORMATS = ("", "JPEG", "PNG", "GIF", "BMP", "TIFF", "JPEG2000", "QOI", "WEBP", "AVIF", "PPM")
# One row for each picture: some tens of bytes, however large the picture.
FACT = np.dtype(
    [
        ("problem", np.uint8),  # of `Problem`
        ("format", np.uint8),  # place in `FORMATS`
        ("turned", np.bool_),  # stored turned or mirrored; EXIF says how
        ("blank", np.bool_),
        ("width", np.int32),  # upright, in pixels
        ("height", np.int32),
        ("bytes", np.int64),
        ("digest", np.uint64),  # of the bytes
        ("hash", np.uint64),  # of what they show
    ]
)
# (width, height) at most; all that is looked at.
_SMALL = (48, 48)
_PATCHES = (8, 16)
# Between the darkest and the brightest patch, of 255. Of 1,703 crops of persons the least had 78.
_ONE_COLOUR = 16
_TURNED = range(2, 9)
_SIDES_SWAPPED = range(5, 9)


class Problem(enum.IntEnum):
    """Why a picture can't be used."""

    NONE = 0
    GONE = 1
    UNREACHABLE = 2
    EMPTY = 3
    TOO_LARGE = 4
    HEIC = 5
    NOT_A_PICTURE = 6
    DAMAGED = 7


class _UnusableError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


def facts_of(path: str) -> np.ndarray:
    """Returns a row of `FACT`; a file that can't be used has a problem, and what is known so far.

    Args:
        path: of the file.
    """
    fact = np.zeros((), FACT)
    try:
        data = _read(path, fact)
        fact["format"] = FORMATS.index(_format(data))
        fact["digest"] = _number(hashlib.blake2b(data, digest_size=8).digest())
        _measure(data, fact)
        small = pictures.thumbnail(data, _SMALL)
    except _UnusableError as error:
        fact["problem"] = error.problem
        return fact
    except pictures.PictureError:
        fact["problem"] = Problem.DAMAGED
        return fact
    patches = np.asarray(small.resize(_PATCHES, Image.Resampling.BOX))
    fact["blank"] = np.ptp(patches, axis=(0, 1)).max() < _ONE_COLOUR
    fact["hash"] = _number(np.packbits(imagehash.dhash(small).hash).tobytes())
    return fact


def digest_of(path: str) -> int | None:
    """Returns the `digest` of a file, or None where it can't be read."""
    try:
        return _number(hashlib.blake2b(_read(path, np.zeros((), FACT)), digest_size=8).digest())
    except _UnusableError:
        return None


def _read(path: str, fact: np.ndarray) -> bytes:
    try:
        found = os.stat(path)
        # A pipe would make us wait.
        if not stat.S_ISREG(found.st_mode):
            raise _UnusableError(Problem.NOT_A_PICTURE)
        fact["bytes"] = found.st_size
        if found.st_size > pictures.MAX_BYTES:
            raise _UnusableError(Problem.TOO_LARGE)
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise _UnusableError(Problem.GONE) from error
    except OSError as error:
        raise _UnusableError(Problem.UNREACHABLE) from error


def _format(data: bytes) -> str:
    if not data:
        raise _UnusableError(Problem.EMPTY)
    head = data[: formats.HEAD]
    kind = formats.kind(head)
    if kind is None:
        heic = "HEIC" in formats.described(head)
        raise _UnusableError(Problem.HEIC if heic else Problem.NOT_A_PICTURE)
    return kind


def _measure(data: bytes, fact: np.ndarray) -> None:
    """Reads the header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=[FORMATS[fact["format"]]]) as picture:
                width, height = picture.size
                turn = _orientation(picture) if b"Exif" in data or b"eXIf" in data else None
    except Image.DecompressionBombError as error:
        raise _UnusableError(Problem.TOO_LARGE) from error
    except MemoryError:
        raise
    # Damage shows up as many types, struct.error and SyntaxError among them.
    except Exception as error:
        raise _UnusableError(Problem.DAMAGED) from error
    fact["turned"] = turn in _TURNED
    fact["width"], fact["height"] = (height, width) if turn in _SIDES_SWAPPED else (width, height)
    if width * height > pictures.MAX_PIXELS:
        raise _UnusableError(Problem.TOO_LARGE)


def _orientation(picture: Image.Image) -> object:
    # Damaged EXIF data has many words, and is no reason to refuse a whole picture.
    with contextlib.suppress(Exception):
        return picture.getexif().get(ExifTags.Base.Orientation)
    return None


def _number(eight: bytes) -> int:
    return int.from_bytes(eight, "big")
