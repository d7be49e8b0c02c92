"""The development server and a strong export: cameras go with their pictures, in every batch."""

import concurrent.futures

import grpc
import numpy as np
import pytest

from arn_tf.data.images import decode
from arn_tf.served import to_openvino
from serving.client import EmbeddingClient, message_classes, tensors
from tests.support import small_server, small_strong

INVALID = grpc.StatusCode.INVALID_ARGUMENT
PICTURES = small_server.PICTURES
IMAGES = np.stack([decode(picture, small_strong.SIZE).numpy() for picture in PICTURES])
CAMERAS = np.resize([4, 1, 9, 2**40, -1], 12)


@pytest.fixture(scope="module", params=["float_val", "tensor_content", "openvino"])
def server(request):
    runtime = None
    if request.param == "openvino":
        pytest.importorskip("openvino")
        runtime = to_openvino
    content = request.param == "tensor_content"
    model_dir = small_strong.models(runtime) / "arn"
    with small_server.serving(model_dir, as_tensor_content=content) as server:
        yield server


@pytest.fixture(scope="module")
def address(server):
    return f"localhost:{server.port}"


@pytest.fixture(scope="module")
def vectors():
    """{camera: float32 [12, D]}: every picture as that camera's, None without a camera."""
    model = small_strong.model()
    found = {
        camera: model(IMAGES, model.table.rows_of([camera] * 12)).numpy()
        for camera in {*CAMERAS.tolist()}
    }
    return found | {None: found[-1]}


def test_every_picture_by_its_camera(address, vectors):
    with EmbeddingClient(address, batch_size=5) as client:
        assert client.describe().takes_cameras
        encoded = client.embed_encoded(PICTURES, camera_id=CAMERAS)
        arrays = client.embed_images(IMAGES, camera_id=CAMERAS)
        plain = client.embed_encoded(PICTURES)
    expected = np.stack([vectors[camera][row] for row, camera in enumerate(CAMERAS.tolist())])
    for found in (encoded, arrays):
        np.testing.assert_allclose(found.vectors, expected, rtol=0, atol=1e-5)
        assert found.unknown_cameras == [-1, 9]
    np.testing.assert_allclose(plain.vectors, vectors[None], rtol=0, atol=1e-5)
    assert plain.space == encoded.space == arrays.space and plain.unknown_cameras == []


def test_mixed_cameras_are_as_each_alone(address):
    with EmbeddingClient(address) as client:
        mixed = client.embed_encoded(PICTURES, camera_id=CAMERAS)
        alone = [
            client.embed_encoded([picture], camera_id=[camera]).vectors
            for picture, camera in zip(PICTURES, CAMERAS, strict=True)
        ]
    np.testing.assert_allclose(mixed.vectors, np.concatenate(alone), rtol=0, atol=1e-5)


def test_callers_at_once_get_their_own(address, vectors):
    """With a camera each, or with none: other signatures, which must not be mixed."""

    def call(caller):
        camera = [4, 1, 9, None][caller % 4]
        cameras = {} if camera is None else {"camera_id": [camera] * 12}
        with EmbeddingClient(address, batch_size=1 + caller) as client:
            for _ in range(10):
                found = client.embed_encoded(PICTURES, **cameras)
                np.testing.assert_allclose(found.vectors, vectors[camera], rtol=0, atol=1e-5)
                assert found.unknown_cameras == ([9] if camera == 9 else [])
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(8)))


# What the client would never send.


def request(signature="images_by_camera", images=IMAGES[:2], camera_id=(4, 1)):
    message = message_classes.PredictRequest()
    message.model_spec.name = "arn"
    message.model_spec.signature_name = signature
    tensors.put_uint8(message.inputs["images"], images)
    if camera_id is not None:
        tensors.put_int64(message.inputs["camera_id"], camera_id)
    return message


def changed(change):
    message = request()
    change(message.inputs["camera_id"])
    return message


def column(tensor):
    tensor.tensor_shape.dim.add(size=1)


def scalar(tensor):
    tensor.ClearField("tensor_shape")


def resized(size):
    return lambda tensor: setattr(tensor.tensor_shape.dim[0], "size", size)


def int32(tensor):
    tensor.dtype = 3


def cut(tensor):
    tensor.tensor_content = tensor.tensor_content[:-1]


def emptied(tensor):
    tensor.tensor_content = b""


LENGTHS = "Batching session Run() input tensors must have equal 0th-dimension size"
REFUSED = {
    "none": (
        request(camera_id=None),
        "input size does not match signature: 1!=2 len({images}) != len({camera_id,images}). "
        "Sent extra: {}. Missing but required: {camera_id}.",
    ),
    "cameras for the plain signature": (
        request("images"),
        "input size does not match signature: 2!=1 len({camera_id,images}) != len({images}). "
        "Sent extra: {camera_id}. Missing but required: {}.",
    ),
    "too few": (request(camera_id=[4]), LENGTHS),
    "too many": (request(camera_id=[4, 1, 4]), LENGTHS),
    "of no length": (
        request(camera_id=[]),
        "the batch is empty: send one picture or more",
    ),
    "a column": (
        changed(column),
        "Shape of tensor camera_id [2,1] is not compatible with expected shape [?].",
    ),
    "a number": (
        changed(scalar),
        "Shape of tensor camera_id [] is not compatible with expected shape [?].",
    ),
    "int32": (changed(int32), "Expects arg[0] to be int64 but int32 is provided"),
    "cut off": (changed(cut), "tensor parsing error: camera_id"),
    "no content": (changed(emptied), "tensor parsing error: camera_id"),
    "a negative length": (changed(resized(-2)), "tensor parsing error: camera_id"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(address, name):
    message, text = REFUSED[name]
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        message_classes.methods(channel)[0](message, timeout=30)
    assert (caught.value.code(), caught.value.details()) == (INVALID, text)


def test_after_all_that_it_answers(address, vectors):
    test_every_picture_by_its_camera(address, vectors)


def test_one_camera_for_all_in_few_bytes(address, vectors):
    """A tensor repeats its last value."""
    message = request(images=IMAGES)
    message.inputs["camera_id"].tensor_content = b""
    message.inputs["camera_id"].int64_val.append(4)
    resized(12)(message.inputs["camera_id"])
    with grpc.insecure_channel(address) as channel:
        reply = message_classes.methods(channel)[0](message, timeout=30)
    found = tensors.floats(reply.outputs["embedding"], (12, small_strong.DIM), "embedding")
    np.testing.assert_allclose(found, vectors[4], rtol=0, atol=1e-5)
