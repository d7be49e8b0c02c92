"""Runs requests on the model, several callers' pictures at once."""

import collections
import dataclasses
import threading
import time
from collections.abc import Sequence
from concurrent import futures

import grpc
import numpy as np
import tensorflow as tf

from serving.server.predict_request import Prediction, RequestError

# {output: array} of one request.
_Answer = futures.Future[dict[str, np.ndarray]]


# Two tasks are never the same; tensors have no plain equality either.
@dataclasses.dataclass(frozen=True, eq=False)
class _Task:
    prediction: Prediction
    # Of time.monotonic(); infinite where the caller gave none.
    deadline: float
    answer: _Answer = dataclasses.field(default_factory=futures.Future)


class Batcher:
    """One thread that runs the model on what has queued up meanwhile.

    No caller waits for others to come: under load the queue fills while the model runs, and
    without load there is nothing to wait for.

    Args:
        max_batch_size: most pictures in one run.
        max_queued_requests: most requests that wait.
    """

    def __init__(self, max_batch_size: int, max_queued_requests: int) -> None:
        self.max_batch_size = max_batch_size
        self.max_queued_requests = max_queued_requests
        self._queue: collections.deque[_Task] = collections.deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, prediction: Prediction, seconds: float | None = None) -> _Answer:
        """Queues a request.

        Args:
            prediction: the request, checked.
            seconds: after which the caller no longer waits, or None.

        Returns:
            Future of {output: array}; cancel it when the caller has left.

        Raises:
            RequestError: the queue is full, or closed.
        """
        deadline = float("inf") if seconds is None else time.monotonic() + seconds
        task = _Task(prediction, deadline)
        with self._changed:
            if self._closed:
                raise RequestError(grpc.StatusCode.UNAVAILABLE, "The server is stopping")
            if len(self._queue) >= self.max_queued_requests:
                raise RequestError(
                    grpc.StatusCode.UNAVAILABLE,
                    "The batch scheduling queue to which this task was submitted is full; "
                    f"{self.max_queued_requests} requests wait already",
                )
            self._queue.append(task)
            self._changed.notify()
        return task.answer

    def close(self) -> None:
        """Ends the thread, after all that is queued."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while tasks := self._next_batch():
            tasks = [task for task in tasks if _wanted(task)]
            if tasks:
                self._run(tasks)

    def _next_batch(self) -> list[_Task]:
        """Returns the oldest request and those that fit into one run with it; [] at the end."""
        with self._changed:
            while not self._queue:
                if self._closed:
                    return []
                self._changed.wait()
            first = self._queue.popleft()
            tasks, size = [first], first.prediction.batch_size
            for task in list(self._queue):
                if size == self.max_batch_size:
                    break
                together = size + task.prediction.batch_size
                if _same_run(first, task) and together <= self.max_batch_size:
                    self._queue.remove(task)
                    tasks.append(task)
                    size = together
            return tasks

    def _run(self, tasks: list[_Task]) -> None:
        try:
            values = _compute([task.prediction for task in tasks])
        except tf.errors.InvalidArgumentError as error:
            if len(tasks) == 1:
                tasks[0].answer.set_exception(
                    RequestError(grpc.StatusCode.INVALID_ARGUMENT, _short(error))
                )
            else:
                # One bad picture fails its own request and no other.
                for task in tasks:
                    self._run([task])
        except Exception as error:  # whatever TensorFlow raises, the thread must live
            for task in tasks:
                task.answer.set_exception(RequestError(grpc.StatusCode.INTERNAL, _short(error)))
        else:
            for task, value in zip(tasks, values, strict=True):
                task.answer.set_result(value)


def _wanted(task: _Task) -> bool:
    if not task.answer.set_running_or_notify_cancel():
        return False
    if time.monotonic() > task.deadline:
        task.answer.set_exception(
            RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Task deadline passed in the queue")
        )
        return False
    return True


def _same_run(one: _Task, other: _Task) -> bool:
    first, second = one.prediction, other.prediction
    return first.model is second.model and first.signature == second.signature


def _compute(predictions: Sequence[Prediction]) -> list[dict[str, np.ndarray]]:
    """Runs requests of one signature together; returns {output: array} for each."""
    first = predictions[0]
    if len(predictions) == 1:
        return [first.model.run(first.signature, first.inputs)]
    inputs = {
        alias: tf.concat([prediction.inputs[alias] for prediction in predictions], axis=0)
        for alias in first.inputs
    }
    values = first.model.run(first.signature, inputs)
    ends = np.cumsum([prediction.batch_size for prediction in predictions])[:-1]
    parts = {alias: np.split(value, ends) for alias, value in values.items()}
    return [{alias: parts[alias][place] for alias in parts} for place in range(len(predictions))]


def _short(error: Exception) -> str:
    """Returns an error's text, cut as TensorFlow Serving cuts it."""
    text = getattr(error, "message", "") or str(error)
    return text if len(text) <= 1024 else text[:1024] + "...TRUNCATED"
