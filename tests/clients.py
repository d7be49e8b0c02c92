"""Both clients behind one face, so that one test tries them both."""

import asyncio
import contextlib
import inspect

from serving.client import EmbeddingClient
from serving.client.async_client import AsyncEmbeddingClient

KINDS = ("sync", "async")


class _Blocking:
    """An `AsyncEmbeddingClient` whose methods wait, in an event loop of its own."""

    def __init__(self, address, **arguments):
        self._runner = asyncio.Runner()
        try:
            self._client = self._runner.run(self._made(address, arguments))
        except BaseException:
            self._runner.close()
            raise

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(*args, **kwargs):
            result = method(*args, **kwargs)
            return self._runner.run(result) if inspect.iscoroutine(result) else self._each(result)

        return call

    def end(self):
        self._runner.run(self._client.close())
        self._runner.close()

    @staticmethod
    async def _made(address, arguments):
        return AsyncEmbeddingClient(address, **arguments)

    def _each(self, iterator):
        async def following():
            return await anext(iterator)

        with contextlib.suppress(StopAsyncIteration):
            while True:
                yield self._runner.run(following())


@contextlib.contextmanager
def connect(kind, address, **arguments):
    """A client of this kind, "sync" or "async", to be used as the sync one."""
    if kind == "sync":
        with EmbeddingClient(address, **arguments) as client:
            yield client
        return
    client = _Blocking(address, **arguments)
    try:
        yield client
    finally:
        client.end()
