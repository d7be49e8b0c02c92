"""What a folder or table holds that its listing leaves out, or takes for something else."""

import dataclasses
import os

import numpy as np

from arn_tf.inspection.names import SHOWN
from datasets.files import walk
from datasets.own_cameras import manifest
from datasets.own_cameras.listing import Listing
from datasets.own_cameras.template import Template

# Photographs that a program of the camera's maker or a phone wrote, by the ending of their names.
_NOT_DECODED = (".heic", ".heif", ".hif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf")


@dataclasses.dataclass(frozen=True)
class Some:
    """A number of things, and the first few of them."""

    count: int = 0
    examples: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Declared:
    """What is beside the listed pictures.

    Attributes:
        left_out: pictures or rows that aren't like the names, or whose file is missing.
        undecoded: photographs in formats that can't be read, HEIC and raw.
        odd_times: pictures whose time is no time, "picture: time".
    """

    left_out: Some = Some()
    undecoded: Some = Some()
    odd_times: Some = Some()


def declared(found: Listing, path: str, names: str) -> Declared:
    """Looks again at a folder or table; no picture is opened.

    Args:
        found: its listing.
        path: of the folder or table.
        names: template of the paths in a folder, or "".
    """
    path = os.path.abspath(os.path.expanduser(path))
    times: dict[str, str] = {}
    undecoded: list[str] = []
    if os.path.isdir(path):
        searched = walk.pictures(path)
        there = searched.files
        undecoded = [
            os.path.relpath(file, path)
            for file in searched.others
            if file.lower().endswith(_NOT_DECODED)
        ]
        if names and "time" in (template := Template(names)).fields:
            values = (template.values(file) or {} for file in found.files)
            times = {found.path(row): value.get("time", "") for row, value in enumerate(values)}
    else:
        rows, _ = manifest.read(path)
        there = sorted(rows)
        column = manifest.COLUMNS.index("time") - 1
        times = {file: values[column] for file, values in rows.items()}
    return Declared(
        _some(_left_out(found, there)), _some(undecoded), _some(_odd_times(found, times))
    )


def _left_out(found: Listing, there: list[str]) -> list[str]:
    # Nearly always: no set of a million paths is needed.
    if len(there) == len(found):
        return []
    kept = {os.path.normpath(found.path(row)) for row in range(len(found))}
    return [os.path.relpath(file, found.root) for file in there if file not in kept]


def _odd_times(found: Listing, times: dict[str, str]) -> list[str]:
    return [
        f"{found.files[row]}: {time}"
        for row in np.flatnonzero(np.isnan(found.time)).tolist()
        if (time := times.get(os.path.normpath(found.path(row)), ""))
    ]


def _some(names: list[str]) -> Some:
    return Some(len(names), tuple(names[:SHOWN]))
