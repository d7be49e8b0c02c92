"""What keeps the server from starting ends in a message, before TensorFlow is imported."""

import socket

import pytest

from serving.errors import BadInputError
from serving.server import arguments
from tests.support import small_server


@pytest.fixture(scope="module")
def address():
    with small_server.server_process() as (_, address):
        yield address


def test_a_port_in_use(address):
    port = address.partition(":")[2]
    assert f"--port={port}: can't listen there" in small_server.fails(f"--port={port}")


def test_a_port_in_use_on_one_of_the_addresses():
    """A server on 127.0.0.1 alone, and one that is asked for localhost."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(BadInputError, match="is another server running"):
            arguments.addresses("localhost", other.getsockname()[1])


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "a..b"])
def test_a_host_that_is_not_here(host):
    with pytest.raises(BadInputError, match=f"host={host}"):
        arguments.addresses(host, 0)


def test_nothing_to_serve(tmp_path):
    assert "write one with python -m arn_tf.export" in small_server.fails(model_dir=tmp_path)
    (tmp_path / "1").mkdir()
    assert "can't be loaded" in small_server.fails(model_dir=tmp_path)


@pytest.mark.parametrize(
    "flag",
    [
        "--port=eight",
        "--max_batch_size=0",
        "--port=70000",
        "--max_message_mib=2048",
        "--modeldir=x",
    ],
)
def test_flags(flag):
    assert flag.partition("=")[0].strip("-") in small_server.fails(flag)
