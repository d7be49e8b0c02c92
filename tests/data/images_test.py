"""The one decoding and resizing of the product."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from arn_tf.data.images import decode, decode_rows, guarded
from arn_tf.data.reid_data import ReidData
from datasets.files import pictures
from tests.support import small_data, small_pictures


@pytest.fixture(scope="module")
def market() -> ReidData:
    return ReidData("market", **small_data.inputs())


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def random_pixels(height: int, width: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, *channels), np.uint8)


def test_decoding_at_its_own_size_changes_no_pixel(monkeypatch):
    pixels = random_pixels(24, 16, 3)
    monkeypatch.setattr("arn_tf.data.images._resized", lambda *_: pytest.fail("it was resized"))
    decoded = decode(encoded(pixels), (24, 16))
    assert decoded.dtype == tf.uint8
    np.testing.assert_array_equal(decoded, pixels)
    # Resizing would give the same.
    resized = tf.raw_ops.ScaleAndTranslate(
        images=pixels[None],
        size=[24, 16],
        scale=[1.0, 1.0],
        translation=[0.0, 0.0],
        kernel_type="triangle",
    )
    np.testing.assert_array_equal(resized[0], pixels)


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


def triangles(size: int, out: int) -> np.ndarray:
    """Returns [out, size], weights of bilinear resizing: triangles, wider where it shrinks."""
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
    dataset = dataset.map(lambda image: decode(image, (48, 20)))
    for image, found in zip(images, dataset, strict=True):
        np.testing.assert_array_equal(found, decode(image, (48, 20)))


@pytest.mark.parametrize("name", small_pictures.bombs())
def test_a_guard_refuses_bombs_before_they_are_decoded(name):
    data = small_pictures.bombs()[name]
    pixels = pictures.checked_kind(data) in ("JPEG", "PNG")
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="1 to 16777216 pixels" if pixels else "neither JPEG"
    ):
        guarded(data)


def test_a_guard_refuses_too_many_bytes(monkeypatch):
    data = encoded(random_pixels(8, 8, 3))
    assert guarded(data).numpy() == data
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 33554432 bytes"):
        guarded(data + bytes(pictures.MAX_BYTES))
