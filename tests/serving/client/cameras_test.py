"""Pictures with their cameras: what both clients send, tell of unknown ones, and refuse."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.errors import BadInputError, NoCameraSignatureError, ReplyError
from tests.support.places import ROOT
from tests.support.scripted_server import ScriptedServer, bad_picture, embedding, picture

pytest_plugins = ["tests.support.clients"]  # connect, write

KNOWN = [1, 2, 2**40]
CAMERAS = [1, 2, 7, 2**40, -1, 2, 1, 7, 2, 1, 8]


@pytest.fixture(name="server")
def camera_server():
    with ScriptedServer(cameras=KNOWN) as server:
        yield server


@pytest.fixture
def plain():
    with ScriptedServer() as server:
        yield server


def expected(data, camera_id):
    """A known camera tells in the embedding, an unknown one doesn't."""
    return np.stack(
        [
            embedding(each + b"%d" % camera if camera in KNOWN else each)
            for each, camera in zip(data, camera_id, strict=True)
        ]
    )


def content(paths):
    return [pathlib.Path(path).read_bytes() for path in paths]


# What is sent and reported.


def test_the_model_says_whether_it_takes_cameras(connect, server, plain):
    for each, takes in ((server, True), (plain, False)):
        with connect(each.address) as client:
            assert client.describe().takes_cameras is takes


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_each_picture_has_its_camera(connect, server, write, kind):
    paths = write(11)
    with connect(server.address, batch_size=3) as client:
        found = client.embed_files(paths, camera_id=kind(CAMERAS))
    np.testing.assert_array_equal(found.vectors, expected(content(paths), CAMERAS))
    assert found.unknown_cameras == [-1, 7, 8]
    assert {each.model_spec.signature_name for each in server.requests} == {"by_camera"}


def test_parts_of_a_stream_list_their_own_unknown_cameras(connect, server, write):
    with connect(server.address, batch_size=4) as client:
        parts = list(client.stream_files(write(11), camera_id=CAMERAS))
    assert [part.unknown_cameras for part in parts] == [[7], [-1, 7], [8]]


def test_pictures_in_memory_and_arrays(connect, server):
    data = [picture(row) for row in range(11)]
    images = np.random.default_rng(0).integers(0, 256, (11, 6, 5, 3), np.uint8)
    with connect(server.address, batch_size=4) as client:
        encoded = client.embed_encoded(data, camera_id=CAMERAS)
        arrays = client.embed_images(images, camera_id=CAMERAS)
    np.testing.assert_array_equal(encoded.vectors, expected(data, CAMERAS))
    pixels = [image.tobytes() for image in images]
    np.testing.assert_array_equal(arrays.vectors, expected(pixels, CAMERAS))
    assert encoded.unknown_cameras == arrays.unknown_cameras == [-1, 7, 8]
    assert server.requests[-1].model_spec.signature_name == "images_by_camera"


def test_bad_pictures_take_their_cameras_with_them(connect, server):
    """Two before sending, one at the server; its request's pictures are then asked for alone."""
    data = [picture(row) for row in range(11)]
    data[2], data[5], data[9] = b"text", bad_picture(), b""
    kept = [row for row in range(11) if row not in (2, 5, 9)]
    with connect(server.address, batch_size=4) as client:
        found = client.embed_encoded(data, skip_bad_images=True, camera_id=CAMERAS)
    np.testing.assert_array_equal(
        found.vectors, expected([data[row] for row in kept], [CAMERAS[row] for row in kept])
    )
    assert found.unknown_cameras == [-1, 7, 8] and len(found.skipped) == 3


def test_without_cameras_the_signatures_of_every_export_are_asked(connect, server):
    with connect(server.address) as client:
        found = client.embed_encoded([picture(0)])
        client.embed_images(np.zeros((1, 6, 5, 3), np.uint8))
    names = [each.model_spec.signature_name for each in server.requests]
    assert names == ["serving_default", "images"]
    assert found.unknown_cameras == []


def test_no_pictures_and_no_cameras(connect, server):
    with connect(server.address) as client:
        found = client.embed_files([], camera_id=[])
    assert (found.files, found.unknown_cameras) == ([], [])


@pytest.mark.parametrize("encoding", ["repeated", "content"])
def test_other_encodings_of_what_is_known(connect, server, encoding):
    def edit(reply):
        known = reply.outputs["camera_known"]
        values = list(known.bool_val)
        known.ClearField("bool_val")
        if encoding == "repeated":
            known.bool_val.extend(values[:1])
        else:
            known.tensor_content = bytes(values)

    server.edit = edit
    with connect(server.address) as client:
        found = client.embed_encoded([picture(row) for row in range(3)], camera_id=[7, 7, 7])
    assert found.unknown_cameras == [7]


# What is refused.


def test_a_model_that_takes_none(connect, plain, write):
    paths = write(2)
    calls = (
        lambda client: client.embed_files(paths, camera_id=[1, 2]),
        lambda client: list(client.stream_files(paths, camera_id=[1, 2])),
        lambda client: client.embed_encoded([picture(0)], camera_id=[-1]),
        lambda client: client.embed_images(np.zeros((1, 6, 5, 3), np.uint8), camera_id=[1]),
        lambda client: client.embed_files([], camera_id=[]),
    )
    with connect(plain.address) as client:
        for call in calls:
            text = r"arn version 1 takes no cameras\. Leave them out, or serve an export of a run"
            with pytest.raises(NoCameraSignatureError, match=text):
                call(client)
    assert not plain.requests


@pytest.mark.parametrize(
    ("camera_id", "text"),
    [
        ([1], "1 numbers for 2 pictures"),
        ([1, 2, 3], "3 numbers for 2 pictures"),
        (1, r"int64 \[\]"),
        ([[1, 2]], r"\[1, 2\]"),
        ([1.0, 2.0], "float64"),
        ([True, False], "bool"),
        (["1", "2"], "<U1"),
        ([1, None], "object"),
        ([[1], [1, 2]], "one whole number"),
        ([1, -2], "has -2"),
        (np.array([1, 2**63], np.uint64), "has 9223372036854775808"),
    ],
)
def test_cameras_that_are_no_numbers_of_the_pictures(connect, server, camera_id, text):
    with connect(server.address) as client:
        for call in (
            lambda: client.embed_encoded([picture(0), picture(1)], camera_id=camera_id),
            lambda: client.embed_images(np.zeros((2, 6, 5, 3), np.uint8), camera_id=camera_id),
        ):
            with pytest.raises(BadInputError, match=f"camera_id.*{text}"):
                call()
    assert not server.requests


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda reply: reply.outputs.pop("camera_known"), "camera_known is missing"),
        (lambda reply: setattr(reply.outputs["camera_known"], "dtype", 1), "not bool"),
        (lambda reply: reply.outputs["camera_known"].bool_val.append(True), "4 values for 3"),
        (lambda reply: reply.outputs["camera_known"].ClearField("bool_val"), "0 values for 3"),
        (
            lambda reply: setattr(reply.outputs["camera_known"], "tensor_content", b"\1\1"),
            "2 values for 3",
        ),
    ],
)
def test_replies_that_are_not_believed(connect, server, edit, text):
    server.edit = edit
    with connect(server.address) as client, pytest.raises(ReplyError, match=text):
        client.embed_encoded([picture(row) for row in range(3)], camera_id=[1, 2, 3])


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.pop("by_camera"),
        lambda found: found.pop("images_by_camera"),
        lambda found: found["by_camera"].inputs.pop("camera_id"),
        lambda found: found["by_camera"].outputs.pop("camera_known"),
        lambda found: setattr(found["by_camera"].inputs["camera_id"], "dtype", 3),
        lambda found: setattr(
            found["by_camera"].outputs["embedding"].tensor_shape.dim[1], "size", 5
        ),
    ],
)
def test_models_that_take_cameras_otherwise(connect, server, change):
    found = get_model_metadata_pb2.SignatureDefMap()
    server.metadata.metadata["signature_def"].Unpack(found)
    change(found.signature_def)
    server.metadata.metadata["signature_def"].Pack(found)
    with connect(server.address) as client, pytest.raises(ReplyError, match="not an export"):
        client.describe()


# The command.


def embed(server, *arguments):
    line = [sys.executable, "-m", "serving.client", "embed", f"--server={server.address}"]
    done = subprocess.run([*line, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.fixture
def crops(tmp_path):
    (tmp_path / "crops").mkdir()
    for row, camera in enumerate((1, 2, 7, 9, 7)):
        (tmp_path / "crops" / f"{row}_c{camera}.jpg").write_bytes(picture(row))
    return tmp_path / "crops"


def test_the_command_takes_cameras_from_names(server, crops, tmp_path):
    output = tmp_path / "emb.npz"
    status, err = embed(server, f"--output={output}", r"--camera_pattern=_c(\d+)", crops)
    assert status == 0, err
    data = content(sorted(crops.iterdir()))
    np.testing.assert_array_equal(np.load(output)["embeddings"], expected(data, [1, 2, 7, 9, 7]))
    assert err.count("note: ") == 1
    assert "note: model arn version 1 has no statistics of camera 7, 9: " in err
    assert "arn_tf.calibrate" in err


def test_without_the_flag_the_command_sends_none(server, crops, tmp_path):
    status, err = embed(server, f"--output={tmp_path / 'emb.npz'}", crops)
    assert status == 0 and "note" not in err
    assert server.requests[0].model_spec.signature_name == "serving_default"


def test_the_command_refuses(server, plain, crops, tmp_path):
    output = f"--output={tmp_path / 'emb.npz'}"
    for each, flag, text in (
        (plain, r"--camera_pattern=_c(\d+)", "takes no cameras. Leave them out"),
        (server, r"--camera_pattern=_c\d+", "needs one group"),
        (server, r"--camera_pattern=_c(", "no regular expression"),
        (server, r"--camera_pattern=_d(\d+)", "0_c1.jpg: no camera by --camera_pattern"),
        (server, "--names={person_id}/{*}", "--names={person_id}/{*}: has no {camera}"),
        (server, "--names={camera}/{*}", "--names={camera}/{*}: no picture of"),
    ):
        status, err = embed(each, output, flag, crops)
        assert status == 2 and text in err
    assert not (tmp_path / "emb.npz").exists()
