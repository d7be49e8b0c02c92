"""A picture's bytes in the form that every decoder of the product takes: JPEG or PNG, upright.

TensorFlow decodes JPEG and PNG. What else people have is decoded here, by Pillow, and encoded again
as PNG, which loses nothing.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image, ImageOps

from datasets.files import formats

# Encoded, in bytes. A crop of a person has some kilobytes.
MAX_BYTES = 32 * 2**20
# A decoded picture this large takes 50 MB; a crop of a person is a hundredth of it. A small file
# can unpack to gigabytes.
MAX_PIXELS = 1 << 24
# Pillow's names of what `formats.kind` knows.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "JPEG2000", "QOI", "WEBP", "AVIF", "PPM")
_AS_THEY_ARE = ("JPEG", "PNG")
# Values of the EXIF orientation, but 1, upright; others are damage.
_TURNED = range(2, 9)


class PictureError(ValueError):
    """Bytes are no picture that can be used; the text says why, and not which."""


def checked_kind(data: bytes) -> str:
    """Returns the format of encoded bytes, told by the first of them; nothing is decoded.

    Raises:
        PictureError: they are none of the formats, empty, or more than `MAX_BYTES`.
    """
    if not data:
        raise PictureError("has no bytes")
    if len(data) > MAX_BYTES:
        raise PictureError(f"has {len(data)} bytes; the limit is {MAX_BYTES}")
    head = bytes(data[: formats.HEAD])
    kind = formats.kind(head)
    if kind is None:
        raise PictureError(f"not a picture, it looks like {formats.described(head)}")
    return kind


def as_jpeg_or_png(data: bytes) -> bytes:
    """Returns a picture as JPEG or PNG: the same bytes if it is one, else an upright PNG.

    Raises:
        PictureError: as `checked_kind`; or, of other formats, it can't be decoded or has more than
            `MAX_PIXELS`. Those in it are not counted, nor is a JPEG or PNG decoded.
    """
    return data if checked_kind(data) in _AS_THEY_ARE else _as_png(data)


def upright(data: bytes) -> bytes:
    """As `as_jpeg_or_png`, but a JPEG or PNG that is stored turned or mirrored becomes a PNG too.

    Cameras store the pixels as the sensor has them, and beside them the EXIF orientation.
    """
    kind = checked_kind(data)
    if kind in _AS_THEY_ARE:
        # Nearly every crop: decided without opening it.
        if (b"Exif\0\0" if kind == "JPEG" else b"eXIf") not in data:
            return data
        with _opened(data) as picture:
            if _orientation(picture) not in _TURNED:
                return data
    return _as_png(data)


def thumbnail(data: bytes, size: tuple[int, int]) -> Image.Image:
    """Returns a picture for people to look at: upright, RGB, no larger than `size`.

    Args:
        data: encoded.
        size: (width, height) in pixels.

    Raises:
        PictureError: it can't be decoded, or has more than `MAX_PIXELS`.
    """
    with _opened(data) as picture:
        # The sides may still be swapped.
        picture.draft("RGB", (max(size), max(size)))
        small = _eight_bits(_turned(picture)).convert("RGB")
    small.thumbnail(size)
    return small


def _as_png(data: bytes) -> bytes:
    encoded = io.BytesIO()
    with _opened(data) as picture:
        turned = _eight_bits(_turned(picture))
        # What TensorFlow makes of a PNG: three channels, transparency dropped.
        turned.convert("L" if turned.mode in ("1", "L", "LA") else "RGB").save(
            encoded, "PNG", compress_level=1, exif=b"", icc_profile=None
        )
    return encoded.getvalue()


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Opens a picture, its first frame; Pillow's many words for damage become one error."""
    checked_kind(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                pixels = picture.width * picture.height
                if not 0 < pixels <= MAX_PIXELS:
                    raise PictureError(
                        f"has {picture.width} x {picture.height} pixels; the limit is {MAX_PIXELS} "
                        "(crop the person)"
                    )
                yield picture
    except PictureError:
        raise
    except MemoryError:
        raise
    # Damage shows up as many types, struct.error and SyntaxError among them.
    except Exception as error:
        raise PictureError(f"can't be decoded ({error})") from error


def _orientation(picture: Image.Image) -> object:
    # Damaged EXIF data has as many words, and is no reason to refuse a whole picture.
    with contextlib.suppress(Exception):
        return picture.getexif().get(ExifTags.Base.Orientation)
    return None


def _turned(picture: Image.Image) -> Image.Image:
    picture.load()
    return ImageOps.exif_transpose(picture) if _orientation(picture) in _TURNED else picture


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A picture of 16 bits a pixel, which is grey, in 8; Pillow would cut it off at 255."""
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
