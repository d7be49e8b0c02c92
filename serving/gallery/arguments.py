"""Arguments of the gallery's commands, checked: files, their content, names, ages."""

import glob
import hashlib
import math
import os
import re
from collections.abc import Iterable

from datasets.own_cameras import times
from serving.client import picture_files
from serving.errors import BadImageError, BadInputError
from serving.gallery.file_state import check_encoding

_SECONDS = {"d": 86400, "h": 3600, "m": 60}


def find(paths: Iterable[str], links: dict[str, str] | None = None) -> list[str]:
    """Returns absolute paths of the pictures that `serving.client.picture_files.find` finds."""
    return [os.path.abspath(path) for path in picture_files.find(paths, links)]


def content_hash(file: str) -> bytes:
    """Returns the SHA-256 of a picture's file as it is, 32 bytes.

    Raises:
        BadImageError: it can't be read, is no picture, or a gallery can't hold its name.
        BadInputError: see `check_encoding`.
    """
    check_encoding(file)
    try:
        file.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(file).decode("utf-8", "backslashreplace")
        raise BadImageError("the name is not UTF-8; rename the file", shown) from error
    picture_files.check(file)
    try:
        with open(file, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").digest()
    except OSError as error:
        raise BadImageError(f"can't be read: {error.strerror}", file) from error


def check_source(path: str) -> None:
    """Checks that a gallery can hold the path of a folder or table that names tracklets.

    Raises:
        BadInputError: it is not UTF-8, or see `check_encoding`.
    """
    check_encoding(path)
    try:
        path.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise BadInputError("the name is not UTF-8; rename it", shown) from error


def file_pattern(text: str) -> str:
    """Returns a glob pattern made absolute; the working folder's name is no pattern in it."""
    return os.path.normpath(os.path.join(glob.escape(os.getcwd()), text))


def below(folder: str) -> str:
    """Returns a glob pattern of all files below a folder, which needn't be there.

    Raises:
        BadInputError: it is empty or not UTF-8.
    """
    path = os.path.abspath(storable("folder", folder))
    return os.path.join(glob.escape(path), "*")


def storable(argument: str, text: str) -> str:
    """Returns the text that was given for an argument.

    Raises:
        BadInputError: it is empty or not UTF-8, so that no gallery can hold it.
    """
    check_encoding(text)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInputError(f"`{argument}`: not UTF-8") from error
    if not text:
        raise BadInputError(f"`{argument}`: is empty")
    return text


def moment(argument: str, text: str) -> float:
    """Returns a time as tables of pictures have it, in seconds.

    Raises:
        BadInputError: it is none.
    """
    found = times.seconds(text)
    if math.isnan(found):
        raise BadInputError(
            "give seconds, or a date and time such as 2026-11-28T18:40:00, as the pictures have it",
            arguments={argument: text},
        )
    return found


def age(older_than: str) -> int:
    """Returns the seconds in an age like 30d, 12h or 90m.

    Raises:
        BadInputError: it isn't one.
    """
    match = re.fullmatch(r"([0-9]{1,9})([dhm])", older_than)
    if not match:
        raise BadInputError(
            "give a whole number and d (days), h (hours) or m (minutes), like 30d",
            arguments={"older_than": older_than},
        )
    return int(match[1]) * _SECONDS[match[2]]
