"""The record of a user's pictures that a run began with, and what has become of them since."""

import base64
import contextlib
import dataclasses
import json
import os
from typing import Any

import numpy as np

from datasets.files.atomic_files import is_refusal, replace_text
from datasets.own_cameras.listing import Labels, Listing

_SHOWN = 3
_LABELS = ("camera", "tracklet", "person_id", "split")


def kept(
    path: str, found: Listing, stamps: np.ndarray, begun: bool
) -> tuple[Listing, np.ndarray, list[str]]:
    """Records pictures, or returns those that a run began with.

    Where the record is missing and its folder is to be read alone, it says so.

    Args:
        path: of the record.
        found: the pictures of now.
        stamps: their sizes and times, int64 [N, 2]; see `picture_files.stamps`.
        begun: whether the run has begun to learn.

    Returns:
        the pictures to go on with, their sizes and times, and lines for the user on what changed.

    Raises:
        OSError: the record can't be written.
    """
    before_and_stamps = known(path) if begun else None
    if before_and_stamps is None:
        try:
            write(path, found, stamps)
        except OSError as error:
            # A finished run may be read alone; one that begins must know them later.
            if not begun or not is_refusal(error):
                raise
            print(f"{path} can't be written ({error.strerror}): which files these are is not kept")
        return found, stamps, []
    before, stamps_before = before_and_stamps
    changed = changes(before, stamps_before, found, stamps)
    if not changed:
        return before, stamps_before, []
    return (
        before,
        stamps_before,
        [
            f"{changed} since the run began. It goes on with the pictures that it began with; to "
            "learn from those of now, name another model_dir"
        ],
    )


def changes(before: Listing, stamps_before: np.ndarray, found: Listing, stamps: np.ndarray) -> str:
    """Returns which pictures were added, removed or changed, for the user; "" where none was."""
    if before.files == found.files and np.array_equal(stamps_before, stamps):
        return ""  # most often; of a million pictures the tables below take half a gigabyte
    was = dict(zip(before.files, map(tuple, stamps_before.tolist()), strict=True))
    now = dict(zip(found.files, map(tuple, stamps.tolist()), strict=True))
    kinds = {
        "added": sorted(now.keys() - was.keys()),
        "removed": sorted(was.keys() - now.keys()),
        "changed": sorted(file for file in was.keys() & now.keys() if was[file] != now[file]),
    }
    return "; ".join(
        f"{len(files)} pictures were {kind} ({', '.join(files[:_SHOWN])}"
        + (", ...)" if len(files) > _SHOWN else ")")
        for kind, files in kinds.items()
        if files
    )


def write(path: str, found: Listing, stamps: np.ndarray) -> None:
    """Writes the record of pictures; raises an `OSError` where it can't be written."""
    content: dict[str, Any] = {
        "root": found.root,
        "told_by": found.told_by,
        "official": found.official,
        "table": found.table,
        "files": found.files,
        "time": _text(found.time, np.float64),
        "stamps": _text(stamps, np.int64),
    }
    for name in _LABELS:
        labels: Labels = getattr(found, name)
        content[name] = {"names": labels.names, "codes": _text(labels.codes, np.int32)}
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    # Names that aren't UTF-8 survive as escapes.
    replace_text(path, json.dumps(content, ensure_ascii=True))


def _text(numbers: np.ndarray, dtype: type[np.generic]) -> str:
    """Base64 of little-endian numbers: a number of Python's takes ten times as much memory."""
    return base64.b64encode(numbers.astype(np.dtype(dtype).newbyteorder("<")).tobytes()).decode()


def _array(written: Any, dtype: type[np.generic]) -> np.ndarray:
    if isinstance(written, list):  # of a run that began when they were numbers and null
        return np.array([np.nan if each is None else each for each in written], dtype)
    little = np.frombuffer(base64.b64decode(written), np.dtype(dtype).newbyteorder("<"))
    return little.astype(dtype)


def known(path: str) -> tuple[Listing, np.ndarray] | None:
    """Returns the pictures of a record, their sizes and times; None if there is no record."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        stamps = _array(content.pop("stamps"), np.int64).reshape(-1, 2)
        for name in _LABELS:
            labels = content[name]
            content[name] = Labels(_array(labels["codes"], np.int32), labels["names"])
        content["time"] = _array(content["time"], np.float64)
        content.setdefault("table", "")  # of a run that began before it was kept
        fields = {field.name for field in dataclasses.fields(Listing)} - {"notes"}
        return Listing(**{name: content[name] for name in fields}), stamps
    return None
