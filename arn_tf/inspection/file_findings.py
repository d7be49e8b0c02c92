"""Findings on files: what can't be read, what is left out, what is decoded anew."""

from collections.abc import Iterator

import numpy as np

from arn_tf.inspection.declared import Some
from arn_tf.inspection.facts import FORMATS, Problem
from arn_tf.inspection.finding import Finding, Level, Pictures
from datasets.files.pictures import MAX_BYTES, MAX_PIXELS

_CAUSES = "training stops at the first of them, unless it is told to leave them out"
_REMOVE = "remove them, or pass --skip_bad_images to training"
# {problem: (name, what, what to do)}.
_PROBLEMS = {
    Problem.GONE: (
        "gone",
        "pictures that are no longer there",
        "look again when nothing writes or cleans the folder; remove links that lead nowhere",
    ),
    Problem.UNREACHABLE: (
        "unreachable",
        "pictures that can't be opened",
        "check their rights and the disk; then look again",
    ),
    Problem.EMPTY: (
        "empty",
        "files without a byte",
        f"copy them again: a copy was cut off, or a disk was full; or {_REMOVE}",
    ),
    Problem.TOO_LARGE: (
        "too_large",
        f"pictures of more than {MAX_PIXELS:,} pixels or {MAX_BYTES >> 20} MiB",
        "crop the persons out of them; whole frames are no crops",
    ),
    Problem.HEIC: (
        "heic",
        "HEIC pictures under another name",
        "convert them to JPEG or PNG",
    ),
    Problem.NOT_A_PICTURE: (
        "not_a_picture",
        "files named as pictures that are none",
        _REMOVE,
    ),
    Problem.DAMAGED: (
        "damaged",
        "damaged pictures, most likely cut off",
        f"copy or export them again, or {_REMOVE}",
    ),
}


def findings(pictures: Pictures) -> Iterator[Finding]:
    """Yields what is the matter with files."""
    for problem, (name, what, do) in _PROBLEMS.items():
        rows = np.flatnonzero(pictures.facts["problem"] == problem)
        if len(rows):
            yield Finding(name, Level.HARMS, len(rows), what, pictures.names(rows), _CAUSES, do)
    declared = pictures.declared
    yield from _some(
        declared.left_out,
        "left_out",
        Level.HARMS,
        "pictures that can't be placed: unlike the names, or their file is missing",
        "nothing is learnt from them; training stops at them, unless it is told to leave them out",
        "rename them, mend the table, or pass --skip_bad_images to training",
    )
    yield from _some(
        declared.undecoded,
        "undecodable",
        Level.HARMS,
        "photographs in formats that can't be read: HEIC, or a camera's raw",
        "they are passed over, as if they weren't there",
        "convert them to JPEG or PNG, where they are to count",
    )
    yield from _formats(pictures)


def _some(
    some: Some, name: str, level: Level, what: str, causes: str, do: str
) -> Iterator[Finding]:
    if some.count:
        yield Finding(name, level, some.count, what, some.examples, causes, do)


def _formats(pictures: Pictures) -> Iterator[Finding]:
    plain = [FORMATS.index(name) for name in ("JPEG", "PNG")]
    rows = np.flatnonzero(pictures.good & ~np.isin(pictures.facts["format"], plain))
    if len(rows):
        kinds = sorted({FORMATS[code] for code in np.unique(pictures.facts["format"][rows])})
        yield Finding(
            "other_formats",
            Level.NOTE,
            len(rows),
            f"pictures neither JPEG nor PNG, but {', '.join(kinds)}",
            pictures.names(rows),
            "they are decoded and encoded anew, which loses nothing and takes longer",
            "nothing",
        )
    rows = np.flatnonzero(pictures.good & pictures.facts["turned"])
    if len(rows):
        yield Finding(
            "turned",
            Level.NOTE,
            len(rows),
            "pictures stored turned or mirrored, as EXIF says",
            pictures.names(rows),
            "they are turned upright",
            "nothing, if they look upright in your viewer; else write them anew without EXIF",
        )
