"""Splits in memory, and the one decoding and resizing of the product."""

import io
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from arn_tf.data import images as data_images
from arn_tf.data.images import ReidData, Split, decode, decode_rows
from arn_tf.errors import UserError
from tests.support import small_data


@pytest.fixture(scope="module")
def market():
    return ReidData("market", **small_data.inputs())


def encoded(pixels, kind="PNG"):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def random_pixels(height, width, *channels):
    return np.random.default_rng(0).integers(0, 256, (height, width, *channels), np.uint8)


def split_of(*images):
    array = np.empty(len(images), object)
    array[:] = images
    zeros = np.zeros(len(images), np.int64)
    return Split(array, zeros, zeros, [str(i) for i in range(len(images))])


@pytest.mark.parametrize(
    "split, folder, number",
    [
        ("train", "bounding_box_train", 24),
        ("query", "query", 8),
        ("gallery", "bounding_box_test", 11),
    ],
)
def test_a_split_holds_the_archive_sorted_by_file_name(market, split, folder, number):
    found = market.split(split)
    with zipfile.ZipFile(
        f"{small_data.inputs()['manual_dir']}/{small_data.MARKET.archive}"
    ) as file:
        expected = {
            name.split("/")[-1]: file.read(name)
            for name in file.namelist()
            if f"/{folder}/" in name
        }
    assert len(found) == number
    assert found.file_name == sorted(expected)
    assert list(found.images) == [expected[name] for name in found.file_name]
    people = [int(name.split("_")[0]) for name in found.file_name]
    assert found.person_id.tolist() == people
    assert found.camera_id.tolist() == [int(n.split("_c")[1][0]) for n in found.file_name]


def test_labels_are_rows_of_the_classifier(market):
    labels, count = market.split("train").labels()
    assert count == 6
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, market.split("train").person_id - 1)
    people = np.array([7, 1500, 7, 12])
    labels, count = Split(np.empty(4, object), people, people, []).labels()
    assert (labels.tolist(), count) == ([0, 2, 0, 1], 3)


def test_the_digest_tells_pictures_and_their_order_apart():
    same = split_of(b"ab", b"c").digest
    assert same == split_of(b"ab", b"c").digest
    others = [split_of(b"c", b"ab"), split_of(b"a", b"bc"), split_of(b"abc"), split_of(b"ab", b"d")]
    assert len({same, *(other.digest for other in others)}) == 5


def test_both_data_sets_differ(market):
    duke = ReidData("duke", **small_data.inputs())
    assert duke.split("train").file_name[0] == "0001_c1_f0000001.jpg"
    assert duke.split("train").digest != market.split("train").digest


def test_what_differs_from_the_official_counts_is_told(market):
    notes = "\n".join(market.notes)
    assert "10 of 11 counts differ" in notes
    assert "train identities: 6 (official 751, differs)" in notes


def test_a_prepared_data_set_outlives_its_archive(tmp_path, market):
    again = ReidData("market", small_data.inputs()["data_dir"], str(tmp_path / "nowhere"))
    assert again.split("query").digest == market.split("query").digest


def test_an_unknown_name_lists_the_known():
    with pytest.raises(UserError, match=r"'cuhk' is unknown; there are market, duke, toy_market"):
        ReidData("cuhk", "")


def test_decoding_at_its_own_size_changes_no_pixel():
    pixels = random_pixels(24, 16, 3)
    decoded = decode(encoded(pixels), (24, 16))
    assert decoded.dtype == tf.uint8
    np.testing.assert_array_equal(decoded, pixels)


def test_jpeg_is_decoded_as_pillow_does():
    data = small_data.picture(3, 1, 1)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    decoded = decode(data, expected.shape[:2]).numpy()
    difference = np.abs(decoded.astype(int) - expected)
    # Decoders round, and interpolate colours, each in its way.
    assert difference.mean() < 1 and difference.max() < 12


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_grey_pictures_get_three_equal_channels(kind):
    decoded = decode(encoded(np.full((12, 8), 77, np.uint8), kind), (6, 9)).numpy()
    np.testing.assert_array_equal(decoded, np.full((6, 9, 3), 77))


@pytest.mark.parametrize("size", [(224, 224), (5, 3), (48, 7)])
def test_a_picture_of_one_colour_keeps_it_at_any_size(size):
    pixels = np.broadcast_to(np.array([0, 131, 255], np.uint8), (33, 21, 3))
    decoded = decode(encoded(np.ascontiguousarray(pixels)), size).numpy()
    np.testing.assert_array_equal(decoded, np.broadcast_to([0, 131, 255], (*size, 3)))


def triangles(size, out):
    """[out, size]: weights of bilinear resizing, triangles as wide as a step that shrinks."""
    step = size / out
    centres = (np.arange(out) + 0.5) * step
    distance = np.abs(np.arange(size) + 0.5 - centres[:, None]) / max(step, 1.0)
    weights = np.maximum(0.0, 1.0 - distance)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("size", [(20, 12), (10, 6), (64, 32), (7, 31)])
def test_resizing_is_bilinear_and_antialiased(size):
    pixels = random_pixels(40, 24, 3)
    rows, columns = triangles(40, size[0]), triangles(24, size[1])
    expected = np.einsum("ih,jw,hwc->ijc", rows, columns, pixels.astype(np.float64))
    decoded = decode(encoded(pixels), size).numpy()
    assert np.abs(decoded - expected).max() <= 0.51  # rounded, not cut off


@pytest.mark.parametrize("flips", [[0, 0, 0], [1, 1, 1], [0, 1, 0]])
def test_rows_are_picked_and_mirrored(market, flips):
    images = market.split("train").images
    rows = np.array([5, 0, 5])
    found = decode_rows(tf.constant(images), rows, np.array(flips, np.uint8), (32, 16)).numpy()
    for picture, row, flip in zip(found, rows, flips, strict=True):
        straight = decode(images[row], (32, 16)).numpy()
        assert not np.array_equal(straight, np.flip(straight, axis=1))
        np.testing.assert_array_equal(picture, np.flip(straight, axis=1) if flip else straight)


def test_a_data_pipeline_decodes_as_eager_code_does(market):
    images = market.split("train").images
    dataset = tf.data.Dataset.from_tensor_slices(tf.constant(images))
    dataset = dataset.map(lambda image: data_images.decode(image, (48, 20)))
    for image, found in zip(images, dataset, strict=True):
        np.testing.assert_array_equal(found, decode(image, (48, 20)))
