"""Cameras read off the names of picture files: the one parser, of both `arn_tf` and `serving`.

Standard library only, so that a client without TensorFlow can import it.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable

# The names of Market-1501 and DukeMTMC-reID: 0002_c1s1_000451_03.jpg, 0001_c2_f0046182.jpg.
PATTERN = r"_c(\d+)"
UNKNOWN_CAMERA = -1
LARGEST_CAMERA = 2**63 - 1  # numbers of cameras are int64
# From here on, and below its double, those of names that are no numbers: exact in JSON everywhere.
_NAMED = 2**52


def compile_pattern(text: str) -> re.Pattern[str]:
    """Returns the compiled pattern of a camera in a file's name.

    Args:
        text: regular expression with exactly one group, the camera.

    Raises:
        ValueError: it isn't such a regular expression; the text is for a user and doesn't
            repeat the pattern.
    """
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{error}, so it is no regular expression") from error
    if pattern.groups != 1:
        raise ValueError(
            f"needs one group, as in '{PATTERN}', around the camera; it has {pattern.groups}"
        )
    return pattern


def name_of(file: str, pattern: re.Pattern[str]) -> str | None:
    """Returns the camera in a file's name, or None if there is none.

    Args:
        file: path; the folder's part is not searched.
        pattern: of `compile_pattern`.
    """
    match = pattern.search(os.path.basename(file))
    # A group that took no part in the match is None.
    return (match[1] or None) if match else None


def number_of(name: str | None) -> int:
    """Returns the number that stands for a camera's name, 0 to `LARGEST_CAMERA`.

    Digits are that number. Another name has one of its own, `_NAMED` or more, made of its SHA-256:
    the same wherever it is asked for, so that a client needs no table of the model's.
    `UNKNOWN_CAMERA` where the name is None, empty or "-1".
    """
    if not name or name == str(UNKNOWN_CAMERA):
        return UNKNOWN_CAMERA
    # int() has a limit of its own.
    if re.fullmatch(r"\d{1,255}", name) and int(name) <= LARGEST_CAMERA:
        return int(name)
    # macOS writes an umlaut in two letters.
    text = unicodedata.normalize("NFC", name).encode(errors="surrogateescape")
    return _NAMED | int.from_bytes(hashlib.sha256(text).digest()[:8], "big") % _NAMED


def named(names: Iterable[str]) -> dict[int, str]:
    """Returns {number: name} of cameras.

    Raises:
        ValueError: two names are one number, as 1 and 01 are.
    """
    numbers: dict[int, str] = {}
    for name in names:
        other = numbers.setdefault(number_of(name), name)
        if other != name:
            raise ValueError(f"cameras {other!r} and {name!r} have one number; rename one of them")
    return numbers


def numbers_of(files: Iterable[str], pattern: re.Pattern[str]) -> list[int]:
    """Returns each file's camera as a number, `UNKNOWN_CAMERA` where its name has none."""
    return [number_of(name_of(file, pattern)) for file in files]
