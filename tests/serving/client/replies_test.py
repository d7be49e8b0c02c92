"""Replies that keep the export's promise in another encoding, and replies that don't."""

import numpy as np
import pytest
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.errors import ReplyError
from tests.support.scripted_server import ScriptedServer, embedding, picture

pytest_plugins = ["tests.support.clients"]  # connect, server

PICTURES = [picture(row) for row in range(3)]
VECTORS = np.stack([embedding(each) for each in PICTURES])


def use_content(reply):
    """As TF Serving with --enable_serialization_as_tensor_content."""
    vectors, space = reply.outputs["embedding"], reply.outputs["embedding_space"]
    vectors.tensor_content = np.array(vectors.float_val, "<f4").tobytes()
    vectors.ClearField("float_val")
    names = list(space.string_val)
    space.tensor_content = bytes(len(name) for name in names) + b"".join(names)
    space.ClearField("string_val")


def test_tensor_content(connect, server):
    server.edit = use_content
    with connect(server.address) as client:
        found = client.embed_encoded(PICTURES)
    np.testing.assert_array_equal(found.vectors, VECTORS)
    assert found.space == server.space


def test_a_space_that_is_sent_once_for_all_rows(connect, server):
    server.edit = lambda reply: reply.outputs["embedding_space"].string_val.__delitem__(
        slice(1, None)
    )
    with connect(server.address) as client:
        assert client.embed_encoded(PICTURES).space == server.space


def test_a_reply_above_grpcs_four_megabytes(connect):
    with ScriptedServer(dim=200_000) as server, connect(server.address) as client:
        found = client.embed_encoded(PICTURES * 2)
    assert found.vectors.nbytes > 4 * 2**20
    np.testing.assert_array_equal(found.vectors[2], embedding(PICTURES[2], 200_000))


def floats(change):
    def edit(reply):
        values = np.array(reply.outputs["embedding"].float_val).reshape(-1, 4)
        change(values)
        reply.outputs["embedding"].float_val[:] = values.ravel().tolist()

    return edit


def put(row, value):
    return floats(lambda values: values.__setitem__(row, value))


def scale(factor):
    return floats(lambda values: values.__imul__(factor))


def resize(output, axis, size):
    return lambda reply: setattr(reply.outputs[output].tensor_shape.dim[axis], "size", size)


def retype(output, dtype):
    return lambda reply: setattr(reply.outputs[output], "dtype", dtype)


def spaces(*values):
    def edit(reply):
        reply.outputs["embedding_space"].string_val[:] = values

    return edit


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda reply: reply.outputs.pop("embedding"), "embedding is missing"),
        (lambda reply: reply.outputs.pop("embedding_space"), "embedding_space is missing"),
        (lambda reply: reply.outputs.clear(), r"missing \(outputs: none\)"),
        (lambda reply: reply.ClearField("model_spec"), "which version"),
        (put((1, 2), np.nan), "row 1 has length nan"),
        (put((2, 0), np.inf), "row 2 has length inf"),
        (put(0, 0), "row 0 has length 0"),
        (scale(1.002), "row 0 has length 1.002"),
        (scale(0.998), "row 0 has length 0.998"),
        (scale(1e30), "length 1e"),
        (resize("embedding", 1, 3), r"shape \[3, 3\], not \[3, 4\]"),
        (resize("embedding", 0, 2), r"shape \[2, 4\], not \[3, 4\]"),
        (resize("embedding_space", 0, 2), "embedding_space has shape"),
        (retype("embedding", 2), "embedding has type number 2"),
        (retype("embedding_space", 1), "embedding_space has type"),
        (lambda reply: reply.outputs["embedding"].float_val.append(1), "52 bytes for 12"),
        (spaces(b"0" * 16, b"0" * 16, b"1" * 16), "one fingerprint"),
        (spaces(*[b"no fingerprint.."] * 3), "one fingerprint"),
        (spaces(*[b"0" * 17] * 3), "one fingerprint"),
    ],
)
def test_replies_that_are_not_believed(connect, server, edit, text):
    server.edit = edit
    with connect(server.address) as client, pytest.raises(ReplyError, match=text) as caught:
        client.embed_encoded(PICTURES)
    assert str(caught.value).startswith(server.address)


def test_lengths_within_a_thousandth_are(connect, server):
    server.edit = scale(1.0009)
    with connect(server.address) as client:
        np.testing.assert_allclose(client.embed_encoded(PICTURES).vectors, VECTORS, rtol=2e-3)


def signatures(change):
    def edit(metadata):
        found = get_model_metadata_pb2.SignatureDefMap()
        metadata.metadata["signature_def"].Unpack(found)
        change(found.signature_def)
        metadata.metadata["signature_def"].Pack(found)

    return edit


def field(signature, kind, name):
    return lambda defs: getattr(defs[signature], kind)[name]


def size_of(signature, kind, name, axis, size):
    where = field(signature, kind, name)
    return signatures(lambda defs: setattr(where(defs).tensor_shape.dim[axis], "size", size))


def type_of(signature, kind, name, dtype):
    where = field(signature, kind, name)
    return signatures(lambda defs: setattr(where(defs), "dtype", dtype))


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (signatures(lambda defs: defs.pop("images")), r"It has serving_default\(image_bytes\)"),
        (signatures(lambda defs: defs.pop("serving_default")), r"It has images\(images\) -> emb"),
        (signatures(lambda defs: defs.clear()), "It has no signatures"),
        (signatures(lambda defs: defs["images"].outputs.pop("embedding")), "not an export"),
        (size_of("images", "inputs", "images", 1, -1), "not an export"),
        (size_of("images", "inputs", "images", 3, 1), "not an export"),
        (size_of("images", "outputs", "embedding", 1, 5), "not an export"),
        (size_of("serving_default", "inputs", "image_bytes", 0, 8), "not an export"),
        (size_of("serving_default", "outputs", "embedding", 1, -1), "not an export"),
        (type_of("serving_default", "inputs", "image_bytes", 1), "not an export"),
        (type_of("images", "inputs", "images", 1), "not an export"),
        (lambda reply: reply.metadata.clear(), "It has no signatures"),
        (
            lambda reply: setattr(reply.metadata["signature_def"], "value", b"\xff\xff"),
            "can't be parsed",
        ),
    ],
)
def test_models_that_are_no_export(connect, server, edit, text):
    edit(server.metadata)
    with connect(server.address) as client, pytest.raises(ReplyError, match=text) as caught:
        client.embed_encoded(PICTURES)
    assert server.address in str(caught.value)
    assert "__saved_model_init_op" not in str(caught.value)
    assert not server.requests
