"""What any server of an export must do, the development server or TensorFlow Serving itself.

Runs against the development server, or against the one at ARN_SERVING_ADDRESS (host:port, plain
text; its model's name in ARN_SERVING_MODEL, "arn" by default): `make serving-smoke`.
"""

import asyncio
import concurrent.futures
import io
import os

import grpc
import numpy as np
import pytest
from PIL import Image

from serving.client import EmbeddingClient, message_classes, tensors
from serving.client.async_client import AsyncEmbeddingClient
from serving.errors import (
    BadImageError,
    DeadlineError,
    ModelNotFoundError,
    NoCameraSignatureError,
    UnavailableError,
)
from tests.support import picture_formats
from tests.support.places import SHARED

EXIF = SHARED / "cases" / "exif"

ADDRESS = os.environ.get("ARN_SERVING_ADDRESS")
MODEL = os.environ.get("ARN_SERVING_MODEL", "arn")
# Embeddings of one picture in two batches: sums in another order.
CLOSE = 1e-4


@pytest.fixture(scope="module", params=["saved_model"] if ADDRESS else ["saved_model", "openvino"])
def address(request):
    if ADDRESS:
        yield ADDRESS
        return
    runtime = None
    if request.param == "openvino":
        pytest.importorskip("openvino")
        from arn_tf.served import to_openvino as runtime
    # Needs TensorFlow, as the server itself does.
    from tests.support import small_server

    model_dir = small_server.models(runtime) / "arn"
    with small_server.server_process(model_dir=model_dir) as (_, address):
        yield address


@pytest.fixture(scope="module")
def client(address):
    with EmbeddingClient(address, MODEL) as client:
        yield client


@pytest.fixture(scope="module")
def images(client):
    """Twelve pictures of the model's size, uint8: blobs of colour, so that they differ."""
    height, width = client.describe().image_size
    found = []
    for seed in range(12):
        small = np.random.default_rng(seed).integers(0, 256, (5, 3, 3), np.uint8)
        found.append(np.asarray(Image.fromarray(small).resize((width, height), Image.BICUBIC)))
    return np.stack(found)


def encoded(pixels, file_format="PNG", mode="RGB"):
    data = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(data, file_format)
    return data.getvalue()


@pytest.fixture(scope="module")
def pictures(images):
    return [encoded(image) for image in images]


@pytest.fixture(scope="module")
def vectors(client, pictures):
    return client.embed_encoded(pictures).vectors


def refused(address, request):
    """The status of a request that the client itself would never send."""
    with grpc.insecure_channel(address) as channel:
        predict = message_classes.methods(channel)[0]
        with pytest.raises(grpc.RpcError) as caught:
            predict(request, timeout=30)
    return caught.value.code(), caught.value.details()


def request(signature="images", key="images", model=MODEL):
    message = message_classes.PredictRequest()
    message.model_spec.name = model
    message.model_spec.signature_name = signature
    return message, message.inputs[key]


# Answers.


def test_embeddings_are_of_unit_length_and_differ(client, vectors):
    assert vectors.shape == (12, client.describe().embedding_dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    assert distances[~np.eye(12, dtype=bool)].min() > 10 * CLOSE


def test_both_signatures_agree(client, images, vectors):
    np.testing.assert_allclose(client.embed_images(images).vectors, vectors, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_neither_batches_nor_their_order_matter(address, pictures, vectors, batch_size):
    order = np.random.default_rng(0).permutation(12)
    with EmbeddingClient(address, MODEL, batch_size=batch_size) as client:
        found = client.embed_encoded([pictures[row] for row in order]).vectors
    np.testing.assert_allclose(found, vectors[order], rtol=0, atol=CLOSE)


def test_callers_at_once_get_their_own(address, pictures, vectors):
    def call(caller):
        with EmbeddingClient(address, MODEL, batch_size=2) as client:
            for round_ in range(5):
                rows = np.random.default_rng([caller, round_]).permutation(12)[: 1 + caller]
                found = client.embed_encoded([pictures[row] for row in rows]).vectors
                np.testing.assert_allclose(found, vectors[rows], rtol=0, atol=CLOSE)
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(8)))


def test_asyncio(address, pictures, vectors):
    async def embed():
        async with AsyncEmbeddingClient(address, MODEL, batch_size=3) as client:
            return (await client.embed_encoded(pictures)).vectors

    np.testing.assert_allclose(asyncio.run(embed()), vectors, rtol=0, atol=CLOSE)


def test_versions(client):
    states = {each.version: each.state for each in client.versions()}
    assert states[client.describe().version] == "AVAILABLE"


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_kinds_of_jpeg(client, images, mode):
    found = client.embed_encoded([encoded(images[0], "JPEG", mode)])
    assert found.vectors.shape[0] == 1


def test_a_png_of_16_bits(client, images):
    data = io.BytesIO()
    Image.fromarray(images[0][..., 0].astype(np.uint16) * 257).save(data, "PNG")
    deep = client.embed_encoded([data.getvalue()]).vectors
    grey = client.embed_encoded([encoded(images[0][..., 0], mode="L")]).vectors
    np.testing.assert_allclose(deep, grey, rtol=0, atol=CLOSE)


def test_every_format_is_embedded_as_its_png(client, tmp_path):
    drawn = picture_formats.drawn()
    files = [tmp_path / f"a{ending}" for ending in picture_formats.LOSSLESS]
    for file, saved in zip(files, picture_formats.LOSSLESS.values(), strict=True):
        file.write_bytes(picture_formats.encoded(drawn, **saved))
    found = client.embed_files(files).vectors
    (png,) = client.embed_encoded([picture_formats.encoded(drawn)]).vectors
    np.testing.assert_allclose(found, [png] * len(files), rtol=0, atol=CLOSE)


def test_what_is_stored_turned_is_embedded_as_if_upright(client, images):
    """By whatever export is served: earlier ones ignore the EXIF orientation."""
    for image in images[:3]:
        upright = Image.fromarray(image)
        turned = [picture_formats.encoded(upright, each) for each in picture_formats.TURNED]
        found = client.embed_encoded([picture_formats.encoded(upright), *turned]).vectors
        np.testing.assert_allclose(found, [found[0]] * len(found), rtol=0, atol=CLOSE)


@pytest.mark.skipif(not EXIF.exists(), reason="needs shared/cases")
def test_a_crop_as_a_phone_stores_it(client):
    crops = [EXIF / f"{name}_c1.jpg" for name in ("orientation_6", "upright")]
    turned, upright = client.embed_files(crops).vectors
    assert turned @ upright > 0.99


def test_cameras(client, pictures, vectors):
    """An export of --preset=strong takes them, and embeds an unknown camera's as if it had none."""
    unknown = [-1] * 12
    if not client.describe().takes_cameras:
        with pytest.raises(NoCameraSignatureError):
            client.embed_encoded(pictures, camera_id=unknown)
        return
    found = client.embed_encoded(pictures, camera_id=unknown)
    assert found.unknown_cameras == [-1]
    np.testing.assert_allclose(found.vectors, vectors, rtol=0, atol=CLOSE)


# Bad pictures.


def test_bad_pictures_are_named_and_the_rest_is_kept(client, pictures, vectors):
    mixed = list(pictures)
    mixed[3] = encoded(np.zeros((90, 30, 3), np.uint8), "JPEG")[:400]
    mixed[7] = pictures[7][: len(pictures[7]) // 2]
    names = [f"picture {row}" for row in range(12)]
    with pytest.raises(BadImageError, match="picture 3"):
        client.embed_encoded(mixed, names)
    found = client.embed_encoded(mixed, names, skip_bad_images=True)
    assert [error.file for error in found.skipped] == ["picture 3", "picture 7"]
    kept = [row for row in range(12) if row not in (3, 7)]
    assert found.files == [names[row] for row in kept]
    np.testing.assert_allclose(found.vectors, vectors[kept], rtol=0, atol=CLOSE)


def test_a_decompression_bomb(client):
    with pytest.raises(BadImageError, match="pixels"):
        client.embed_encoded([encoded(np.zeros((20000, 20000), bool), mode="1")])


@pytest.mark.parametrize("data", [b"", b"text", b"GIF89a" + bytes(50), b"\xff\xd8\xff"])
def test_the_server_itself_refuses_what_is_no_picture(address, data):
    message, tensor = request("serving_default", "image_bytes")
    tensors.put_strings(tensor, [data])
    assert refused(address, message)[0] == grpc.StatusCode.INVALID_ARGUMENT


# Bad requests: each must leave the server alive, which the tests after it show.


@pytest.mark.parametrize("change", ["rank 0", "rank 1", "rank 3", "rank 5", "size", "empty"])
def test_shapes(address, images, change):
    if ADDRESS and change == "empty":
        pytest.skip("TensorFlow Serving aborts on it where allowed_batch_sizes is set")
    message, tensor = request()
    shaped = {
        "rank 0": np.zeros((), np.uint8),
        "rank 1": np.zeros(3, np.uint8),
        "rank 3": images[0],
        "rank 5": images[None],
        "size": images[:, :-1],
        "empty": images[:0],
    }
    tensors.put_uint8(tensor, shaped[change])
    code, details = refused(address, message)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    # TensorFlow Serving's batching looks at shapes first, and has words of its own.
    assert ADDRESS or ("the batch is empty" if change == "empty" else "Shape of tensor") in details


def test_dtype(address, images):
    message, tensor = request()
    tensors.put_uint8(tensor, images[:1])
    tensor.dtype = message_classes.DT_FLOAT
    tensor.tensor_content *= 4
    code, details = refused(address, message)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "uint8 but float" in details


def test_content_that_does_not_go_with_the_shape(address, images):
    message, tensor = request()
    tensors.put_uint8(tensor, images[:1])
    tensor.tensor_content = tensor.tensor_content[:-1]
    code, details = refused(address, message)
    assert (code, details) == (grpc.StatusCode.INVALID_ARGUMENT, "tensor parsing error: images")


def test_names(address, images):
    message, tensor = request(key="picture")
    tensors.put_uint8(tensor, images[:1])
    code, details = refused(address, message)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "Signature input alias: images" in details
    message, tensor = request(signature="embed")
    tensors.put_uint8(tensor, images[:1])
    assert refused(address, message) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        'Serving signature key "embed" not found.',
    )
    message.output_filter.append("code")
    message.model_spec.signature_name = "images"
    code, details = refused(address, message)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "output tensor alias not found in signature: code" in details


def test_models_and_versions(address, images):
    message, tensor = request(model="no_such_model")
    tensors.put_uint8(tensor, images[:1])
    assert refused(address, message) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Latest(no_such_model)",
    )
    message.model_spec.name = MODEL
    message.model_spec.version.value = 987654
    assert refused(address, message) == (
        grpc.StatusCode.NOT_FOUND,
        f"Servable not found for request: Specific({MODEL}, 987654)",
    )
    with (
        EmbeddingClient(address, "no_such_model") as client,
        pytest.raises(ModelNotFoundError, match="no_such_model"),
    ):
        client.describe()


def test_a_deadline(address, pictures):
    with EmbeddingClient(address, MODEL, timeout=30) as client:
        client.describe()
        client._timeout = 1e-6  # Over before the server can say that it is.
        for _ in range(20):
            try:
                client.embed_encoded(pictures)
            except DeadlineError:
                return
            except UnavailableError as error:
                # On a busy machine the server may be the first to see that it is over.
                assert "deadline passed" in str(error)
        raise AssertionError("the client never saw its own deadline pass")


def test_after_all_that_it_answers_as_before(client, pictures, vectors):
    found = client.embed_encoded(pictures).vectors
    np.testing.assert_allclose(found, vectors, rtol=0, atol=CLOSE)
