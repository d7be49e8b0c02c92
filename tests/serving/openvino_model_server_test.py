"""An export for OpenVINO is what OpenVINO Model Server takes, as far as can be told without one.

The rules are those of its sources, release 2026.2: which files of a version's folder it reads
(modelinstance.cpp), how it checks a request (tfs_frontend/validation.cpp) and what it tells of a
model (get_model_metadata_impl.cpp).
"""

import os

import numpy as np
import pytest

from arn_tf.served import to_openvino
from serving.client import EmbeddingClient, message_classes, messages
from serving.client.results import ModelDescription
from serving.errors import ReplyError
from tests.support import small_strong
from tests.support.scripted_server import ScriptedServer

openvino = pytest.importorskip("openvino")
HEIGHT, WIDTH = small_strong.SIZE
DESCRIPTION = ModelDescription("arn", 1, 64, (HEIGHT, WIDTH), False)


@pytest.fixture(scope="module")
def folder():
    return str(small_strong.models(to_openvino) / "arn" / "1")


def read(folder):
    return openvino.Core().read_model(os.path.join(folder, "images.xml"))


def fault(request, model):
    """Why the server would refuse a request, or None."""
    inputs = {place.any_name: place for place in model.inputs}
    if len(request.inputs) != len(inputs):
        return "INVALID_NO_OF_INPUTS"
    for name, place in inputs.items():
        if name not in request.inputs:
            return "INVALID_MISSING_INPUT"
        tensor = request.inputs[name]
        shape = [dim.size for dim in tensor.tensor_shape.dim]
        if tensor.dtype != message_classes.DT_UINT8 or place.element_type != openvino.Type.u8:
            return "INVALID_PRECISION"
        if len(shape) != len(place.partial_shape):
            return "INVALID_NO_OF_SHAPE_DIMENSIONS"
        if not place.partial_shape.compatible(openvino.PartialShape(shape)):
            return "INVALID_SHAPE"
        if len(tensor.tensor_content) != np.prod(shape):
            return "INVALID_CONTENT_SIZE"
    return None


def test_a_version_s_folder_holds_one_model(folder):
    """It takes the first file that ends so; in folders below it looks for nothing."""
    endings = (".xml", ".bin", ".onnx", ".pdmodel", "saved_model.pb", ".tflite")
    found = [name for name in os.listdir(folder) if name.endswith(endings)]
    assert sorted(found) == ["images.bin", "images.xml"]
    below = os.listdir(os.path.join(folder, "by_camera"))
    assert sorted(below) == ["images_by_camera.bin", "images_by_camera.xml"]


@pytest.mark.parametrize("count", [1, 7, 32])
def test_the_client_s_message_of_images_fits(folder, count):
    images = np.zeros((count, HEIGHT, WIDTH, 3), np.uint8)
    assert fault(messages.images_request(DESCRIPTION, images), read(folder)) is None


def test_other_messages_do_not(folder):
    model = read(folder)
    short = np.zeros((2, HEIGHT - 1, WIDTH, 3), np.uint8)
    assert fault(messages.images_request(DESCRIPTION, short), model) == "INVALID_SHAPE"
    encoded = messages.encoded_request(DESCRIPTION, [b"\xff\xd8\xff"])
    assert fault(encoded, model) == "INVALID_MISSING_INPUT"


def test_the_first_axis_is_the_batch_and_one_output_is_named(folder):
    """The server takes the first for it where a model names no layout."""
    model = read(folder)
    assert model.inputs[0].partial_shape[0].is_dynamic
    assert model.inputs[0].node.layout.empty
    (output,) = model.outputs
    assert output.any_name == "embedding" and output.element_type == openvino.Type.f32


def test_the_client_refuses_such_a_server_by_name_of_what_it_has():
    """Its metadata: one signature, which has no JPEG and no embedding space."""
    with ScriptedServer() as server:
        signatures = message_classes.SignatureDefMap()
        only = signatures.signature_def["serving_default"]
        pictures = only.inputs["images"]
        pictures.dtype = message_classes.DT_UINT8
        for size in (-1, HEIGHT, WIDTH, 3):
            pictures.tensor_shape.dim.add(size=size)
        only.outputs["embedding"].dtype = message_classes.DT_FLOAT
        server.metadata.metadata["signature_def"].value = signatures.SerializeToString()
        with (
            EmbeddingClient(server.address) as client,
            pytest.raises(
                ReplyError, match=r"serving_default\(images\) -> embedding; an export has"
            ),
        ):
            client.embed_encoded([b"\xff\xd8\xff"])
        assert not server.requests
