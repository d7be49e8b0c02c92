"""Tests of datasets/market1501 on a tiny archive made here and on the project's own archive."""

import pathlib
import tempfile
import zipfile
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from datasets import archive
from datasets.market1501 import market1501_dataset_builder
from tests.support.places import SHARED

LAYOUT = market1501_dataset_builder.LAYOUT
MANUAL = SHARED / "data" / "manual"
FILES = [
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c2s1_000301_01.jpg",
    "bounding_box_train/0851_c4s5_041785_01.jpg",
    "query/0001_c1s1_001051_00.jpg",
    "bounding_box_test/0001_c3s1_001051_00.jpg",
    "bounding_box_test/0000_c2s1_000151_01.jpg",
    "bounding_box_test/-1_c6s3_000401_03.jpg.jpg",
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
    builder = tfds.builder("market1501", data_dir=data_dir, **kwargs)
    config = tfds.download.DownloadConfig(manual_dir=manual, try_download_gcs=False)
    config.download_mode = tfds.GenerateMode(mode) if mode else config.download_mode
    builder.download_and_prepare(download_config=config)
    return builder


class BuilderTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = market1501_dataset_builder.Builder
    SPLITS = {"train": 3, "query": 1, "gallery": 3}  # noqa: RUF012

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
    gallery = {
        e["file_name"].decode(): (e["person_id"], e["camera_id"], e["image"].shape)
        for e in tfds.as_numpy(builder.as_dataset(split="gallery"))
    }
    assert gallery == {
        "0001_c3s1_001051_00.jpg": (1, 3, (16, 8, 3)),
        "0000_c2s1_000151_01.jpg": (0, 2, (16, 8, 3)),
        "-1_c6s3_000401_03.jpg.jpg": (-1, 6, (16, 8, 3)),
    }


def test_official_counts():
    assert sum(LAYOUT.train_per_camera) == 12936


@pytest.mark.parametrize("bad", ["archive", "picture", "no manual directory"])
def test_errors_reach_the_caller_and_leave_nothing_behind(tmp_path, bad):
    manual, data_dir = tmp_path / "manual", tmp_path / "prepared"
    if bad != "no manual directory":
        manual.mkdir()
        write_archive(manual, FILES, query=b"not a picture")
    if bad == "archive":
        (manual / LAYOUT.archive).write_bytes(b"not an archive")
    with pytest.raises(archive.DataError, match=str(manual)):
        prepare(manual, data_dir)
    assert not [path for path in data_dir.rglob("*") if path.is_file()]
    assert not tfds.builder("market1501", data_dir=data_dir).is_prepared()


def test_an_error_while_records_are_written_is_passed_on_too(tmp_path, monkeypatch):
    def fail(source, pictures):
        yield from list(read_examples(source, pictures))[:1]
        raise archive.DataError("the source was changed")

    read_examples = archive.read_examples
    monkeypatch.setattr(archive, "read_examples", fail)
    write_archive(tmp_path, FILES)
    with pytest.raises(archive.DataError, match=r"^the source was changed$"):
        prepare(tmp_path, tmp_path / "prepared")
    assert not [path for path in (tmp_path / "prepared").rglob("*") if path.is_file()]


def test_bad_pictures_can_be_skipped(tmp_path):
    names = ["0009_c1s1_000001_00.jpg", "-1_c1s1_000001_00.jpg", "what.jpg"]
    extra = [*FILES, *(f"query/{name}" for name in names)]
    write_archive(tmp_path, extra)
    builder = prepare(tmp_path, tmp_path / "prepared", skip_bad_images=True)
    assert builder.info.splits["query"].num_examples == 2
    assert builder.info.metadata["skipped"] == [
        "query/-1_c1s1_000001_00.jpg: person -1: only bounding_box_test may hold junk or "
        "distractors",
        "query/what.jpg: not such a name",
    ]


def test_preparing_again_replaces_the_metadata(tmp_path):
    write_archive(tmp_path, FILES)
    first = dict(prepare(tmp_path, tmp_path / "prepared").info.metadata)
    write_archive(tmp_path, FILES[1:])
    kept = prepare(tmp_path, tmp_path / "prepared").info.metadata
    assert kept == first
    assert kept["fingerprint"] != archive.fingerprint(tmp_path, LAYOUT)  # How to notice.
    prepare(tmp_path, tmp_path / "prepared", mode="reuse_cache_if_exists")
    second = tfds.builder("market1501", data_dir=tmp_path / "prepared").info.metadata
    assert second["fingerprint"] == archive.fingerprint(tmp_path, LAYOUT)
    assert second["splits"]["train"]["pictures"] == 2


@pytest.mark.skipif(not MANUAL.exists(), reason="the shared archives are not here")
def test_shared_archive(tmp_path):
    builder = prepare(MANUAL, tmp_path)
    sizes = {split: info.num_examples for split, info in builder.info.splits.items()}
    assert sizes == {"train": 2521, "query": 435, "gallery": 1326}
    metadata = tfds.builder("market1501", data_dir=tmp_path).info.metadata  # From the disk.
    assert metadata["splits"]["train"]["identities"] == 150
    assert metadata["splits"]["train"]["cameras"] == 6
    assert metadata["skipped"] == []
    assert metadata["official_comparison"][0].startswith("10 of 11 counts differ")
    assert metadata["fingerprint"] == archive.fingerprint(MANUAL, LAYOUT)
