"""What the client for ordinary Python and the one for asyncio are made with, and have in common."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from serving.client import arguments, channel, message_classes
from serving.client.job import Job
from serving.client.results import ModelDescription
from serving.client.tls import Tls


class BaseClient:
    """One channel to a server, and how it is to be used.

    Args:
        server: "host:port" of the gRPC port.
        model: name of the model.
        timeout: for one request, in seconds.
        batch_size: pictures in a request at most; also about 4 MiB at most.
        in_flight: requests under way at a time.
        tls: files for TLS, or None for plain text.

    Raises:
        BadInputError: an argument is not what it must be. Nothing is sent yet.
    """

    _open_channel: Callable[[str, Tls | None], Any] = staticmethod(channel.open_channel)

    def __init__(
        self,
        server: str,
        model: str = "arn",
        timeout: float = 30.0,
        batch_size: int = 8,
        in_flight: int = 4,
        tls: Tls | None = None,
    ) -> None:
        arguments.check(model, timeout, batch_size, in_flight)
        self._server, self._model, self._timeout = server, model, timeout
        self._batch_size, self._in_flight, self._tls = batch_size, in_flight, tls
        self._channel = self._open_channel(server, tls)
        self._predict, self._metadata, self._status = message_classes.methods(self._channel)

    def _new_job(
        self,
        description: ModelDescription,
        camera_id: Sequence[int] | np.ndarray | None,
        skip: bool = False,
    ) -> Job:
        return Job(self._server, description, self._timeout, skip, camera_id is not None)
