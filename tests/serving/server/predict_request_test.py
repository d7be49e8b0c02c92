"""Codes and messages of the development server are those of TensorFlow Serving.

The table is that of ../shared/reference/serving.md, read off TensorFlow Serving's sources.
"""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.support import small_server

HEIGHT, WIDTH = small_server.SIZE
IMAGES = np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH, 3), np.uint8)


@pytest.fixture(scope="module", params=["float_val", "tensor_content"])
def server(request):
    as_tensor_content = request.param == "tensor_content"
    with small_server.serving(as_tensor_content=as_tensor_content) as server:
        yield server


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(f"localhost:{server.port}") as channel:
        yield channel


@pytest.fixture(scope="module")
def predict(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict


def request(spec="name: 'arn'", signature="images", output_filter=(), **inputs):
    message = predict_pb2.PredictRequest(output_filter=output_filter)
    if spec is not None:
        text_format.Parse(spec, message.model_spec)
        message.model_spec.signature_name = signature
    for name, value in inputs.items():
        proto = value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
        message.inputs[name].CopyFrom(proto)
    return message


def refused(call, message, code, text):
    with pytest.raises(grpc.RpcError) as caught:
        call(message, timeout=20)
    assert (caught.value.code(), caught.value.details()) == (code, text)


def tensor(content, batch_size=1, dtype="DT_UINT8"):
    """A `TensorProto` of the right size, with whatever content."""
    proto = text_format.Parse(f"dtype: {dtype} {content}", tensor_pb2.TensorProto())
    for size in (batch_size, HEIGHT, WIDTH, 3):
        proto.tensor_shape.dim.add().size = size
    return proto


NOT_FOUND, INVALID = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT
REFUSED = {
    "no model_spec": (request(None, images=IMAGES), INVALID, "Missing ModelSpec"),
    "empty name": (request("", images=IMAGES), INVALID, "ModelSpec has no name specified."),
    "unknown model": (
        request("name: 'm'", images=IMAGES),
        NOT_FOUND,
        "Servable not found for request: Latest(m)",
    ),
    "unknown version": (
        request("name: 'arn' version { value: 7 }", images=IMAGES),
        NOT_FOUND,
        "Servable not found for request: Specific(arn, 7)",
    ),
    "unknown label": (
        request("name: 'arn' version_label: 'stable'", images=IMAGES),
        INVALID,
        "Unrecognized servable version label: stable",
    ),
    "unknown signature": (
        request(signature="embed", images=IMAGES),
        grpc.StatusCode.FAILED_PRECONDITION,
        'Serving signature key "embed" not found.',
    ),
    "internal signature": (
        request(signature="__saved_model_init_op"),
        grpc.StatusCode.FAILED_PRECONDITION,
        'Serving signature key "__saved_model_init_op" not found.',
    ),
    "no input": (
        request(),
        INVALID,
        "input size does not match signature: 0!=1 len({}) != len({images}). "
        "Sent extra: {}. Missing but required: {images}.",
    ),
    "two inputs": (
        request(images=IMAGES, mask=IMAGES),
        INVALID,
        "input size does not match signature: 2!=1 len({images,mask}) != len({images}). "
        "Sent extra: {mask}. Missing but required: {}.",
    ),
    "wrong name": (
        request(image=IMAGES),
        INVALID,
        "Signature input alias: images not found in request and no default value provided. "
        "Inputs expected to be in the set {images}.",
    ),
    "wrong dtype": (
        request(images=IMAGES.astype(np.float32)),
        INVALID,
        "Expects arg[0] to be uint8 but float32 is provided",
    ),
    "no dtype": (
        request(images=tensor("", dtype="DT_INVALID")),
        INVALID,
        "Expects arg[0] to be uint8 but type 0 is provided",
    ),
    "wrong size": (
        request(images=IMAGES[:, 1:]),
        INVALID,
        f"Shape of tensor images [3,{HEIGHT - 1},{WIDTH},3] is not compatible with expected "
        f"shape [?,{HEIGHT},{WIDTH},3].",
    ),
    "wrong rank": (
        request(images=IMAGES[0]),
        INVALID,
        f"Shape of tensor images [{HEIGHT},{WIDTH},3] is not compatible with expected shape "
        f"[?,{HEIGHT},{WIDTH},3].",
    ),
    "unknown rank": (
        request(images=tensor("tensor_shape { unknown_rank: true }")),
        INVALID,
        "tensor parsing error: images",
    ),
    "negative size": (
        request(images=tensor("int_val: 1", batch_size=-1)),
        INVALID,
        "tensor parsing error: images",
    ),
    "too little content": (
        request(images=tensor("tensor_content: 'abc'")),
        INVALID,
        "tensor parsing error: images",
    ),
    "no content": (
        request(images=tensor("")),
        INVALID,
        "tensor parsing error: images",
    ),
    "a batch of a billion in few bytes": (
        request(images=tensor("int_val: 1", batch_size=1_000_000_000)),
        INVALID,
        "Task size 1000000000 is larger than maximum input batch size 32",
    ),
    "a batch above the maximum": (
        request(images=np.repeat(IMAGES, 11, axis=0)),
        INVALID,
        "Task size 33 is larger than maximum input batch size 32",
    ),
    "no picture": (
        request(images=IMAGES[:0]),
        INVALID,
        "the batch is empty: send one picture or more",
    ),
    "unknown output": (
        request(images=IMAGES, output_filter=["code"]),
        INVALID,
        "output tensor alias not found in signature: code Outputs expected to be in the set "
        "{embedding,embedding_space}.",
    ),
    "an output twice": (
        request(images=IMAGES, output_filter=["embedding", "embedding"]),
        INVALID,
        "duplicate output tensor alias: embedding",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(predict, name):
    refused(predict, *REFUSED[name])


@pytest.mark.parametrize(
    "message, words",
    [
        (request(signature="", image_bytes=[b"text"]), "neither JPEG nor PNG"),
        (request(signature="", image_bytes=[small_server.PICTURES[0][:500]]), "Invalid JPEG data"),
    ],
)
def test_refused_by_the_graph(predict, message, words):
    with pytest.raises(grpc.RpcError) as caught:
        predict(message, timeout=20)
    assert caught.value.code() == INVALID and words in caught.value.details()


def test_an_answer(predict, server):
    expected = small_server.model().embed(IMAGES)
    answer = predict(request(images=IMAGES), timeout=20)
    assert answer.model_spec.name == "arn" and answer.model_spec.version.value == 1
    assert answer.model_spec.signature_name == "images"
    np.testing.assert_allclose(
        tf.make_ndarray(answer.outputs["embedding"]), expected, rtol=0, atol=1e-5
    )
    assert len(set(tf.make_ndarray(answer.outputs["embedding_space"]).tolist())) == 1
    only = predict(request(images=IMAGES, output_filter=["embedding"]), timeout=20)
    assert list(only.outputs) == ["embedding"]
    # The default signature, and a version by number.
    spec = "name: 'arn' version { value: 1 }"
    message = request(spec, signature="", image_bytes=small_server.PICTURES)
    assert predict(message, timeout=20).model_spec.signature_name == "serving_default"


def test_a_tensor_repeats_its_last_value(predict):
    found = predict(request(images=tensor("int_val: 7")), timeout=20).outputs["embedding"]
    expected = small_server.model().embed(np.full((1, HEIGHT, WIDTH, 3), 7, np.uint8))
    np.testing.assert_allclose(tf.make_ndarray(found), expected, rtol=0, atol=1e-5)


def test_a_call_without_a_deadline(predict):
    assert predict(request(images=IMAGES)).outputs["embedding"].tensor_shape.dim[0].size == 3


def test_metadata(channel):
    call = prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata
    message = get_model_metadata_pb2.GetModelMetadataRequest()
    refused(
        call, message, INVALID, "GetModelMetadataRequest must specify at least one metadata_field"
    )
    message.metadata_field.append("signature_def")
    refused(call, message, INVALID, "Missing ModelSpec")
    message.model_spec.name = "m"
    refused(call, message, NOT_FOUND, "Servable not found for request: Latest(m)")
    message.model_spec.name = "arn"
    answer = call(message, timeout=20)
    assert answer.model_spec.version.value == 1
    definitions = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(definitions)
    assert {"serving_default", "images"} <= set(definitions.signature_def)
    sizes = definitions.signature_def["images"].inputs["images"].tensor_shape.dim
    assert [dim.size for dim in sizes] == [-1, HEIGHT, WIDTH, 3]
    message.metadata_field.append("graph")
    refused(call, message, INVALID, "Metadata field graph is not supported")


def test_status(channel):
    call = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus
    message = get_model_status_pb2.GetModelStatusRequest()
    refused(call, message, INVALID, "Missing ModelSpec")
    message.model_spec.name = "m"
    refused(call, message, NOT_FOUND, "Could not find any versions of model m")
    message.model_spec.version.value = 3
    refused(call, message, NOT_FOUND, "Could not find version 3 of model m")
    message.model_spec.name = "arn"
    refused(call, message, NOT_FOUND, "Could not find version 3 of model arn")
    message.model_spec.version.value = 1
    (status,) = call(message, timeout=20).model_version_status
    assert (status.version, status.state) == (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    assert status.status.error_code == 0
