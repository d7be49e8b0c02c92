"""Market-1501: six cameras in front of a supermarket."""

from typing import ClassVar

import tensorflow_datasets as tfds

from datasets import archive
from datasets.archive_builder import ArchiveBuilder

LAYOUT = archive.Layout(
    archive="Market-1501-v15.09.15.zip",
    folder="Market-1501-v15.09.15",
    # Identity, camera, sequence, frame, box; some copies repeat the suffix.
    name_pattern=r"(?P<person>-1|\d{1,9})_c(?P<camera>[1-9]\d{0,3})s\d+_\d+_\d+(\.jpg)+",
    name_example="0851_c4s5_041785_01.jpg",
    train_per_camera=(2017, 1709, 2707, 920, 2338, 3245),
    train_identities=751,
    query_pictures=3368,
    gallery_pictures=19732,
)


class Builder(ArchiveBuilder):
    """Market-1501 from its official archive, or a smaller archive of the same layout."""

    LAYOUT = LAYOUT
    HOMEPAGE = "https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    Put {LAYOUT.archive}, or the folder {LAYOUT.folder} extracted from it, into the manual
    directory. Its authors describe how to get it on
    https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html
    """
