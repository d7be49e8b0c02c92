"""The server's command line: how it starts, what it refuses, how it ends."""

import concurrent.futures
import contextlib
import signal
import socket
import subprocess
import threading
import time

import grpc
import numpy as np
import pytest
import small_data
import small_server
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from arn_tf.input_pipeline import decode
from serving import tls_config
from serving.client import EmbeddingClient
from serving.client.tls import Tls
from serving.errors import BadImageError, BadInputError, TlsError, UnavailableError
from serving.server import listening

PICTURES = small_server.PICTURES


def request(*pictures):
    message = predict_pb2.PredictRequest()
    message.model_spec.name = "arn"
    proto = message.inputs["image_bytes"]
    proto.dtype = 7  # DT_STRING
    proto.tensor_shape.dim.add().size = len(pictures)
    proto.string_val.extend(pictures)
    return message


def stub(address):
    return prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address))


def expected(pictures):
    images = np.stack([decode(picture, small_server.SIZE).numpy() for picture in pictures])
    return small_server.model().embed(images)


@pytest.fixture(scope="module")
def address():
    with small_server.server_process("--max_message_mib=2") as (_, address):
        yield address


def test_it_answers_as_the_model_does(address):
    with EmbeddingClient(address) as client:
        found = client.embed_encoded(PICTURES)
        np.testing.assert_allclose(found.vectors, expected(PICTURES), rtol=0, atol=1e-5)


def test_health(address):
    check = health_pb2_grpc.HealthStub(grpc.insecure_channel(address)).Check
    for service in ("", "ModelService", "PredictionService"):
        answer = check(health_pb2.HealthCheckRequest(service=service), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_callers_at_once_get_their_own_answers(address):
    """One of them sends rubbish all the time; that is nobody else's loss."""
    vectors = expected(PICTURES)

    def call(caller):
        with EmbeddingClient(address, batch_size=3) as client:
            for round_ in range(10):
                rows = np.random.default_rng([caller, round_]).permutation(12)[: 1 + caller]
                pictures = [PICTURES[row] for row in rows]
                if caller == 0:
                    with pytest.raises(BadImageError):
                        client.embed_encoded([pictures[0][:300]])
                else:
                    found = client.embed_encoded(pictures).vectors
                    np.testing.assert_allclose(found, vectors[rows], rtol=0, atol=1e-5)
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(8)))


def test_a_message_above_the_limit(address):
    with pytest.raises(grpc.RpcError) as caught:
        stub(address).Predict(request(bytes(3 << 20)), timeout=20)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in caught.value.details()
    test_it_answers_as_the_model_does(address)


def test_a_deadline_that_passes(address):
    with pytest.raises(grpc.RpcError) as caught:
        stub(address).Predict(request(*PICTURES), timeout=0.001)
    # Whose clock is first: the caller's, or the queue's.
    late = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert caught.value.code() in late
    test_it_answers_as_the_model_does(address)


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
        predict = stub(address).Predict
        first = predict.future(request(PICTURES[0]), timeout=60)
        until(lambda: runs)
        calls = [predict.future(request(PICTURES[0]), timeout=60) for _ in range(60)]
        until(lambda: sum(call.done() for call in calls) == 58)
        test_health(address)
        go()
        codes = [call.code() for call in [first, *calls]]
    assert codes.count(grpc.StatusCode.OK) == 3
    assert codes.count(grpc.StatusCode.UNAVAILABLE) == 58


def test_stopping_answers_what_was_taken():
    with small_server.serving(max_batch_size=1) as server, held_up(server) as (runs, go):
        predict = stub(f"localhost:{server.port}").Predict
        calls = [predict.future(request(PICTURES[0]), timeout=60)]
        until(lambda: runs)
        calls += [predict.future(request(picture), timeout=60) for picture in PICTURES[1:4]]
        until(lambda: len(server._batcher._queue) == 3)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        time.sleep(0.3)  # long enough for what wrongly isn't waited for to be dropped
        assert not any(call.done() for call in calls)
        go()
        stopping.join()
        for call, vector in zip(calls, expected(PICTURES[:4]), strict=True):
            found = call.result().outputs["embedding"].float_val
            np.testing.assert_allclose(found, vector, rtol=0, atol=1e-5)


def test_sigterm_finishes_what_was_taken():
    with small_server.server_process() as (process, address):
        predict = stub(address).Predict
        calls = [predict.future(request(*PICTURES), timeout=30) for _ in range(30)]
        time.sleep(0.2)  # on their way
        process.send_signal(signal.SIGTERM)
        results = [call.exception() for call in calls]
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "stopping: answering what was taken" in out and "Traceback" not in err
    answered = [call for call, error in zip(calls, results, strict=True) if error is None]
    assert answered
    for error in results:
        # What came too late is told so; nothing was dropped half way.
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
    np.testing.assert_allclose(vectors, np.tile(expected(PICTURES), (50, 1)), rtol=0, atol=1e-5)


# How it doesn't start.


def fails(*flags, model_dir=None):
    line = [
        *small_data.command("serving.server")[:3],
        "serving.server", f"--model_dir={model_dir or small_server.models() / 'arn'}", *flags,
    ]  # fmt: skip
    status, _, err = small_data.finish(line)
    assert status == 2 and "Traceback" not in err, err
    return err


def test_a_port_in_use(address):
    port = address.partition(":")[2]
    assert f"--port={port}: can't listen there" in fails(f"--port={port}")


def test_a_port_in_use_on_one_of_the_addresses():
    """A server on 127.0.0.1 alone, and one that is asked for localhost."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(BadInputError, match="is another server running"):
            listening.addresses("localhost", other.getsockname()[1])


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "a..b"])
def test_a_host_that_is_not_here(host):
    with pytest.raises(BadInputError, match=f"--host={host}"):
        listening.addresses(host, 0)


def test_nothing_to_serve(tmp_path):
    assert "write one with python -m arn_tf.export" in fails(model_dir=tmp_path)
    (tmp_path / "1").mkdir()
    assert "can't be loaded" in fails(model_dir=tmp_path)


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
    assert flag.partition("=")[0].strip("-") in fails(flag)


# TLS, with the configuration file of tensorflow_model_server.


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for localhost; the file is its own authority."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
         tmp_path / "server.key", "-out", tmp_path / "server.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path / "server.crt"


def test_tls(certificate, tmp_path):
    config = tls_config.build(str(tmp_path / "server.key"), str(certificate))
    tls_config.write(config, str(tmp_path / "ssl.config"))
    with small_server.serving(ssl_config_file=str(tmp_path / "ssl.config")) as server:
        address = f"localhost:{server.port}"
        with EmbeddingClient(address, tls=Tls(str(certificate))) as client:
            found = client.embed_encoded(PICTURES[:3]).vectors
            np.testing.assert_allclose(found, expected(PICTURES[:3]), rtol=0, atol=1e-5)
        with pytest.raises(TlsError, match="--tls_ca"), EmbeddingClient(address) as client:
            client.embed_encoded(PICTURES[:1])


def test_unusable_tls_files(certificate, tmp_path):
    other = tls_config.build(str(tmp_path / "server.key"), str(certificate))
    subprocess.run(["openssl", "genrsa", "-out", tmp_path / "other.key", "2048"], check=True,
                   capture_output=True)  # fmt: skip
    other.server_key = (tmp_path / "other.key").read_text()
    tls_config.write(other, str(tmp_path / "other.config"))
    with (
        pytest.raises(BadInputError, match="don't go together"),
        small_server.serving(ssl_config_file=str(tmp_path / "other.config")),
    ):
        pass
    flag = "--ssl_config_file="
    assert "nowhere" in fails(f"{flag}{tmp_path}/nowhere")
    (tmp_path / "ssl.config").write_text("server_key: '/etc/key.pem' server_cert: 'x'")
    assert "ssl.config" in fails(f"{flag}{tmp_path}/ssl.config")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
