"""EXIF data made by hand, and pictures that carry it, as cameras store them or damaged."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

ORIENTATIONS = range(1, 9)


def pixels(height: int = 24, width: int = 40) -> np.ndarray:
    """Returns a picture without symmetry, smooth enough for a JPEG, uint8 [height, width, 3]."""
    rows, columns = np.mgrid[:height, :width]
    red, green = 255 * rows / height, 255 * columns / width
    return np.stack([red, green, 255 * (rows + 2 * columns < width)], -1).astype(np.uint8)


def turned(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Returns pixels as an orientation says, written down from the EXIF standard.

    It says which sides of what is seen the first stored row and the first stored column are.
    """
    row, column = {
        1: ("top", "left"),
        2: ("top", "right"),
        3: ("bottom", "right"),
        4: ("bottom", "left"),
        5: ("left", "top"),
        6: ("right", "top"),
        7: ("right", "bottom"),
        8: ("left", "bottom"),
    }[orientation]
    height, width = stored.shape[:2]
    sideways = row in ("left", "right")
    seen = np.empty((width, height, 3) if sideways else (height, width, 3), stored.dtype)
    for y in range(height):
        for x in range(width):
            down, across = (x, y) if sideways else (y, x)
            if "bottom" in (row, column):
                down = seen.shape[0] - 1 - down
            if "right" in (row, column):
                across = seen.shape[1] - 1 - across
            seen[down, across] = stored[y, x]
    return seen


def exif(
    value: int,
    order: str = "<",
    *,
    kind: int = 3,
    count: int = 1,
    offset: int = 8,
    entries: int | None = None,
    before: int = 1,
) -> bytes:
    """Returns EXIF data without its prefix.

    Args:
        value: the orientation.
        order: "<" or ">", of the bytes.
        kind: type of the orientation's entry; 3 is right.
        count: of its values; 1 is right.
        offset: where the entries are said to begin.
        entries: how many there are said to be; as many as there are if None.
        before: entries before the orientation's.
    """
    maker = struct.pack(order + "HHI4s", 0x010F, 2, 4, b"Cam\0")
    last = struct.pack(order + "I", value) if kind == 4 else struct.pack(order + "HH", value, 0)
    entry = struct.pack(order + "HHI", 0x0112, kind, count) + last
    number = before + 1 if entries is None else entries
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", offset)
    return head + struct.pack(order + "H", number) + maker * before + entry + bytes(4)


def segment(marker: int, payload: bytes, size: int | None = None) -> bytes:
    """Returns a segment of a JPEG; `size` is a wrong one."""
    length = len(payload) + 2 if size is None else size
    return struct.pack(">BBH", 0xFF, marker, length) + payload


def app1(block: bytes) -> bytes:
    """Returns the segment that holds EXIF data."""
    return segment(0xE1, b"Exif\0\0" + block)


def jpeg(*segments: bytes, jfif: bool = True, image: Image.Image | None = None) -> bytes:
    """Returns a JPEG of `pixels`, with segments after that of JFIF or in its place."""
    stream = io.BytesIO()
    picture = image or Image.fromarray(pixels())
    picture.save(stream, "JPEG", quality=95, subsampling=0)
    data = stream.getvalue()
    end = 2
    if data[2:4] == b"\xff\xe0":
        end = 4 + int.from_bytes(data[4:6], "big")
    return data[: end if jfif else 2] + b"".join(segments) + data[end:]


def chunk(kind: bytes, payload: bytes, size: int | None = None) -> bytes:
    """Returns a chunk of a PNG; `size` is a wrong one."""
    length = len(payload) if size is None else size
    return (
        struct.pack(">I", length) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
    )


def png(*chunks: bytes, last: bool = False, image: Image.Image | None = None) -> bytes:
    """Returns a PNG of `pixels`, with chunks after its header or, if `last`, after its pixels."""
    stream = io.BytesIO()
    (image or Image.fromarray(pixels())).save(stream, "PNG")
    data = stream.getvalue()
    at = len(data) - 12 if last else 33
    return data[:at] + b"".join(chunks) + data[at:]


def damaged() -> dict[str, bytes]:
    """Returns {what is wrong: EXIF data that says nothing}."""
    good = exif(6)
    return {
        "no entries": exif(6, entries=0),
        "entries before it alone": exif(6, entries=1),
        "an orientation of 0": exif(0),
        "an orientation of 9": exif(9),
        "an orientation of 65535": exif(65535, ">"),
        "the type of text": exif(6, kind=2),
        "a long number": exif(6, kind=4),
        "two values": exif(6, count=2),
        "no value": exif(6, count=0),
        "four billion values": exif(6, count=2**32 - 1),
        "entries far outside": exif(6, offset=2**32 - 1),
        "entries just outside": exif(6, offset=len(good) - 1),
        "entries at the end": exif(6, offset=len(good)),
        "entries in the header": exif(6, offset=0),
        "another byte order": b"XX" + good[2:],
        "a cut header": good[:7],
        "nothing": b"",
        "no number of entries": good[:9],
        "a cut entry": good[:33],
        "the other byte order": b"MM\0*" + good[4:],
    }


def damaged_jpegs() -> dict[str, bytes]:
    """Returns {what is wrong: JPEG that counts as upright}."""
    block = b"Exif\0\0" + exif(6)
    found = {what: jpeg(app1(data)) for what, data in damaged().items()}
    return found | {
        "another segment": jpeg(segment(0xE2, block)),
        "a comment": jpeg(segment(0xFE, block)),
        "a segment inside one": jpeg(segment(0xED, b"8BIM" + app1(exif(6)))),
        "a prefix cut off": jpeg(segment(0xE1, b"Exif\0" + exif(6))),
        "another prefix": jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + block)),
        "after the pixels": jpeg() + app1(exif(6)),
        "after the end": jpeg()[:-2] + b"\xff\xd9" + app1(exif(6)),
    }
