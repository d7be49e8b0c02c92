"""The guards of the exported graph, under the C++ session that TensorFlow Serving runs it in."""

import io

import numpy as np
import pytest
from PIL import Image

from arn_tf import ARN
from arn_tf.paper.served_model import served_model
from arn_tf.served import publish
from tests.support import cpp_session, small_data
from tests.support.small_tolerance import rounding

SIZE = (small_data.HEIGHT, small_data.WIDTH)


def encoded(image, file_format):
    data = io.BytesIO()
    image.save(data, file_format)
    return data.getvalue()


PIXELS = np.random.default_rng(0).integers(0, 256, (128, 64, 3), np.uint8)
RGB = Image.fromarray(PIXELS)
JPEG, PNG = encoded(RGB, "JPEG"), encoded(RGB, "PNG")
DEEP = Image.fromarray((PIXELS[..., 0].astype(np.uint16) << 8) + 77)
GOOD_BYTES = {
    "jpeg": JPEG,
    "png": PNG,
    "grey jpeg": encoded(RGB.convert("L"), "JPEG"),
    "cmyk jpeg": encoded(RGB.convert("CMYK"), "JPEG"),
    "grey png": encoded(RGB.convert("L"), "PNG"),
    "palette png": encoded(RGB.convert("P"), "PNG"),
    "transparent png": encoded(RGB.convert("RGBA"), "PNG"),
    "16-bit png": encoded(DEEP, "PNG"),
    "largest": encoded(Image.new("L", (4096, 4096)), "PNG"),
}
BOMB = encoded(Image.new("1", (20000, 20000)), "PNG")
FORMAT = "a picture is neither JPEG nor PNG, or cut off"
PIXEL_LIMIT = "a picture must have 1 to 16777216 pixels"
BAD_BYTES = {
    "nothing": (b"", FORMAT),
    "text": (b"this is no picture", FORMAT),
    "gif": (encoded(RGB, "GIF"), FORMAT),
    "bmp": (encoded(RGB, "BMP"), FORMAT),
    "start of a jpeg": (JPEG[:3], "Invalid JPEG data"),
    "half a jpeg": (JPEG[: len(JPEG) // 2], "Invalid JPEG data"),
    "start of a png": (PNG[:8], FORMAT),
    "half a png": (PNG[: len(PNG) // 2], "Invalid PNG data"),
    "20,000 x 20,000 png": (BOMB, PIXEL_LIMIT),
    "4097 x 4096 png": (encoded(Image.new("1", (4097, 4096)), "PNG"), PIXEL_LIMIT),
    "5000 x 5000 jpeg": (encoded(Image.new("L", (5000, 5000)), "JPEG"), PIXEL_LIMIT),
    "bomb behind another chunk": (
        BOMB[:8] + b"\0\0\0\x08prIv" + b"\0\0\0\x01" * 2 + bytes(4) + BOMB[8:],
        FORMAT,
    ),
    "png of no width": (PNG[:16] + bytes(4) + PNG[20:], PIXEL_LIMIT),
    "png of negative width": (PNG[:16] + b"\xff" * 4 + PNG[20:], PIXEL_LIMIT),
}
EMPTY = "the batch is empty: send one picture or more"
BAD_IMAGES = {
    "no picture": ((0, *SIZE, 3), EMPTY),
    "scalar": ((), "Shape of tensor"),
    "one picture without a batch": ((*SIZE, 3), "Shape of tensor"),
    "rank 1": ((3,), "Shape of tensor"),
    "rank 5": ((1, 1, *SIZE, 3), "Shape of tensor"),
    "turned": ((1, *SIZE[::-1], 3), "Shape of tensor"),
    "twice the size": ((1, 2 * SIZE[0], 2 * SIZE[1], 3), "Shape of tensor"),
    "grey": ((1, *SIZE, 1), "Shape of tensor"),
}


def strings(*values):
    return np.array(values, dtype=object)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """{case: what the session said}, all in one process: none of them may end it."""
    folder = str(tmp_path_factory.mktemp("model"))
    # A real network: it is oneDNN's convolutions that abort without guards.
    model = ARN(
        6,
        backbone="ResNet50",
        backbone_weights="random",
        input_size=SIZE,
        embedding_dim=64,
        hidden_width=32,
    )
    publish.save(served_model(model), folder)
    rank_0 = np.empty((), dtype=object)
    rank_0[()] = JPEG
    batches = {name: strings(data) for name, data in GOOD_BYTES.items()}
    batches |= {name: strings(data) for name, (data, _) in BAD_BYTES.items()}
    batches |= {
        "no picture": strings(),
        "rank 0": rank_0,
        "rank 2": strings([JPEG]),
        "one bad of three": strings(JPEG, b"text", PNG),
    }
    shapes = {name: shape for name, (shape, _) in BAD_IMAGES.items()} | {"right": (2, *SIZE, 3)}
    cases = {
        ("bytes", name): ("serving_default", {"image_bytes": batch})
        for name, batch in batches.items()
    }
    cases |= {
        ("images", name): ("images", {"images": np.zeros(shape, np.uint8)})
        for name, shape in shapes.items()
    }
    after = ("serving_default", {"image_bytes": strings(PNG, JPEG)})
    cases["bytes", "after all that"] = after
    return dict(zip(cases, cpp_session.outcomes(folder, list(cases.values())), strict=True))


@pytest.mark.parametrize("name", GOOD_BYTES)
def test_pictures_that_are_embedded(found, name):
    assert np.linalg.norm(found["bytes", name]["embedding"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", BAD_BYTES)
def test_pictures_that_are_refused(found, name):
    assert found["bytes", name].startswith("InvalidArgumentError: ")
    assert BAD_BYTES[name][1] in found["bytes", name]


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_shapes_that_are_refused(found, name):
    assert found["images", name].startswith("InvalidArgumentError: ")
    assert BAD_IMAGES[name][1] in found["images", name]


def test_batches_that_are_refused(found):
    assert EMPTY in found["bytes", "no picture"]
    assert "Shape of tensor" in found["bytes", "rank 0"]
    assert "Shape of tensor" in found["bytes", "rank 2"]
    assert FORMAT in found["bytes", "one bad of three"]


def test_the_process_goes_on(found):
    assert found["images", "right"]["embedding"].shape == (2, 64)
    after = found["bytes", "after all that"]["embedding"]
    for row, name in zip(after, ("png", "jpeg"), strict=True):
        # ResNet50 and an encoder: 56 convolutions of up to 3 x 3 x 512 products.
        atol = rounding(56, 4608, np.abs(row).max())
        np.testing.assert_allclose(row, found["bytes", name]["embedding"][0], atol=atol)
