"""Small pictures of a user's own, as files."""

import io
import pathlib

import numpy as np
from PIL import Image

SIZE = (12, 6)


def pixels(seed: int) -> np.ndarray:
    """Returns random pixels, uint8 [*SIZE, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)


def encoded(seed: int, kind: str = "PNG") -> bytes:
    """Returns an encoded picture of `pixels(seed)`."""
    stream = io.BytesIO()
    Image.fromarray(pixels(seed)).save(stream, kind)
    return stream.getvalue()


def write(root: pathlib.Path, files: dict[str, bytes]) -> str:
    """Writes {path below the folder: bytes}; returns the folder."""
    for file, data in files.items():
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return str(root)
