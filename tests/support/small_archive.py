"""A small data set in the layout of the re-ID archives, to be written as it is or spoilt."""

import pathlib
import zipfile

import numpy as np
import tensorflow as tf

from datasets import archive

FOLDER = "Any-reID"
LAYOUT = archive.Layout(
    archive="Any-reID.zip",
    folder=FOLDER,
    name_pattern=r"(?P<person>-1|\d+)_c(?P<camera>\d+)(\.jpg)+",
    name_example="0007_c2.jpg",
    train_per_camera=(2, 1),
    train_identities=2,
    query_pictures=1,
    gallery_pictures=3,
)


def jpeg(seed: int) -> bytes:
    """Returns a picture of random pixels, the same for the same seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 8, 3), np.uint8)
    return tf.io.encode_jpeg(pixels).numpy()


def good_files() -> dict[str, bytes]:
    """Returns {path below the data set's folder: content}, in no particular order."""
    return {
        "bounding_box_train/0007_c2.jpg": jpeg(1),
        "bounding_box_train/0002_c1.jpg": jpeg(2),
        "bounding_box_train/0007_c1.jpg": jpeg(3),
        "query/0003_c1.jpg": jpeg(4),
        "bounding_box_test/0003_c2.JPG": jpeg(5),
        "bounding_box_test/0000_c1.jpg": jpeg(6),
        "bounding_box_test/-1_c1.jpg.jpg": jpeg(7),
        "bounding_box_test/Thumbs.db": b"litter",
        "bounding_box_test/._0003_c2.jpg": b"litter",
        "gt_bbox/0001_c1.jpg": b"another folder",
        "readme.txt": b"another file",
    }


def write_zip(manual: pathlib.Path, files: dict[str, bytes], root: str = FOLDER + "/") -> None:
    """Writes files as the archive of the data set.

    Args:
        manual: folder of the archive.
        files: {path below `root`: content}.
        root: the folder inside the archive, with its slash.
    """
    with zipfile.ZipFile(manual / LAYOUT.archive, "w") as zipped:
        for name, data in files.items():
            zipped.writestr(root + name, data)


def write_folder(manual: pathlib.Path, files: dict[str, bytes], root: str = FOLDER) -> None:
    """Writes files as the extracted folder of the data set.

    Args:
        manual: folder of the extracted folder.
        files: {path below `root`: content}.
        root: name of the extracted folder.
    """
    for name, data in files.items():
        path = manual / root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
