"""What is the asynchronous client's own; embedding_client_test.py and others try both."""

import asyncio
import inspect
import textwrap
import time

import numpy as np
import pytest

from serving.client import picture_files
from serving.client.async_client import AsyncEmbeddingClient
from serving.errors import BadInputError
from tests.support.scripted_server import ScriptedServer, delay, embedding, picture, until_cancelled


@pytest.fixture
def server():
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def paths(tmp_path):
    found = []
    for row in range(20):
        (tmp_path / f"{row:02d}.jpg").write_bytes(picture(row))
        found.append(str(tmp_path / f"{row:02d}.jpg"))
    return found


def test_jobs_of_one_client_run_side_by_side(server):
    server.faults = [delay(0.5)] * 4

    async def main():
        async with AsyncEmbeddingClient(server.address) as client:
            jobs = [client.embed_encoded([picture(row)]) for row in range(4)]
            return await asyncio.gather(*jobs)

    begin = time.monotonic()
    found = asyncio.run(main())
    assert time.monotonic() - begin < 1.5
    for row, each in enumerate(found):
        np.testing.assert_array_equal(each.vectors, [embedding(picture(row))])


def test_the_loop_goes_on_while_files_are_slow(server, paths, monkeypatch):
    read = picture_files.read
    monkeypatch.setattr(picture_files, "read", lambda path: (time.sleep(0.1), read(path))[1])
    gaps = []

    async def tick():
        while True:
            begin = time.monotonic()
            await asyncio.sleep(0.001)
            gaps.append(time.monotonic() - begin)

    async def main():
        async with AsyncEmbeddingClient(server.address) as client:
            ticking = asyncio.create_task(tick())
            await client.embed_files(paths[:8])
            ticking.cancel()

    asyncio.run(main())
    # 8 files of 0.1 s each, read for one request, would hold it up for 0.8 s.
    assert len(gaps) > 20 and max(gaps) < 0.4


def test_a_job_that_is_cancelled_cancels_its_requests(server, paths):
    server.faults = [until_cancelled] * 20

    async def main():
        async with AsyncEmbeddingClient(server.address, batch_size=2, in_flight=3) as client:
            await client.describe()
            job = asyncio.create_task(client.embed_files(paths))
            while server.at_once < 3:
                await asyncio.sleep(0.01)
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await job
            server.faults = []
            # The client can still be used.
            assert len((await client.embed_files(paths[:2])).files) == 2
            while server.at_once:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 10))
    assert len(server.requests) == 4


def test_a_stream_that_is_left_early(server, paths):
    async def main():
        async with AsyncEmbeddingClient(server.address, batch_size=2, in_flight=2) as client:
            async for part in client.stream_files(paths):
                assert part.files == paths[:2]
                break
            await asyncio.sleep(0.1)
            assert len(server.requests) <= 3
            assert len((await client.embed_files(paths)).files) == 20

    asyncio.run(main())


def test_a_closed_client(server):
    async def main():
        async with AsyncEmbeddingClient(server.address) as client:
            await client.describe()
        with pytest.raises(BadInputError, match="closed"):
            await client.embed_encoded([picture("x")])

    asyncio.run(main())


def test_the_example_of_the_docstring_runs(server, tmp_path, monkeypatch, capsys):
    # Python 3.13 takes a docstring's indentation away itself.
    docstring = inspect.getdoc(AsyncEmbeddingClient)
    example = docstring.split(":\n\n")[1].split("\n\nArguments, results")[0]
    code = textwrap.dedent(example).replace("localhost:8500", server.address)
    (tmp_path / "gallery").mkdir()
    for name in ("query.jpg", "gallery/1.jpg", "gallery/2.jpg"):
        (tmp_path / name).write_bytes(picture(name))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "example", "exec"), {})
    cosines, files = capsys.readouterr().out.splitlines()
    assert len(cosines.split()) == 2 and files == "['gallery/1.jpg', 'gallery/2.jpg']"
