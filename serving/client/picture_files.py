"""Picture files: found, checked and read, before anything is sent.

The server decodes, and alone knows whether a picture is whole. What can be found without decoding
is found here: one bad picture fails the whole request that it is in.
"""

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from serving.command import examples
from serving.errors import BadImageError, BadInputError

# Encoded, in bytes. A picture for re-identification has some kilobytes.
LARGEST = 32 * 2**20

_SUFFIXES = (".jpg", ".jpeg", ".png")
_GOOD = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_HEAD = 16
_KINDS = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "gzipped"),
)


def find(paths: Iterable[str], links: dict[str, str] | None = None) -> list[str]:
    """Returns the picture files that a command line names, each once, where it came first.

    Args:
        paths: files, taken as they are, and folders, searched for .jpg, .jpeg and .png to any
            depth, through links too, sorted.
        links: if given, gets {name left out: name returned} of links to one file; absolute.

    Raises:
        BadInputError: a folder can't be read or has no pictures. Files are not opened.
    """
    found: dict[str, str] = {}
    for path in paths:
        for file in _in_folder(path) if os.path.isdir(path) else [path]:
            first = found.setdefault(os.path.realpath(file), file)
            names = os.path.abspath(file), os.path.abspath(first)
            if links is not None and names[0] != names[1]:
                links[names[0]] = names[1]
    return list(found.values())


def link_note(links: Mapping[str, str]) -> str:
    """Returns a line for the user on the links of `find`."""
    names = examples([f"{link} is {file}" for link, file in links.items()])
    return f"note: {len(links)} names lead by links to files that have another name here: {names}"


def check(path: str) -> None:
    """Checks a file by its beginning; cheap enough for all files before the first is sent.

    Raises:
        BadImageError: it can't be read, or isn't a JPEG or PNG of at most `LARGEST` bytes.
    """
    _read(path, _HEAD)


def check_all(paths: Iterable[str]) -> None:
    """As `check`, for several."""
    for path in paths:
        check(path)


def read(path: str) -> bytes:
    """Returns the bytes of a file.

    Raises:
        BadImageError: as in `check`.
    """
    return _read(path, LARGEST + 1)


def check_encoded(data: bytes, name: str) -> None:
    """Checks the bytes of a picture.

    Raises:
        BadImageError: they aren't a JPEG or PNG of at most `LARGEST` bytes.
    """
    _check_size(len(data), name)
    head = bytes(data[:_HEAD])
    if not head.startswith(_GOOD):
        raise BadImageError(f"not a JPEG or PNG file, it looks like {_kind(head)}", name)


def check_all_encoded(encoded: Sequence[bytes], names: Sequence[str]) -> None:
    """As `check_encoded`, for several."""
    for data, name in zip(encoded, names, strict=True):
        check_encoded(data, name)


def _in_folder(folder: str) -> list[str]:
    def refuse(error: OSError) -> NoReturn:
        raise BadInputError(f"can't be searched: {error.strerror}", error.filename) from error

    found: list[str] = []
    starts, seen = [folder], set()
    for start in starts:
        for parent, folders, names in os.walk(start, onerror=refuse):
            real = os.path.realpath(parent)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            # Links wait, so that a picture goes by its own name, and cycles end.
            children = [os.path.join(parent, name) for name in folders]
            starts += sorted(child for child in children if os.path.islink(child))
            files = [name for name in names if name.lower().endswith(_SUFFIXES)]
            found += [os.path.join(parent, name) for name in files]
    if not found:
        raise BadInputError(f"no {', '.join(_SUFFIXES)} files in this folder", folder)
    return sorted(found)


def _read(path: str, size: int) -> bytes:
    try:
        # Asked before opening, for a pipe would make us wait.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BadImageError("not a file", path)
        with open(path, "rb") as file:
            _check_size(os.fstat(file.fileno()).st_size, path)
            data = file.read(size)
            check_encoded(data, path)
            return data
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadImageError(f"can't be read: {reason}", path) from error


def _check_size(size: int, name: str) -> None:
    if not size:
        raise BadImageError("has no bytes", name)
    if size > LARGEST:
        raise BadImageError(f"has {size} bytes; the limit is {LARGEST}", name)


def _kind(head: bytes) -> str:
    for magic, kind in _KINDS:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP"
    if head[4:8] == b"ftyp":
        return "a HEIC, AVIF or video"
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        return "text"
    return f"nothing known (it begins with {head[:4].hex(' ')})"
