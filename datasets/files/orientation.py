"""The EXIF orientation of a JPEG or PNG, read off its bytes: nothing is decoded.

Cameras store the pixels as the sensor has them, and beside them how they are to be turned. Standard
library only; `arn_tf.data.orientation` says the same of the same bytes in TensorFlow.
"""

UPRIGHT = 1
# A block of EXIF data in a JPEG, and the type of the chunk in a PNG.
PREFIX = b"Exif\0\0"
CHUNK = b"eXIf"
# Segments, chunks and stray bytes that are passed over; a picture that has more counts as upright.
MOST_STEPS = 4096
TAG = 0x0112
SHORT = 3  # EXIF's type of the orientation, of which there is one
JPEG_START = b"\xff\xd8"
PNG_START = 8  # bytes before the first chunk
# Markers of a JPEG that have no length: stuffing, TEM, RST0-7, SOI.
ALONE = (0x00, 0x01, *range(0xD0, 0xD9))
# EOI, and SOS, which the pixels follow.
LAST = (0xD9, 0xDA)
APP1 = 0xE1


def of(data: bytes) -> int:
    """Returns the EXIF orientation, 1 to 8; damage of it counts as 1, upright.

    Args:
        data: of a JPEG or PNG file.
    """
    # Nearly every crop has neither.
    if PREFIX not in data and CHUNK not in data:
        return UPRIGHT
    return of_exif(_in_jpeg(data) if data.startswith(JPEG_START) else _in_png(data))


def of_exif(block: bytes) -> int:
    """Returns the orientation in EXIF data, 1 to 8; 1 if there is none or it is damaged.

    Args:
        block: a TIFF structure, with or without "Exif\\0\\0" before it.
    """
    block = block.removeprefix(PREFIX)
    if block[:4] not in (b"II*\0", b"MM\0*") or len(block) < 8:
        return UPRIGHT

    def number(at: int, size: int) -> int:
        return int.from_bytes(block[at : at + size], "little" if block[:1] == b"I" else "big")

    first = number(4, 4) + 2
    if first > len(block):
        return UPRIGHT
    # Entries that are there, of those that are said to be.
    entries = min(number(first - 2, 2), (len(block) - first) // 12)
    for at in range(first, first + 12 * entries, 12):
        if number(at, 2) == TAG:
            value = number(at + 8, 2)
            sound = (number(at + 2, 2), number(at + 4, 4)) == (SHORT, 1) and 1 <= value <= 8
            return value if sound else UPRIGHT
    return UPRIGHT


def _in_jpeg(data: bytes) -> bytes:
    """Returns the first block of EXIF data among a JPEG's segments, with its prefix."""
    at = len(JPEG_START)
    for _ in range(MOST_STEPS):
        if at + 4 > len(data):
            break
        mark, kind = data[at : at + 2]
        if mark != 0xFF or kind == 0xFF:  # stray, or fills
            at += 1
        elif kind in ALONE:
            at += 2
        elif kind in LAST:
            break
        else:
            size = int.from_bytes(data[at + 2 : at + 4], "big")
            if kind == APP1 and data.startswith(PREFIX, at + 4):
                return data[at + 4 : at + 2 + size]
            at += 2 + max(size, 2)
    return b""


def _in_png(data: bytes) -> bytes:
    """Returns what the first eXIf chunk of a PNG holds."""
    at = PNG_START
    for _ in range(MOST_STEPS):
        if at + 8 > len(data):
            break
        size = int.from_bytes(data[at : at + 4], "big")
        if data.startswith(CHUNK, at + 4):
            return data[at + 8 : at + 8 + size]
        at += 12 + size
    return b""
