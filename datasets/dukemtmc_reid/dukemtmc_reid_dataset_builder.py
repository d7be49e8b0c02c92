"""DukeMTMC-reID: eight cameras on a campus."""

from typing import ClassVar

import tensorflow_datasets as tfds

from datasets import archive
from datasets.archive_builder import ArchiveBuilder

LAYOUT = archive.Layout(
    archive="DukeMTMC-reID.zip",
    folder="DukeMTMC-reID",
    # Identity, camera, frame.
    name_pattern=r"(?P<person>\d{1,9})_c(?P<camera>[1-9]\d{0,3})_f\d+(\.jpg)+",
    name_example="0052_c2_f0052004.jpg",
    train_per_camera=(2809, 3009, 1088, 1395, 1685, 3700, 1330, 1506),
    train_identities=702,
    query_pictures=2228,
    gallery_pictures=17661,
)


class Builder(ArchiveBuilder):
    """DukeMTMC-reID from its official archive, or a smaller archive of the same layout."""

    LAYOUT = LAYOUT
    HOMEPAGE = "https://github.com/sxzrt/DukeMTMC-reID_evaluation"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    Put {LAYOUT.archive}, or the folder {LAYOUT.folder} extracted from it, into the manual
    directory. Its authors have withdrawn it, so it can no longer be downloaded from them.
    """
