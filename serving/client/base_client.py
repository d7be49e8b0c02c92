"""What the client for ordinary Python and the one for asyncio are made with, and have in common."""

from serving.client import arguments, channel, message_classes
from serving.client.job import Job
from serving.client.tls import Tls


class Connection:
    """One channel to a server, and how it is to be used.

    Arguments and errors are those of `serving.client.EmbeddingClient`.
    """

    _open_channel = staticmethod(channel.open_channel)

    def __init__(
        self,
        server: str,
        model: str = "arn",
        timeout: float = 30.0,
        batch_size: int = 8,
        in_flight: int = 4,
        tls: Tls | None = None,
    ):
        arguments.check(model, timeout, batch_size, in_flight)
        self._server, self._model, self._timeout = server, model, timeout
        self._batch_size, self._in_flight, self._tls = batch_size, in_flight, tls
        self._channel = self._open_channel(server, tls)
        self._predict, self._metadata, self._status = message_classes.methods(self._channel)

    def _new_job(self, description, camera_id, skip=False):
        return Job(self._server, description, self._timeout, skip, camera_id is not None)
