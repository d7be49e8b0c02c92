"""Picture files: found, checked, read and made upright, before they are sent.

One bad picture fails the whole request that it is in, so what can be told by a file's first bytes
is told before the first is sent. The server decodes the usual JPEG or PNG, and alone knows whether
it is whole; only what it would not take, or take wrongly, is decoded here.
"""

import os
import stat
from collections.abc import Iterable, Mapping, Sequence

from datasets.files import formats, pictures, walk
from serving.command import examples, printable, warn
from serving.errors import BadImageError, BadInputError


def find(paths: Iterable[str], links: dict[str, str] | None = None) -> list[str]:
    """Returns the picture files that a command line names, each once, where it came first.

    What is passed over or left out in folders is told in a line on stderr.

    Args:
        paths: files, taken as they are, and folders, searched as `datasets.files.walk` does.
        links: if given, gets {name left out: name returned} of links to one file; absolute.

    Raises:
        BadInputError: a folder can't be read or has no pictures. Files that are named are not
            opened.
    """
    found = walk.Found()
    for path in paths:
        if os.path.isdir(path):
            _search(path, found)
        else:
            found.files.append(path)
    if notes := found.notes():
        warn(printable("; ".join(notes)))
    files: dict[str, str] = {}
    for file in found.files:
        first = files.setdefault(os.path.realpath(file), file)
        names = os.path.abspath(file), os.path.abspath(first)
        if links is not None and names[0] != names[1]:
            links[names[0]] = names[1]
    return list(files.values())


def link_note(links: Mapping[str, str]) -> str:
    """Returns a line for the user on the links of `find`."""
    names = examples([f"{link} is {file}" for link, file in links.items()])
    return f"note: {len(links)} names lead by links to files that have another name here: {names}"


def check(path: str) -> None:
    """Checks a file by its beginning; cheap enough for all files before the first is sent.

    Raises:
        BadImageError: it can't be read, or isn't a picture of at most `pictures.MAX_BYTES`.
    """
    _read(path, formats.HEAD)


def check_all(paths: Iterable[str]) -> None:
    """As `check`, for several."""
    for path in paths:
        check(path)


def read(path: str) -> bytes:
    """Returns the bytes of a file, as they are.

    Raises:
        BadImageError: as in `check`.
    """
    return _read(path, pictures.MAX_BYTES + 1)


def check_encoded(data: bytes, name: str) -> None:
    """Checks the bytes of a picture by the first of them.

    Raises:
        BadImageError: they aren't a picture of at most `pictures.MAX_BYTES`.
    """
    try:
        pictures.checked_kind(data)
    except pictures.PictureError as error:
        raise BadImageError(str(error), name) from error


def check_all_encoded(encoded: Sequence[bytes], names: Sequence[str]) -> None:
    """As `check_encoded`, for several."""
    for data, name in zip(encoded, names, strict=True):
        check_encoded(data, name)


def upright(data: bytes, name: str) -> bytes:
    """Returns a picture in the form that every server takes: JPEG or PNG, upright.

    Args:
        data: its bytes, of any format of `datasets.files.pictures`; usual ones come back.
        name: of the picture, for errors.

    Raises:
        BadImageError: as in `check_encoded`; or it has to be decoded, and can't be.
    """
    try:
        return pictures.upright(data)
    except pictures.PictureError as error:
        raise BadImageError(str(error), name) from error


def _search(folder: str, found: walk.Found) -> None:
    if found.searched(folder):
        return
    before = len(found.files)
    try:
        walk.pictures(folder, found)
    except OSError as error:
        raise BadInputError(f"can't be searched: {error.strerror}", error.filename) from error
    if len(found.files) == before:
        raise BadInputError("; ".join(["no pictures in this folder", *found.notes()]), folder)


def _read(path: str, size: int) -> bytes:
    try:
        # Asked before opening, for a pipe would make us wait.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BadImageError("not a file", path)
        with open(path, "rb") as file:
            whole = os.fstat(file.fileno()).st_size
            if whole > pictures.MAX_BYTES:
                raise BadImageError(f"has {whole} bytes; the limit is {pictures.MAX_BYTES}", path)
            data = file.read(size)
            check_encoded(data, path)
            return data
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadImageError(f"can't be read: {reason}", path) from error
