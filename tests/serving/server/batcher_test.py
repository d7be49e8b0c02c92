"""What the batcher runs together, and that nobody gets another's answer or another's fault."""

import threading
import time
import types
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving.server.batcher import Batcher
from serving.server.predict_request import Prediction, RequestError

BAD = -1.0


class FakeModel:
    """Doubles numbers; refuses `BAD`; notes the sizes of its runs; may be held up."""

    def __init__(self):
        self.sizes = []
        self.go = threading.Event()
        self.go.set()

    def run(self, signature, inputs):
        values = inputs["x"].numpy()
        self.sizes.append(len(values))
        self.go.wait(20)
        if signature == "broken":
            raise RuntimeError("out of order")
        if BAD in values:
            raise tf.errors.InvalidArgumentError(None, None, "bad picture")
        return {"y": 2 * values, "name": np.array([b"space"] * len(values), dtype=object)}


def prediction(model, *values, signature="double"):
    return Prediction(model, signature, {"x": tf.constant(values)}, ["y"], len(values))


@pytest.fixture
def model():
    return FakeModel()


@pytest.fixture
def batcher(model):
    batcher = Batcher(max_batch_size=8, max_queued_requests=6)
    yield batcher
    model.go.set()
    batcher.close()


def hold(model, batcher):
    """Lets a first request occupy the model, so that others queue up behind it."""
    model.go.clear()
    first = batcher.submit(prediction(model, 0.5))
    while not model.sizes:
        time.sleep(0.001)
    return first


def answer(future):
    return future.result(20)["y"].tolist()


def test_what_queued_up_runs_together_and_each_gets_its_own(model, batcher):
    first = hold(model, batcher)
    sizes = (2, 1, 4, 3, 1)
    values = [[10.0 * i + j for j in range(size)] for i, size in enumerate(sizes)]
    asked = [batcher.submit(prediction(model, *each)) for each in values]
    model.go.set()
    assert answer(first) == [1.0]
    for each, future in zip(values, asked, strict=True):
        assert answer(future) == [2 * value for value in each]
        assert future.result()["name"].tolist() == [b"space"] * len(each)
    # 2 + 1 + 4, then no room for 3 but for 1; 3 is the oldest of the next run.
    assert model.sizes == [1, 8, 3]


def test_one_bad_picture_fails_its_own_request_only(model, batcher):
    first = hold(model, batcher)
    asked = [batcher.submit(prediction(model, *v)) for v in ([1.0], [2.0, BAD], [3.0])]
    model.go.set()
    answer(first)
    assert answer(asked[0]) == [2.0] and answer(asked[2]) == [6.0]
    with pytest.raises(RequestError, match="bad picture") as caught:
        answer(asked[1])
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT


def test_models_and_signatures_are_not_mixed(model, batcher):
    first, other = hold(model, batcher), FakeModel()
    asked = [
        batcher.submit(prediction(model, 1.0)),
        batcher.submit(prediction(other, 2.0)),
        batcher.submit(prediction(model, 3.0, signature="triple")),
        batcher.submit(prediction(model, 4.0)),
    ]
    model.go.set()
    assert [answer(future) for future in [first, *asked]] == [[1.0], [2.0], [4.0], [6.0], [8.0]]
    assert model.sizes == [1, 2, 1] and other.sizes == [1]


def test_inputs_of_a_request_stay_together(batcher):
    """Cameras are put together as their pictures are, and never with requests that have none."""
    go, runs = threading.Event(), []

    def run(signature, inputs):
        runs.append(signature)
        go.wait(20)
        values = inputs["x"].numpy()
        return {"y": values * inputs["camera_id"].numpy() if "camera_id" in inputs else values}

    model = types.SimpleNamespace(run=run)

    def by_camera(values, cameras):
        inputs = {"x": tf.constant(values), "camera_id": tf.constant(cameras, tf.float32)}
        return Prediction(model, "by_camera", inputs, ["y"], len(values))

    first = batcher.submit(by_camera([0.5], [1]))
    while not runs:
        time.sleep(0.001)
    asked = [
        batcher.submit(by_camera([1.0, 2.0], [10, 100])),
        batcher.submit(prediction(model, 7.0, signature="plain")),
        batcher.submit(by_camera([3.0], [-1])),
    ]
    go.set()
    assert [answer(each) for each in [first, *asked]] == [[0.5], [10.0, 200.0], [7.0], [-3.0]]
    assert runs == ["by_camera", "by_camera", "plain"]


def test_a_full_queue_refuses_and_recovers(model, batcher):
    first = hold(model, batcher)
    asked = [batcher.submit(prediction(model, float(i))) for i in range(6)]
    with pytest.raises(RequestError, match="is full; 6 requests wait already") as caught:
        batcher.submit(prediction(model, 6.0))
    assert caught.value.code == grpc.StatusCode.UNAVAILABLE
    model.go.set()
    assert [answer(future) for future in asked] == [[2.0 * i] for i in range(6)]
    answer(first)
    assert answer(batcher.submit(prediction(model, 7.0))) == [14.0]


def test_nothing_runs_that_nobody_waits_for(model, batcher):
    first = hold(model, batcher)
    late = batcher.submit(prediction(model, 1.0), seconds=0.01)
    gone = batcher.submit(prediction(model, 2.0))
    stays = batcher.submit(prediction(model, 3.0), seconds=20)
    assert gone.cancel()
    time.sleep(0.05)
    model.go.set()
    answer(first)
    assert answer(stays) == [6.0]
    with pytest.raises(RequestError, match="deadline passed") as caught:
        answer(late)
    assert caught.value.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(futures.CancelledError):
        gone.result()
    assert model.sizes == [1, 1]


def test_the_thread_survives_any_error(model, batcher):
    with pytest.raises(RequestError, match="out of order") as caught:
        answer(batcher.submit(prediction(model, 1.0, signature="broken")))
    assert caught.value.code == grpc.StatusCode.INTERNAL
    assert answer(batcher.submit(prediction(model, 1.0))) == [2.0]


def test_closing_answers_what_is_queued(model):
    batcher = Batcher(max_batch_size=1, max_queued_requests=9)
    first = hold(model, batcher)
    asked = [batcher.submit(prediction(model, float(i))) for i in range(3)]
    threading.Timer(0.05, model.go.set).start()
    batcher.close()
    assert all(future.done() for future in [first, *asked])
    assert [answer(future) for future in asked] == [[0.0], [2.0], [4.0]]


def test_many_callers_at_once(model):
    batcher = Batcher(max_batch_size=8, max_queued_requests=64)

    def call(caller):
        for i in range(100):
            value = 1000.0 * caller + i
            assert answer(batcher.submit(prediction(model, value, value + 0.5))) == [
                2 * value,
                2 * value + 1,
            ]
        return True

    with futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(8)))
    batcher.close()
    assert sum(model.sizes) == 1600


def test_long_errors_are_cut(batcher):
    def run(signature, inputs):
        raise tf.errors.InvalidArgumentError(None, None, "x" * 5000)

    with pytest.raises(RequestError) as caught:
        answer(batcher.submit(prediction(types.SimpleNamespace(run=run), 1.0)))
    assert str(caught.value) == "x" * 1024 + "...TRUNCATED"
