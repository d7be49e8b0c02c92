"""Pictures of any format and name in an official layout, and litter among them."""

import hashlib
import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from datasets import archive
from datasets.archive_builder import ArchiveBuilder
from tests.support import small_archive, small_exif
from tests.support.small_archive import FOLDER, LAYOUT, good_files, jpeg, write_folder, write_zip
from tests.support.small_pictures import FORMATS, decoded, encoded

BOTH = pytest.mark.parametrize("write", [write_zip, write_folder])


def examples(manual):
    """{file name: bytes that are stored} of the queries."""
    contents = archive.scan(manual, LAYOUT)
    read = archive.read_examples(contents.source, contents.splits["query"])
    return {name: example["image"] for name, example in read}


@BOTH
@pytest.mark.parametrize("form", FORMATS)
def test_content_decides_and_not_the_name(tmp_path, write, form):
    data = encoded(form)
    write(tmp_path, good_files() | {"query/0009_c1.jpg": data})
    found = examples(tmp_path)["0009_c1.jpg"]
    if FORMATS[form] in ("JPEG", "PNG"):
        assert found == data
    else:
        pixels = tf.io.decode_image(found, channels=3, expand_animations=False)
        np.testing.assert_array_equal(pixels, decoded(data))


@BOTH
@pytest.mark.parametrize(
    "suffix",
    [".JPG", ".jpeg", ".JPE", ".jfif", ".png", ".bmp", ".WebP", ".tiff", ".jpg.png", ".png.jpg"],
)
def test_names_end_in_any_suffix_of_a_picture(tmp_path, write, suffix):
    pictures = {name: data for name, data in good_files().items() if name[:5] in ("bound", "query")}
    pictures = {name: data for name, data in pictures.items() if data != b"litter"}
    write(tmp_path, {name.removesuffix(".jpg") + suffix: data for name, data in pictures.items()})
    contents = archive.scan(tmp_path, LAYOUT)
    assert [p.file_name for p in contents.splits["query"]] == [f"0003_c1{suffix}"]
    assert contents.metadata["official_comparison"][0].startswith("all counts equal")


@BOTH
@pytest.mark.parametrize(
    "litter",
    [
        "query/@eaDir/0003_c1.jpg/SYNOPHOTO_THUMB_XL.jpg",
        "query/@eaDir/0004_c1.jpg",
        "query/.ipynb_checkpoints/0003_c1-checkpoint.jpg",
        "bounding_box_train/__MACOSX/._0007_c1.jpg",
        "bounding_box_test/Thumbs.db",
        "bounding_box_test/._0003_c2.jpg",
        "bounding_box_test/.DS_Store",
        "@eaDir/query/0004_c1.jpg",
        ".Trash-1000/files/query/0004_c1.jpg",
    ],
)
def test_litter_is_passed_over_and_changes_no_fingerprint(tmp_path, write, litter):
    for name, files in (("clean", {}), ("littered", {litter: jpeg(8)})):
        (tmp_path / name).mkdir()
        write(tmp_path / name, good_files() | files)
    clean, littered = (archive.scan(tmp_path / name, LAYOUT) for name in ("clean", "littered"))
    assert littered.splits == clean.splits
    assert littered.metadata["fingerprint"] == clean.metadata["fingerprint"]


def test_a_second_copy_in_the_trash_is_none(tmp_path):
    trash = {f".Trash-1000/files/{name}": data for name, data in good_files().items()}
    write_zip(tmp_path, good_files() | trash)
    assert len(archive.scan(tmp_path, LAYOUT).splits["train"]) == 3
    write_zip(tmp_path, trash)  # an archive of a hidden folder
    assert len(archive.scan(tmp_path, LAYOUT).splits["train"]) == 3


def test_a_litter_folder_that_may_not_be_read(tmp_path):
    write_folder(tmp_path, good_files() | {"query/@eaDir/0003_c1.jpg": b"", "@eaDir/a": b""})
    closed = [tmp_path / FOLDER / "query" / "@eaDir", tmp_path / FOLDER / "@eaDir"]
    for folder in closed:
        os.chmod(folder, 0)
    try:
        assert len(archive.scan(tmp_path, LAYOUT).splits["query"]) == 1
    finally:
        for folder in closed:
            os.chmod(folder, 0o700)


@BOTH
def test_the_fingerprint_is_that_of_earlier_versions(tmp_path, write):
    """Recorded with version 0.2.0, so that the data sets that it prepared still open."""
    files = {name: b"\xff\xd8\xff" for name in good_files()}
    write(tmp_path, files | {"query/Thumbs.db": b"x", "bounding_box_train/.DS_Store": b"y"})
    assert archive.fingerprint(tmp_path, LAYOUT) == (
        "0c5c407f8c19b463c3d184114a012a6f3b36e31680cbcdab3ef337f274e4d585"
    )
    listed = sorted(name for name in small_archive.good_files() if name[:5] in ("bound", "query"))
    kept = [name for name in listed if "Thumbs" not in name and "._" not in name]
    lines = "".join(f"{name}\0{3}\n" for name in kept)
    assert archive.fingerprint(tmp_path, LAYOUT) == hashlib.sha256(lines.encode()).hexdigest()


class Builder(ArchiveBuilder, skip_registration=True):
    """As the official builders are."""

    LAYOUT = LAYOUT
    HOMEPAGE = "https://example.org"
    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "none"
    pkg_dir_path = None


def test_tfds_takes_and_gives_what_is_no_jpeg(tmp_path):
    turned = small_exif.jpeg(small_exif.app1(small_exif.exif(6)))
    files = {"query/0009_c1.jpg": encoded("png"), "query/0010_c1.bmp": encoded("bmp")}
    (tmp_path / "manual").mkdir()
    write_zip(tmp_path / "manual", good_files() | files | {"query/0011_c1.jpg": turned})
    builder = Builder(data_dir=tmp_path / "data")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=tmp_path / "manual", try_download_gcs=False
        )
    )
    raw = builder.as_dataset(split="query", decoders={"image": tfds.decode.SkipDecoding()})
    stored = {e["file_name"]: e["image"] for e in tfds.as_numpy(raw)}
    assert stored[b"0009_c1.jpg"] == encoded("png")
    assert stored[b"0011_c1.jpg"] == turned
    found = {e["file_name"]: e["image"] for e in tfds.as_numpy(builder.as_dataset(split="query"))}
    for name in (b"0009_c1.jpg", b"0010_c1.bmp"):
        np.testing.assert_array_equal(found[name], small_exif.pixels())
