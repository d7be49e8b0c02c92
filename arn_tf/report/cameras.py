"""Cameras in the order and by the names that a reader knows them by."""

import re

import numpy as np

from arn_tf.ranking.scores import Split

_UNKNOWN = "unknown camera"


def names(*splits: Split) -> dict[int, str]:
    """Returns {camera_id: name} of the known cameras: numbers in their order, then names in theirs.

    Args:
        splits: their pictures; see `arn_tf.data.split.Split`.
    """
    found: dict[int, str] = {}
    for split in splits:
        cameras, rows = np.unique(split.camera_id, return_index=True)
        for camera, row in zip(cameras.tolist(), rows.tolist(), strict=True):
            if camera >= 0:
                found[camera] = split.camera(row)
    # "c" and its number is what `camera` calls one without a name.
    named = {camera: name != f"c{camera}" for camera, name in found.items()}
    return dict(sorted(found.items(), key=lambda item: (named[item[0]], _natural(item[1]))))


def name(split: Split, row: int) -> str:
    """Returns the name of a picture's camera."""
    return _UNKNOWN if split.camera_id[row] < 0 else split.camera(row)


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """A key by which gate2 comes before gate10."""
    parts = re.findall(r"[0-9]{1,99}|[^0-9]+", text)
    return [(False, int(p), "") if p[0] in "0123456789" else (True, 0, p) for p in parts]
