"""A picture's bytes in the form that every decoder of the product takes: JPEG or PNG, upright.

TensorFlow decodes JPEG and PNG. What else people have is decoded here, by Pillow, and encoded again
as PNG, which loses nothing.
"""

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageChops, UnidentifiedImageError

from datasets.files import formats, orientation

# Encoded, in bytes. A crop of a person has some kilobytes.
MAX_BYTES = 32 * 2**20
# A decoded picture this large takes 50 MB; a crop of a person is a hundredth of it. A small file
# can unpack to gigabytes.
MAX_PIXELS = 1 << 24
_AS_THEY_ARE = ("JPEG", "PNG")
_ONE_AT_A_TIME = threading.Lock()
# By the EXIF orientation, but 1, upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PictureError(ValueError):
    """Bytes are no picture that can be used; the text says why, and not which.

    Of a damaged one, the cause is what Pillow says.
    """


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


def from_file(path: str) -> bytes:
    """Returns `as_jpeg_or_png` of a file's bytes, with their pixels counted: it may be decoded.

    Raises:
        OSError: it can't be read.
        PictureError: as `as_jpeg_or_png` and `size`.
    """
    with open(path, "rb") as file:
        # One byte more than may be is enough to refuse it.
        data = as_jpeg_or_png(file.read(MAX_BYTES + 1))
    size(data)  # of few bytes may come gigabytes
    return data


def upright(data: bytes) -> bytes:
    """As `as_jpeg_or_png`, but a JPEG or PNG that is stored turned or mirrored becomes a PNG too.

    Cameras store the pixels as the sensor has them, and beside them the EXIF orientation.
    """
    as_it_is = checked_kind(data) in _AS_THEY_ARE and orientation.of(data) == orientation.UPRIGHT
    return data if as_it_is else _as_png(data)


def size(data: bytes) -> tuple[int, int]:
    """Returns the width and height of a picture in pixels, as they are stored; none is decoded.

    Raises:
        PictureError: as `checked_kind`; or it is damaged at its beginning, or has more than
            `MAX_PIXELS`.
    """
    with _opened(data) as (picture, _):
        return picture.size


def thumbnail(data: bytes, size: tuple[int, int]) -> Image.Image:
    """Returns a picture for people to look at: upright, RGB, no larger than `size`.

    Args:
        data: encoded.
        size: (width, height) in pixels.

    Raises:
        PictureError: it can't be decoded, or has more than `MAX_PIXELS`.
    """
    with _opened(data) as (picture, how):
        # The sides may still be swapped.
        picture.draft("RGB", (max(size), max(size)))
        small = _eight_bits(_turned(picture, how)).convert("RGB")
    small.thumbnail(size)
    return small


def as_png(pixels: np.ndarray) -> bytes:
    """Returns a PNG of pixels, uint8 [height, width, 3]; nothing is lost."""
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", compress_level=1)
    return encoded.getvalue()


def _as_png(data: bytes) -> bytes:
    encoded = io.BytesIO()
    with _opened(data) as (picture, how):
        turned = _eight_bits(_turned(picture, how))
        # What TensorFlow makes of a PNG: three channels, transparency dropped.
        turned.info.pop("transparency", None)
        turned.convert("L" if turned.mode in ("1", "L", "LA") else "RGB").save(
            encoded, "PNG", compress_level=1, exif=b"", icc_profile=None
        )
    return encoded.getvalue()


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[tuple[Image.Image, int]]:
    """Opens a picture, its first frame, and yields it with the orientation that it is stored in.

    Pillow's many words for damage become one error.
    """
    kind = checked_kind(data)
    try:
        with _quietly_opened(data, kind) as picture:
            _check_pixels(*picture.size)
            # Pillow itself turns a TIFF, as it loads it.
            exif = picture.info.get("exif") or b""
            yield (
                picture,
                (orientation.of(data) if kind in _AS_THEY_ARE else orientation.of_exif(exif)),
            )
    except (PictureError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise PictureError(f"has more than {MAX_PIXELS} pixels (crop the person)") from None
    except UnidentifiedImageError as error:
        raise PictureError(f"can't be decoded (a broken {kind})") from error
    # Damage shows up as many types, struct.error and SyntaxError among them.
    except Exception as error:
        raise PictureError(f"can't be decoded ({error})") from error


def _quietly_opened(data: bytes, kind: str) -> Image.Image:
    # Pillow warns of damage that costs no pixel. Two threads at once would undo each other's filter
    # for good.
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.open(io.BytesIO(data), formats=(kind,))


def _check_pixels(width: int, height: int) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        raise PictureError(
            f"has {width} x {height} pixels; the limit is {MAX_PIXELS} (crop the person)"
        )


def _turned(picture: Image.Image, how: int) -> Image.Image:
    """Decodes a picture and turns it upright."""
    adobe = "adobe" in picture.info
    picture.load()
    if picture.mode == "CMYK" and picture.format in ("JPEG", "MPO") and not adobe:
        # Pillow takes all for Adobe's, whose inks are inverted; TensorFlow, as libjpeg, does not.
        picture = ImageChops.invert(picture)
    return picture.transpose(_TURNS[how]) if how in _TURNS else picture


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A picture of 16 bits a pixel, which is grey, in 8; Pillow would cut it off at 255.

    The upper 8, as TensorFlow reads a PNG.
    """
    if picture.mode == "F":
        raise PictureError("holds fractions; convert it to 8 bits a channel")
    if not picture.mode.startswith("I"):
        return picture
    values = np.asarray(picture)
    if values.min() < 0 or values.max() >= 1 << 16:
        raise PictureError("holds more than 16 bits a pixel; convert it to 8 bits a channel")
    return Image.fromarray((values >> 8).astype(np.uint8))
