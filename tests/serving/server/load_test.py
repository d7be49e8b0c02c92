"""A server with too much to do, one that is stopped, and one that is killed: nothing is lost."""

import contextlib
import signal
import socket
import threading
import time

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.client import EmbeddingClient
from serving.errors import UnavailableError
from tests.support import small_server

PICTURES = small_server.PICTURES


def assert_healthy(address):
    check = health_pb2_grpc.HealthStub(grpc.insecure_channel(address)).Check
    answer = check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@contextlib.contextmanager
def held_up(server):
    """Lets the model of a server in this process wait; yields (runs so far, function to go on)."""
    model, go, runs = server.versions.get(), threading.Event(), []
    run = model.run

    def wait(*arguments):
        runs.append(arguments)
        assert go.wait(30)
        return run(*arguments)

    model.run = wait
    try:
        yield runs, go.set
    finally:
        go.set()


def until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_more_calls_than_the_queue_holds():
    """One runs, two wait, the others may try again; and the server still says how it is."""
    with (
        small_server.serving(max_batch_size=1, max_queued_requests=2) as server,
        held_up(server) as (runs, go),
    ):
        address = f"localhost:{server.port}"
        predict = small_server.stub(address).Predict
        first = predict.future(small_server.request(PICTURES[0]), timeout=60)
        until(lambda: runs)
        calls = [predict.future(small_server.request(PICTURES[0]), timeout=60) for _ in range(60)]
        until(lambda: sum(call.done() for call in calls) == 58)
        assert_healthy(address)
        go()
        codes = [call.code() for call in [first, *calls]]
    assert codes.count(grpc.StatusCode.OK) == 3
    assert codes.count(grpc.StatusCode.UNAVAILABLE) == 58


def test_stopping_answers_what_was_taken():
    with small_server.serving(max_batch_size=1) as server, held_up(server) as (runs, go):
        predict = small_server.stub(f"localhost:{server.port}").Predict
        calls = [predict.future(small_server.request(PICTURES[0]), timeout=60)]
        until(lambda: runs)
        calls += [
            predict.future(small_server.request(picture), timeout=60) for picture in PICTURES[1:4]
        ]
        until(lambda: len(server._batcher._queue) == 3)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        time.sleep(0.3)  # long enough for what wrongly isn't waited for to be dropped
        assert not any(call.done() for call in calls)
        go()
        stopping.join()
        for call, vector in zip(calls, small_server.expected(PICTURES[:4]), strict=True):
            found = call.result().outputs["embedding"].float_val
            np.testing.assert_allclose(found, vector, rtol=0, atol=1e-5)


def test_sigterm_finishes_what_was_taken():
    with small_server.server_process() as (process, address):
        predict = small_server.stub(address).Predict
        calls = [predict.future(small_server.request(*PICTURES), timeout=30) for _ in range(30)]
        time.sleep(0.2)  # on their way
        process.send_signal(signal.SIGTERM)
        results = [call.exception() for call in calls]
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    # No line of TensorFlow's either, of its start or of later.
    assert (out, err) == ("stopping: answering what was taken\n", "")
    answered = [call for call, error in zip(calls, results, strict=True) if error is None]
    assert answered
    for error in results:
        # What came too late is refused; nothing was dropped half way.
        assert error is None or error.code() == grpc.StatusCode.UNAVAILABLE
    for call in answered:
        assert len(call.result().outputs["embedding"].float_val) == 12 * small_server.DIM


def test_kill_and_restart_in_the_middle_of_a_job(tmp_path):
    """What was answered stays; what was not is tried again, and comes once the server is back."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    paths = []
    for i in range(600):
        paths.append(str(tmp_path / f"{i:03d}.jpg"))
        (tmp_path / f"{i:03d}.jpg").write_bytes(PICTURES[i % 12])
    received = []
    with (
        small_server.server_process(port=port) as (process, address),
        EmbeddingClient(address, batch_size=2, timeout=10) as client,
        pytest.raises(UnavailableError),
    ):
        for part in client.stream_files(paths):
            received.append(part)
            if len(received) == 5:
                process.kill()
    done = [name for part in received for name in part.files]
    assert done == paths[: len(done)] and 10 <= len(done) < 600
    with (
        small_server.server_process(port=port) as (_, address),
        EmbeddingClient(address) as client,
    ):
        received += client.stream_files(paths[len(done) :])
    vectors = np.concatenate([part.vectors for part in received])
    expected = np.tile(small_server.expected(PICTURES), (50, 1))
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-5)
