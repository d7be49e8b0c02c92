"""Pictures that cameras store turned are decoded upright, by ops alone, whatever their EXIF is."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from arn_tf.data.images import decode
from arn_tf.data.orientation import orientation as in_graph
from datasets.files import orientation
from tests.support import small_exif
from tests.support.places import SHARED
from tests.support.small_exif import ORIENTATIONS, app1, chunk, exif, jpeg, png, segment

orientation_in_graph = tf.function(in_graph, input_signature=[tf.TensorSpec([], tf.string)])
CASE = SHARED / "cases" / "exif"


def layouts(value: int) -> dict[str, bytes]:
    """Returns {how it is stored: picture with an orientation}."""
    icc = segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(5000))
    return {
        "little endian": jpeg(app1(exif(value))),
        "big endian": jpeg(app1(exif(value, ">"))),
        "without JFIF": jpeg(app1(exif(value)), jfif=False),
        "after another segment": jpeg(icc, segment(0xFE, b"a comment"), app1(exif(value, ">"))),
        "after fill bytes": jpeg(b"\xff\xff" + app1(exif(value))),
        "first entry of all": jpeg(app1(exif(value, before=0))),
        "after many entries": jpeg(app1(exif(value, before=40))),
        "more entries said than there are": jpeg(app1(exif(value, entries=999))),
        "before a second block": jpeg(app1(exif(value)), app1(exif(value % 8 + 1))),
        "PNG": png(chunk(b"eXIf", exif(value))),
        "PNG, big endian": png(chunk(b"eXIf", exif(value, ">"))),
        "PNG, after the pixels": png(chunk(b"eXIf", exif(value)), last=True),
        "PNG, after text": png(chunk(b"tEXt", b"Title\0eXIf"), chunk(b"eXIf", exif(value))),
    }


def stored(data: bytes) -> np.ndarray:
    """The pixels as TensorFlow decodes them, unturned."""
    return tf.io.decode_image(data, channels=3, expand_animations=False).numpy()


@pytest.mark.parametrize("value", ORIENTATIONS)
@pytest.mark.parametrize("layout", layouts(1))
def test_every_orientation_however_it_is_stored(layout, value):
    data = layouts(value)[layout]
    expected = small_exif.turned(stored(data), value)
    np.testing.assert_array_equal(decode(data, expected.shape[:2]), expected)
    seen = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert seen.shape == expected.shape
    # Decoders of JPEG round each in its way.
    assert np.abs(seen.astype(int) - expected).max() <= (0 if layout.startswith("PNG") else 12)


@pytest.mark.parametrize("what", small_exif.damaged_jpegs())
def test_damaged_exif_is_upright(what):
    data = small_exif.damaged_jpegs()[what]
    assert orientation.of(data) == orientation_in_graph(data).numpy() == 1
    np.testing.assert_array_equal(decode(data, (24, 40)), stored(data))


@pytest.mark.parametrize("what", small_exif.damaged())
def test_damaged_exif_of_a_png_is_upright(what):
    data = png(chunk(b"eXIf", small_exif.damaged()[what]))
    assert orientation.of(data) == orientation_in_graph(data).numpy() == 1
    np.testing.assert_array_equal(decode(data, (24, 40)), small_exif.pixels())


def test_a_phones_crop_and_the_upright_one():
    if not CASE.exists():
        pytest.skip("needs shared/cases")
    upright, turned = (
        decode((CASE / name).read_bytes(), (64, 32)).numpy().astype(int)
        for name in ("upright_c1.jpg", "orientation_6_c1.jpg")
    )
    assert np.abs(upright - turned).mean() < 3  # encoded twice


def test_a_pipeline_and_a_batch_turn_pictures_of_any_orientation():
    pictures = tf.constant([d for value in ORIENTATIONS for d in layouts(value).values()])

    def one(data: tf.Tensor) -> tf.Tensor:
        return decode(data, (20, 10))

    expected = [decode(data, (20, 10)) for data in pictures]
    assert not np.array_equal(expected[0], expected[-1])
    dataset = tf.data.Dataset.from_tensor_slices(pictures).map(one)
    np.testing.assert_array_equal(list(dataset), expected)
    batch = tf.map_fn(one, pictures, fn_output_signature=tf.uint8)
    np.testing.assert_array_equal(batch, expected)


def test_a_picture_without_orientation_keeps_every_pixel():
    """Those of the ops that decode and resize it, and no others."""
    data = jpeg()
    image = tf.image.resize(tf.constant(stored(data)), (50, 30), antialias=True)
    expected = tf.saturate_cast(tf.round(image), tf.uint8)
    for same in (data, jpeg(app1(exif(1))), jpeg(app1(exif(0)))):
        np.testing.assert_array_equal(decode(same, (50, 30)), expected)


def test_whatever_the_bytes_are_the_graph_says_what_python_says():
    """On damage too, and nothing of it is an error."""
    random = np.random.default_rng(0)
    sources = [*layouts(6).values(), *layouts(3).values()]
    seen = set()
    for turn in range(1500):
        data = bytearray(sources[turn % len(sources)][:6000])
        for at in random.integers(0, min(len(data), 250), random.integers(1, 5)):
            data[at] = random.choice([0, 1, 6, 8, 18, 255, random.integers(256)])
        data = bytes(data[: random.integers(1, len(data)) if turn % 3 == 0 else None])
        expected = orientation.of(data)
        assert orientation_in_graph(data).numpy() == expected, data[:300]
        seen.add(expected)
    assert {1, 3, 6} <= seen


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\xff\xd8",
        b"\xff\xd8\xff\xe1",
        b"\xff\xd8\xff\xe1\x00\x00Exif\0\0",
        b"\xff\xd8" + b"\xff\xe0\0\0" * 10_000 + app1(exif(6)),
        b"\xff\xd8" + bytes(10_000) + app1(exif(6)),
        b"\x89PNG\r\n\x1a\n" + b"\xff\xff\xff\xffeXIf",
        b"\x89PNG\r\n\x1a\n" + bytes(100_000) + b"eXIf",
        b"eXIf",
    ],
)
def test_walks_end(data):
    assert orientation.of(data) == orientation_in_graph(data).numpy() == 1
