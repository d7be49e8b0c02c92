"""The development server answers each caller, within its limits."""

import concurrent.futures

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.client import EmbeddingClient
from serving.errors import BadImageError
from tests.support import small_server

PICTURES = small_server.PICTURES


@pytest.fixture(scope="module")
def address():
    with small_server.server_process("--max_message_mib=2") as (_, address):
        yield address


def test_it_answers_as_the_model_does(address):
    with EmbeddingClient(address) as client:
        found = client.embed_encoded(PICTURES)
        np.testing.assert_allclose(
            found.vectors, small_server.expected(PICTURES), rtol=0, atol=1e-5
        )


def test_health(address):
    check = health_pb2_grpc.HealthStub(grpc.insecure_channel(address)).Check
    for service in ("", "ModelService", "PredictionService"):
        answer = check(health_pb2.HealthCheckRequest(service=service), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_callers_at_once_get_their_own_answers(address):
    """One of them sends rubbish all the time; that is nobody else's loss."""
    vectors = small_server.expected(PICTURES)

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
        small_server.stub(address).Predict(small_server.request(bytes(3 << 20)), timeout=20)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in caught.value.details()
    test_it_answers_as_the_model_does(address)


def test_a_deadline_that_passes(address):
    with pytest.raises(grpc.RpcError) as caught:
        small_server.stub(address).Predict(small_server.request(*PICTURES), timeout=0.001)
    # Whose clock is first: the caller's, or the queue's.
    late = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert caught.value.code() in late
    test_it_answers_as_the_model_does(address)
