"""Both clients behind one face, so that one test tries them both; fixtures of their tests."""

import asyncio
import contextlib
import functools
import inspect

import pytest

from serving.client import EmbeddingClient
from serving.client.async_client import AsyncEmbeddingClient
from tests.support.scripted_server import ScriptedServer, bad_picture, picture

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


@pytest.fixture(name="connect", params=KINDS)
def _connect(request):
    """Connects a client of each kind in turn: `connect(address, **arguments)`."""
    return functools.partial(connect, request.param)


@pytest.fixture(name="server")
def _server():
    with ScriptedServer() as server:
        yield server


@pytest.fixture(name="write")
def _write(tmp_path):
    """Writes pictures by number, those in `bad` undecodable; gives their paths."""

    def write(count, size=0, bad=()):
        paths = []
        for number in range(count):
            data = bad_picture(number) if number in bad else picture(number, size)
            (tmp_path / f"{number:04d}.jpg").write_bytes(data)
            paths.append(str(tmp_path / f"{number:04d}.jpg"))
        return paths

    return write
