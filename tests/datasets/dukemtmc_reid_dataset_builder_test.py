"""Tests of datasets/dukemtmc_reid on a tiny archive made here and on the project's own archive."""

import pathlib
import tempfile
import zipfile
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from datasets import archive
from datasets.dukemtmc_reid import dukemtmc_reid_dataset_builder
from tests.support.places import SHARED

LAYOUT = dukemtmc_reid_dataset_builder.LAYOUT
MANUAL = SHARED / "data" / "manual"
FILES = [
    "bounding_box_train/0052_c2_f0052004.jpg",
    "bounding_box_train/0052_c8_f0052017.jpg",
    "bounding_box_train/7140_c5_f0129833.jpg",
    "query/0005_c2_f0046985.jpg",
    "bounding_box_test/0005_c1_f0046001.jpg",
    "bounding_box_test/0006_c2_f0051503.jpg",
]


def write_archive(manual: pathlib.Path, files: list[str], **broken: bytes) -> None:
    """Writes pictures that all differ; `broken` replaces the content of one split folder."""
    with zipfile.ZipFile(manual / LAYOUT.archive, "w") as zipped:
        for seed, name in enumerate(files):
            pixels = np.random.default_rng(seed).integers(0, 256, (16, 8, 3), np.uint8)
            data = broken.get(name.split("/")[0], tf.io.encode_jpeg(pixels).numpy())
            zipped.writestr(f"{LAYOUT.folder}/{name}", data)


def prepare(
    manual: pathlib.Path, data_dir: pathlib.Path, mode: str | None = None, **kwargs: Any
) -> tfds.core.DatasetBuilder:
    """Prepares the data set; returns its builder."""
    builder = tfds.builder("dukemtmc_reid", data_dir=data_dir, **kwargs)
    config = tfds.download.DownloadConfig(manual_dir=manual, try_download_gcs=False)
    config.download_mode = tfds.GenerateMode(mode) if mode else config.download_mode
    builder.download_and_prepare(download_config=config)
    return builder


class BuilderTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = dukemtmc_reid_dataset_builder.Builder
    SPLITS = {"train": 3, "query": 1, "gallery": 2}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.EXAMPLE_DIR = folder.name
        write_archive(pathlib.Path(folder.name), FILES)
        super().setUpClass()


def test_examples(tmp_path):
    write_archive(tmp_path, FILES)
    builder = prepare(tmp_path, tmp_path / "prepared")
    train = {
        e["file_name"].decode(): (e["person_id"], e["camera_id"], e["image"].shape)
        for e in tfds.as_numpy(builder.as_dataset(split="train"))
    }
    assert train == {
        "0052_c2_f0052004.jpg": (52, 2, (16, 8, 3)),
        "0052_c8_f0052017.jpg": (52, 8, (16, 8, 3)),
        "7140_c5_f0129833.jpg": (7140, 5, (16, 8, 3)),
    }


def test_official_counts():
    assert sum(LAYOUT.train_per_camera) == 16522


def test_the_archive_of_the_other_data_set(tmp_path):
    market = ["bounding_box_train", "query", "bounding_box_test"]
    write_archive(tmp_path, [f"{folder}/0851_c4s5_041785_01.jpg" for folder in market])
    with pytest.raises(archive.DataError, match="another data set"):
        prepare(tmp_path, tmp_path / "prepared", skip_bad_images=True)


def test_distractors_are_for_the_gallery_only(tmp_path):
    write_archive(tmp_path, [*FILES, "bounding_box_test/0000_c1_f0046001.jpg"])
    builder = prepare(tmp_path, tmp_path / "prepared")
    assert builder.info.metadata["splits"]["gallery"]["distractors"] == 1
    write_archive(tmp_path, [*FILES, "bounding_box_train/0000_c1_f0046001.jpg"])
    with pytest.raises(archive.DataError, match="person 0000: only bounding_box_test may hold"):
        prepare(tmp_path, tmp_path / "again")


@pytest.mark.skipif(not MANUAL.exists(), reason="the shared archives are not here")
def test_shared_archive(tmp_path):
    builder = prepare(MANUAL, tmp_path)
    sizes = {split: info.num_examples for split, info in builder.info.splits.items()}
    assert sizes == {"train": 320, "query": 48, "gallery": 146}
    metadata = tfds.builder("dukemtmc_reid", data_dir=tmp_path).info.metadata  # From the disk.
    assert metadata["splits"]["train"]["identities"] == 20
    assert metadata["splits"]["train"]["cameras"] == 2
    assert metadata["skipped"] == []
    assert metadata["official_comparison"][0].startswith("12 of 13 counts differ")
    assert metadata["fingerprint"] == archive.fingerprint(MANUAL, LAYOUT)
