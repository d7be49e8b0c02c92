"""What both clients send of pictures in other formats, and of such as are stored turned."""

import io
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image, ImageOps

from serving.client import picture_files
from serving.errors import BadImageError
from tests.support.picture_formats import LOSSLESS, TURNED, drawn, encoded, pixels
from tests.support.places import SHARED
from tests.support.scripted_server import ScriptedServer, picture

pytest_plugins = ["tests.support.clients"]  # connect, server

CASES = SHARED / "cases"
needs_cases = pytest.mark.skipif(not CASES.exists(), reason="needs shared/cases")
JPEG = {"format": "JPEG", "quality": 95}


@pytest.fixture(name="files")
def _files(tmp_path):
    """Writes pictures, given as {name: bytes}; returns their paths."""

    def write(pictures):
        for name, data in pictures.items():
            (tmp_path / name).write_bytes(data)
        return [str(tmp_path / name) for name in pictures]

    return write


def sent(server):
    """All pictures that the server got, in order."""
    return [
        each for request in server.requests for each in request.inputs["image_bytes"].string_val
    ]


def check_decodable(pictures):
    """TensorFlow, and so the server, decodes JPEG and PNG."""
    for data in pictures:
        assert data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def test_every_format_is_sent_as_jpeg_or_png_from_files_and_memory(connect, server, files):
    whole = {
        f"{number}{ending}": encoded(drawn(number), **saved)
        for number, (ending, saved) in enumerate(LOSSLESS.items())
    }
    paths = files(whole)
    with connect(server.address, batch_size=3, in_flight=1) as client:
        assert client.embed_files(paths).files == paths
        assert client.embed_encoded(whole.values(), whole).files == list(whole)
        streamed = [name for part in client.stream_files(paths) for name in part.files]
    assert streamed == paths
    found = sent(server)
    check_decodable(found)
    assert len(found) == 3 * len(whole)
    for number, data in enumerate(found):
        np.testing.assert_array_equal(pixels(data), np.asarray(drawn(number % len(whole))))


def test_the_content_decides_and_not_the_name(connect, server, files):
    jpeg, png, gif = (encoded(drawn(), format=each) for each in ("JPEG", "PNG", "GIF"))
    names = {"a.txt": jpeg, "b": png, "c.JPE": jpeg, "d.jfif": jpeg, "e.jpg": gif, "f.Png": jpeg}
    with connect(server.address) as client:
        client.embed_files(files(names))
    found = sent(server)
    assert found[:4] == [jpeg, png, jpeg, jpeg] and found[5] == jpeg
    assert pixels(found[4]).tolist() == np.asarray(drawn()).tolist()


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif", ".webp"])
def test_what_is_stored_turned_is_sent_upright(connect, server, files, ending):
    saved = {".jpg": JPEG, **LOSSLESS}[ending]
    turned = [encoded(drawn(), orientation, **saved) for orientation in TURNED]
    with connect(server.address, in_flight=1) as client:
        client.embed_files(files({str(number): data for number, data in enumerate(turned)}))
        client.embed_encoded(turned)
    found = sent(server)
    check_decodable(found)
    for data, each in zip(2 * turned, found, strict=True):
        with Image.open(io.BytesIO(data)) as stored:
            upright = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
        assert upright.shape == (64, 32, 3)
        np.testing.assert_array_equal(pixels(each), upright)
        assert not Image.open(io.BytesIO(each)).getexif()


def test_usual_pictures_are_sent_as_they_are(connect, server, files):
    exif = Image.Exif()
    exif[0x0110] = "a camera"
    usual = {
        "a.jpg": encoded(drawn(), format="JPEG"),
        "b.png": encoded(drawn()),
        "c.jpg": encoded(drawn(), format="JPEG", exif=exif),
        "d.png": encoded(drawn(), exif=exif),
        "e.jpg": encoded(drawn().convert("CMYK"), format="JPEG"),
        "f.jpg": encoded(drawn().convert("L"), format="JPEG", progressive=True),
        "g.jpg": picture("no more than a beginning"),
    }
    with connect(server.address) as client:
        client.embed_files(files(usual))
        client.embed_encoded(usual.values())
    assert sent(server) == 2 * list(usual.values())


def test_pictures_with_cameras(connect, files):
    data = [encoded(drawn(), 6, **JPEG), encoded(drawn(1), format="BMP")]
    with ScriptedServer(cameras=[1, 2]) as server:
        with connect(server.address) as client:
            client.embed_files(files({"a.jpg": data[0], "b.bmp": data[1]}), camera_id=[1, 2])
            client.embed_encoded(data, camera_id=[1, 2])
        for request in server.requests:
            assert request.model_spec.signature_name == "by_camera"
        found = sent(server)
    check_decodable(found)
    assert found[:2] == found[2:] and pixels(found[0]).shape == (64, 32, 3)


def damaged():
    """{name: bytes} of pictures that begin well."""
    gif = encoded(drawn(), format="GIF")
    turned = encoded(drawn(7, (64, 128)), 6, **JPEG)
    large = encoded(Image.new("1", (5000, 5000)), format="TIFF", compression="group4")
    return {"cut.gif": gif[: len(gif) // 2], "cut.jpg": turned[: len(turned) // 2], "big": large}


@pytest.mark.parametrize("name", damaged())
def test_one_that_can_not_be_made_into_another_is_named(connect, server, files, name):
    good, bad = encoded(drawn(), format="BMP"), damaged()[name]
    paths = files({"a.bmp": good, name: bad, "z.bmp": good})
    why = "the limit is" if name == "big" else "can't be decoded"
    with connect(server.address, batch_size=1) as client:
        for call, names in (
            (lambda **skip: client.embed_files(paths, **skip), paths),
            (
                lambda **skip: client.embed_encoded([good, bad, good], ["A", "B", "C"], **skip),
                "ABC",
            ),
        ):
            with pytest.raises(BadImageError, match=why) as caught:
                call()
            assert caught.value.file == names[1] and str(caught.value).startswith(names[1])
            found = call(skip_bad_images=True)
            assert found.files == [names[0], names[2]]
            assert [error.file for error in found.skipped] == [names[1]]


def test_what_is_no_picture_is_found_before_the_first_is_sent(connect, server, files):
    good = encoded(drawn(), format="BMP")
    paths = files({"a.bmp": good, "b.pdf": b"%PDF-1.7 and so on"})
    with connect(server.address, batch_size=1) as client:
        with pytest.raises(BadImageError, match=r"b.pdf: not a picture, it looks like a PDF"):
            client.embed_files(paths)
        with pytest.raises(BadImageError, match=r"image 1: not a picture, it looks like a PDF"):
            client.embed_encoded([good, b"%PDF-1.7 and so on"])
    assert not server.requests


def test_the_check_before_the_first_is_sent_decodes_nothing(files, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("opened")

    monkeypatch.setattr(Image, "open", refuse)
    data = {f"a{ending}": encoded(drawn(), **saved) for ending, saved in LOSSLESS.items()}
    picture_files.check_all(files(data))
    picture_files.check_all_encoded(list(data.values()), list(data))


@needs_cases
def test_a_crop_as_a_phone_stores_it(connect, server):
    turned, upright = (CASES / "exif" / f"{name}_c1.jpg" for name in ("orientation_6", "upright"))
    with connect(server.address) as client:
        client.embed_files([turned, upright])
    first, second = map(pixels, sent(server))
    assert first.shape == second.shape
    assert np.abs(first.astype(int) - second).mean() < 10
    assert sent(server)[1] == upright.read_bytes()


@needs_cases
def test_a_folder_of_several_formats(connect, server, tmp_path):
    shutil.copytree(CASES / "mixed_formats", tmp_path / "crops")
    paths = picture_files.find([str(tmp_path / "crops")])
    assert [pathlib.Path(path).suffix for path in paths] == [
        *(".jpg", ".jpg", ".bmp", ".webp", ".bmp", ".webp"),
    ]
    with connect(server.address) as client:
        assert client.embed_files(paths).files == paths
    check_decodable(sent(server))
