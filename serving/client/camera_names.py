"""Numbers of cameras: read off files' names, and what is said of those a model doesn't know."""

import os
import re

from serving.errors import BadInputError

# The names of Market-1501 and DukeMTMC-reID: 0002_c1s1_000451_03.jpg, 0001_c2_f0046182.jpg.
PATTERN = r"_c(\d+)"
UNKNOWN_CAMERA = -1
LARGEST_CAMERA = 2**63 - 1


def compile_pattern(text):
    """Compiles --camera_pattern; it must have exactly one group.

    Raises:
        BadInputError: it isn't such a regular expression.
    """
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise BadInputError(f"--camera_pattern={text}: no regular expression: {error}") from error
    if pattern.groups != 1:
        raise BadInputError(
            f"--camera_pattern={text}: needs one group, in brackets, around the camera's name, "
            f"like {PATTERN}; it has {pattern.groups}"
        )
    return pattern


def name_of(file, pattern):
    """The camera that a file's name tells by a compiled pattern, or None."""
    match = pattern.search(os.path.basename(file))
    return (match[1] or None) if match else None


def number_of(name):
    """The number that a camera's name is, or `UNKNOWN_CAMERA`; None is no name."""
    # A file's name has 255 letters at most, and int() a limit of its own.
    if name is None or not re.fullmatch(r"\d{1,255}", name):
        return UNKNOWN_CAMERA
    number = int(name)
    return number if number <= LARGEST_CAMERA else UNKNOWN_CAMERA


def numbers_of(files, pattern):
    """The camera's number of each file.

    Raises:
        BadInputError: a file's name tells none.
    """
    numbers = [number_of(name_of(file, pattern)) for file in files]
    if UNKNOWN_CAMERA in numbers:
        raise BadInputError(
            "no camera's number in its name by --camera_pattern",
            files[numbers.index(UNKNOWN_CAMERA)],
        )
    return numbers


def notes(unknown, model, version):
    """Lines on cameras without statistics of their own.

    Args:
        unknown: their numbers, each once; -1 stands for pictures whose camera has no number.
        model: name of the model.
        version: of it.
    """
    lines = []
    numbers = [str(camera) for camera in sorted(unknown) if camera != UNKNOWN_CAMERA]
    if numbers:
        lines.append(
            f"note: model {model} version {version} has no statistics of camera "
            f"{', '.join(numbers)}: its pictures were embedded by those of the whole target. "
            "Calibrate it with arn_tf.calibrate and export again"
        )
    if UNKNOWN_CAMERA in unknown:
        lines.append(
            "note: pictures whose camera has no number were embedded by the statistics of the "
            "whole target"
        )
    return lines
