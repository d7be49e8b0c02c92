"""Crops that differ from each other, and what `arn_tf.inspect` says of a folder of them."""

import json
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from arn_tf.inspection import command


def crop(number: int, size: tuple[int, int] = (32, 64)) -> Image.Image:
    """A picture of smooth colours, for each number others.

    Args:
        number: of the picture.
        size: (width, height) in pixels.
    """
    patches = np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8)
    return Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC)


def write(folder: pathlib.Path, count: int, first: int = 0) -> list[pathlib.Path]:
    """Writes crops of consecutive numbers as JPEG files; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}.jpg" for number in range(first, first + count)]
    for number, path in enumerate(paths, first):
        crop(number).save(path, quality=95)
    return paths


def two_cameras(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Writes 40 crops of cameras "in" and "out" each; returns their folders."""
    write(folder / "in", 40)
    write(folder / "out", 40, 100)
    return folder / "in", folder / "out"


def inspected(path: pathlib.Path, names: str = "", source: str = "") -> dict[str, Any]:
    """What the command's JSON says, with findings by name, and its exit status."""
    report = path.parent / "report.json"
    status = command.inspect(str(path), names, source, str(report), "")
    content = json.loads(report.read_text())
    content["findings"] = {finding["name"]: finding for finding in content["findings"]}
    return content | {"status": status}
