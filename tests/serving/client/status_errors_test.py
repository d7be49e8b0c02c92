"""What both clients make of servers that fail, refuse, are slow or elsewhere, or change models."""

import concurrent.futures
import socket
import threading
import time

import grpc
import numpy as np
import pytest

from serving.client import EmbeddingClient, status_errors
from serving.errors import (
    BadInputError,
    DeadlineError,
    ModelNotFoundError,
    ModelSwitchedError,
    RefusedError,
    ReplyError,
    TooLargeError,
    UnavailableError,
)
from tests.support.scripted_server import ScriptedServer, abort, delay, embedding, picture

pytest_plugins = ["tests.support.clients"]  # connect, server

Code = grpc.StatusCode
PICTURES = [picture(row) for row in range(20)]
VECTORS = np.stack([embedding(each) for each in PICTURES])


@pytest.mark.parametrize(
    ("code", "said", "error", "advice"),
    [
        (Code.UNAVAILABLE, "The batch scheduling queue is full", UnavailableError, "`in_flight`"),
        (Code.UNAVAILABLE, "going down", UnavailableError, "`server`"),
        (Code.DEADLINE_EXCEEDED, "timed out", DeadlineError, "`timeout`"),
        (Code.RESOURCE_EXHAUSTED, "Received message larger than max", TooLargeError, "smaller"),
        (Code.RESOURCE_EXHAUSTED, "OOM when allocating tensor", TooLargeError, "`batch_size`"),
        (Code.RESOURCE_EXHAUSTED, "deadline passed in queue", UnavailableError, "`in_flight`"),
        (Code.NOT_FOUND, "Servable not found", ModelSwitchedError, "run it again"),
        (Code.FAILED_PRECONDITION, 'Serving signature key "x"', ModelNotFoundError, "`model`"),
        (Code.FAILED_PRECONDITION, "not initialized", RefusedError, "FAILED_PRECONDITION"),
        (
            Code.INVALID_ARGUMENT,
            "Task size 8 is larger than maximum input batch size 4",
            TooLargeError,
            "`batch_size`=4",
        ),
        (Code.UNIMPLEMENTED, "Method not found", RefusedError, "`server`"),
        (Code.PERMISSION_DENIED, "who are you", RefusedError, "PERMISSION_DENIED"),
        (Code.INTERNAL, "oops", RefusedError, "INTERNAL"),
    ],
)
def test_every_code_becomes_an_error_that_says_what_to_do(
    connect, server, code, said, error, advice
):
    server.faults = [abort(code, said + "\n\x1b[31m" + "x" * 1000)] * 20
    with connect(server.address) as client, pytest.raises(error) as caught:
        client.embed_encoded(PICTURES)
    text = str(caught.value)
    assert type(caught.value) is error
    assert server.address in text and advice in text
    assert len(text) < 600 and text.isprintable()
    if error is not DeadlineError:
        assert said in text


def test_images_that_are_refused_are_no_bad_pictures(connect, server):
    server.faults = [abort(Code.INVALID_ARGUMENT, "Shape of tensor")]
    with connect(server.address) as client, pytest.raises(RefusedError, match="Shape of tensor"):
        client.embed_images(np.zeros((2, 6, 5, 3), np.uint8))
    assert len(server.requests) == 1


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_unavailable_is_asked_again_however_large_the_request(connect, server, size):
    """gRPC retries nothing above 256 KiB unless it is told to buffer more."""
    server.faults = [abort(Code.UNAVAILABLE, "restarting")] * 2
    data = picture("large", size)
    with connect(server.address) as client:
        np.testing.assert_array_equal(client.embed_encoded([data]).vectors, [embedding(data)])
    assert server.attempts == [None, "1", "2"]


@pytest.mark.parametrize("code", [Code.RESOURCE_EXHAUSTED, Code.DEADLINE_EXCEEDED, Code.INTERNAL])
def test_nothing_else_is_asked_again(connect, server, code):
    server.faults = [abort(code, "no")]
    with connect(server.address) as client, pytest.raises(Exception, match=server.address):
        client.embed_encoded([picture("x")])
    assert len(server.requests) == 1


def test_every_call_has_a_deadline(connect, server):
    server.faults = [delay(3)]
    with connect(server.address, timeout=0.3) as client:
        begin = time.monotonic()
        with pytest.raises(DeadlineError, match=r"0\.3 s"):
            client.embed_encoded([picture("x")])
        assert time.monotonic() - begin < 2


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def test_nobody_there_is_reported_soon(connect):
    address = f"localhost:{free_port()}"
    begin = time.monotonic()
    with (
        connect(address, timeout=60) as client,
        pytest.raises(UnavailableError, match=f"{address}.*`server`"),
    ):
        client.describe()
    assert time.monotonic() - begin < 8


@pytest.mark.parametrize("server", ["no-such-host.invalid:8500", "a..b:8500", f"{'a' * 70}:8500"])
def test_a_host_that_does_not_exist(connect, server):
    with connect(server) as client, pytest.raises(UnavailableError) as caught:
        client.describe()
    assert server in str(caught.value)


def test_a_proxy_for_the_web_is_passed_by(connect, server, monkeypatch):
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    with connect(server.address) as client:
        assert client.describe().version == 1


def test_the_rest_port(connect):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def answer():
            while not stop.is_set():
                connection, _ = listener.accept()
                connection.recv(1024)
                connection.sendall(b"HTTP/1.0 505 HTTP Version Not Supported\r\n\r\n")
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        try:
            with connect(address) as client, pytest.raises(UnavailableError, match="8501"):
                client.describe()
        finally:
            stop.set()
            socket.create_connection(listener.getsockname()).close()  # for the last accept
            thread.join()


def test_the_rest_port_by_its_number():
    """With two addresses behind a name, gRPC tells of one of them."""
    error = status_errors.from_status(Code.UNAVAILABLE, "refused", "localhost:8501", "arn")
    assert "8501 speaks REST" in str(error)


def test_a_server_that_stops_in_the_middle(connect):
    with ScriptedServer() as server, connect(server.address, batch_size=2) as client:
        server.faults = [None] * 3 + [delay(1)] * 3
        threading.Timer(0.5, server.server.stop, [0]).start()
        begin = time.monotonic()
        with pytest.raises(UnavailableError, match=server.address):
            client.embed_encoded(PICTURES)
        assert time.monotonic() - begin < 10


def test_no_such_model(connect, server):
    with connect(server.address, model="arm") as client:
        for call in (client.describe, client.versions, lambda: client.embed_encoded([])):
            with pytest.raises(ModelNotFoundError, match=f"{server.address}.* model arm"):
                call()


def switch(server, **changes):
    """A fault that answers, and lets the model change."""

    def fault(_):
        for name, value in changes.items():
            setattr(server, name, value)

    return fault


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 2}, r"Specific\(arn, 1\).*run it again"),
        ({"space": "f" * 16}, f"0123456789abcdef to {'f' * 16}.*run it again"),
    ],
)
def test_a_model_that_changes_ends_the_job(connect, server, tmp_path, change, text):
    paths = []
    for row, data in enumerate(PICTURES):
        (tmp_path / f"{row:02d}.jpg").write_bytes(data)
        paths.append(tmp_path / f"{row:02d}.jpg")
    server.faults = [None, None, switch(server, **change)]
    given = []
    with connect(server.address, batch_size=4, in_flight=1) as client:
        with pytest.raises(ModelSwitchedError, match=text):
            for part in client.stream_files(paths):
                given.append(part.vectors)
        np.testing.assert_array_equal(np.concatenate(given), VECTORS[:8])
        found = client.embed_files(paths)  # run again
    np.testing.assert_array_equal(found.vectors, VECTORS)
    assert (found.version, found.space) == (server.version, server.space)


def test_another_version_that_answers_is_not_believed(connect, server):
    def lie(reply):
        reply.model_spec.version.value = 2

    server.edit = lie
    with connect(server.address) as client, pytest.raises(ModelSwitchedError, match="version 2"):
        client.embed_encoded(PICTURES)


class _Babbling(grpc.GenericRpcHandler):
    def service(self, _):
        return grpc.unary_unary_rpc_method_handler(lambda *_: b"\xff\xff\xff")


def test_a_reply_that_is_no_message(connect):
    babbler = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    babbler.add_generic_rpc_handlers((_Babbling(),))
    address = f"localhost:{babbler.add_insecure_port('localhost:0')}"
    babbler.start()
    with connect(address) as client, pytest.raises(ReplyError, match=f"{address}: .* parsed"):
        client.describe()
    babbler.stop(0).wait()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 2.0}, "batch_size=2.0: "),
        ({"in_flight": 0}, "in_flight=0"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": float("nan")}, "timeout=nan"),
        ({"timeout": float("inf")}, "timeout=inf"),
        ({"model": ""}, "model=: "),
    ],
)
def test_arguments_of_a_client(connect, arguments, text):
    with pytest.raises(BadInputError, match=text), connect("localhost:1", **arguments):
        pass


@pytest.mark.parametrize(
    "server",
    ["localhost", "localhost:", ":8500", "http://localhost:8501", "localhost:99999", "a b:1", ""],
)
def test_addresses_that_are_none(connect, server):
    with pytest.raises(BadInputError, match=r"server=.*host:port"), connect(server):
        pass


def test_ipv6_addresses():
    with ScriptedServer(host="[::1]") as server, EmbeddingClient(server.address) as client:
        assert client.describe().version == 1


def test_a_closed_client(server):
    with EmbeddingClient(server.address) as client:
        client.describe()
    for call in (client.versions, lambda: client.embed_encoded([picture("x")])):
        with pytest.raises(BadInputError, match="closed"):
            call()
