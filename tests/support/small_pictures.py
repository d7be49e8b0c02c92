"""A small picture in every format that people have, and bombs in each."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from tests.support.small_exif import pixels

# {name here: what `formats.kind` says}.
FORMATS = {
    "jpeg": "JPEG",
    "mpo": "JPEG",
    "png": "PNG",
    "apng": "PNG",
    "gif": "GIF",
    "bmp": "BMP",
    "tiff": "TIFF",
    "big_tiff": "TIFF",
    "jp2": "JPEG2000",
    "j2k": "JPEG2000",
    "qoi": "QOI",
    "webp": "WEBP",
    "animated_webp": "WEBP",
    "avif": "AVIF",
    "ppm": "PPM",
    "pgm": "PPM",
}
_SAVED = {
    "jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    "mpo": ("MPO", {"save_all": True, "quality": 95, "subsampling": 0}),
    "png": ("PNG", {}),
    "apng": ("PNG", {"save_all": True}),
    "gif": ("GIF", {"save_all": True}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "big_tiff": ("TIFF", {"big_tiff": True}),
    "jp2": ("JPEG2000", {}),
    "j2k": ("JPEG2000", {"no_jp2": True}),
    "qoi": ("QOI", {}),
    "webp": ("WEBP", {"lossless": True}),
    "animated_webp": ("WEBP", {"save_all": True, "lossless": True}),
    "avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
    "ppm": ("PPM", {}),
    "pgm": ("PPM", {}),
}
# Decoded, they aren't what was encoded: at most so far from it, in grey levels.
ROUGHLY = {"jpeg": 30, "mpo": 30, "avif": 20, "gif": 60}
_ANIMATED = ("mpo", "apng", "gif", "animated_webp")


def encoded(form: str, image: Image.Image | None = None) -> bytes:
    """Returns `image`, or that of `small_exif.pixels`; the first of two where there may be two."""
    picture = Image.fromarray(pixels()) if image is None else image
    if form == "pgm":
        picture = picture.convert("L")
    kind, options = _SAVED[form]
    if form in _ANIMATED:
        options = options | {"append_images": [Image.new("RGB", picture.size, "white")]}
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def bombs() -> dict[str, bytes]:
    """Returns {name: a small file that says it has too many pixels}."""
    wide, high = 20_000_000, 1
    side = 60_000
    header = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    lie = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    jpeg, png = bytearray(encoded("jpeg")), encoded("png")
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", side, side)
    gif = bytearray(encoded("gif"))
    gif[6:10] = struct.pack("<HH", side, side)
    bmp = bytearray(encoded("bmp"))
    bmp[18:26] = struct.pack("<ii", wide, high)
    qoi = bytearray(encoded("qoi"))
    qoi[4:12] = struct.pack(">II", wide, high)
    tiff = io.BytesIO()
    Image.new("1", (5000, 5000)).save(tiff, "TIFF", compression="group4")
    webp = io.BytesIO()
    Image.new("L", (16_383, 1100)).save(webp, "WEBP", quality=0, method=0)
    jp2 = bytearray(encoded("j2k"))
    jp2[8:16] = struct.pack(">II", wide, high)  # Xsiz, Ysiz
    jp2[24:32] = struct.pack(">II", wide, high)  # of a tile
    return {
        "jpeg": bytes(jpeg),
        "png, one row": _png(header, bytes(100)),
        "png, real": _png(struct.pack(">IIBBBBB", 5000, 5000, 1, 0, 0, 0, 0), bytes(626 * 5000)),
        "png, lying": png[:16] + lie + struct.pack(">I", zlib.crc32(b"IHDR" + lie)) + png[33:],
        "gif": bytes(gif),
        "bmp": bytes(bmp),
        "qoi": bytes(qoi),
        "tiff": tiff.getvalue(),
        "webp": webp.getvalue(),
        "jpeg 2000": bytes(jp2),
        "ppm": b"P6\n20000000 1\n255\n" + bytes(100),
        "pbm, huge": b"P4 4000000000 4000000000\n" + bytes(100),
    }


def _png(header: bytes, rows: bytes) -> bytes:
    def chunk(kind: bytes, payload: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + payload))
        return struct.pack(">I", len(payload)) + kind + payload + check

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def decoded(data: bytes) -> np.ndarray:
    """Returns pixels as Pillow has them, uint8 [height, width, 3]."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))
