"""What a file is, told by its first bytes. Standard library only."""

import codecs
import os
import stat

# Bytes at the beginning that are enough to tell.
HEAD = 64
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
    (b"\xff\x0a", "a JPEG XL picture (convert it to JPEG or PNG)"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture (convert it to JPEG or PNG)"),
)
# Brands of a file in boxes, as phones write pictures and videos.
_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"heif"})
_ANY_PICTURE = frozenset({b"mif1", b"mif2", b"msf1"})


def named_as_picture(path: str) -> bool:
    """Whether a file's name ends as those of pictures do, in any case."""
    return os.path.splitext(path)[1].lower() in _SUFFIXES


def looks_like_picture(path: str) -> bool:
    """Whether a file begins as a picture does; one that can't be read does not."""
    return kind(head_of(path)) is not None


def head_of(path: str) -> bytes:
    """Returns a file's first bytes, none if it can't be read or is a pipe or a device."""
    try:
        # Asked before opening, for a pipe would make us wait.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b""
        with open(path, "rb") as file:
            return file.read(HEAD)
    except (OSError, ValueError):
        return b""


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
    if _is_avif(head):
        return "AVIF"
    # A text may begin with "P1 " too; here numbers, or a comment, follow.
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        after = head[3:].lstrip()[:1]
        return "PPM" if after.isdigit() or after == b"#" else None
    return None


def is_heic(head: bytes) -> bool:
    """Whether a file begins as a HEIC picture does, which Pillow can't decode."""
    brands = _brands(head)
    return bool(brands) and (brands[0] in _HEIC | _ANY_PICTURE) and not _is_avif(head)


def described(head: bytes) -> str:
    """Returns what a file looks like, for a message about one that is no picture of ours."""
    for magic, name in _OTHERS:
        if head.startswith(magic):
            return name
    if is_heic(head):
        return "a HEIC picture (convert it to JPEG or PNG)"
    if _brands(head):
        return "a video"
    if not head:
        return "an empty file"
    if not head.strip(b"\0"):
        return "zeros"
    if _is_text(head):
        return "text"
    return f"nothing known (it begins with {head[:4].hex(' ')})"


def _brands(head: bytes) -> list[bytes]:
    """Returns the main brand of a file in boxes and those of the others that `head` holds."""
    if head[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]


def _is_avif(head: bytes) -> bool:
    main, *others = _brands(head) or [b""]
    return main in _AVIF or (main in _ANY_PICTURE and not _AVIF.isdisjoint(others))


def _is_text(head: bytes) -> bool:
    try:
        # The last letter may be cut.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in "\t\n\r\ufeff" for letter in text)
