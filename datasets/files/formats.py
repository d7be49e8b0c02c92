"""What a file is, told by its first bytes. Standard library only."""

import os
import stat

# Bytes at the beginning that are enough to tell.
HEAD = 32
# Formats that Pillow decodes without other programs. Their first bytes are `_PICTURES`.
_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("jpg", "jpeg", "jpe", "jfif", "jif", "mpo", "png", "apng", "bmp", "dib", "gif", "tif"),
        *("tiff", "webp", "avif", "jp2", "j2k", "jpf", "jpx", "j2c", "jpc", "qoi", "ppm", "pgm"),
        *("pbm", "pnm"),
    )
)
_PICTURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"qoif", "QOI"),
)
_OTHERS = (
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "gzipped"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\x05\x16\x07", "a sidecar of macOS"),
    (b"\0\0\x01\0", "an icon"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"%!PS", "PostScript"),
)


def named_as_picture(path: str) -> bool:
    """Whether a file's name ends as those of pictures do, in any case."""
    return os.path.splitext(path)[1].lower() in _SUFFIXES


def looks_like_picture(path: str) -> bool:
    """Whether a file begins as a picture does; one that can't be read does not."""
    try:
        # Asked before opening, for a pipe would make us wait.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            return kind(file.read(HEAD)) is not None
    except (OSError, ValueError):
        return False


def kind(head: bytes) -> str | None:
    """Returns the name that Pillow has for a picture's format, or None if it isn't one of ours.

    Args:
        head: the first bytes of the file, `HEAD` or more.
    """
    for magic, name in _PICTURES:
        if head.startswith(magic):
            # Two letters are few: four bytes of a BMP are reserved, and zero.
            return None if name == "BMP" and head[6:10] != bytes(4) else name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "PPM"
    return None


def described(head: bytes) -> str:
    """Returns what a file looks like, for a message about one that is no picture of ours."""
    for magic, name in _OTHERS:
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        heic = head[8:12] in (b"heic", b"heix", b"heif", b"mif1", b"msf1", b"hevc")
        return "a HEIC picture (convert it to JPEG or PNG)" if heic else "a video"
    if head and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        return "text"
    return f"nothing known (it begins with {head[:4].hex(' ')})"
