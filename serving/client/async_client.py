"""The client for asyncio; `serving.client.embedding_client` has the one for ordinary Python."""

import asyncio
import collections
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

import grpc
import numpy as np

from serving.client import (
    arguments,
    channel,
    messages,
    picture_files,
    request_batches,
    status_errors,
    tls,
)
from serving.client.base_client import BaseClient
from serving.client.job import Job, Outcome
from serving.client.request_batches import RequestBatch
from serving.client.results import (
    Embeddings,
    Gathered,
    ModelDescription,
    VersionStatus,
    progress_bar,
)
from serving.errors import BadInputError, TlsError

# Requests under way, each with gRPC's call; None where a batch has no pictures to send.
_Window = collections.deque[tuple[RequestBatch, Any]]


class AsyncEmbeddingClient(BaseClient):
    """The methods of `serving.client.EmbeddingClient` as coroutines, in one event loop.

    For a program that runs on asyncio, a web server say. Jobs of one client run side by side;
    files are read in a thread, so that the loop goes on; a job that is cancelled cancels its
    requests. Use it with `async with`:

        import asyncio

        from serving.client import AsyncEmbeddingClient

        async def main():
            async with AsyncEmbeddingClient("localhost:8500") as client:
                query, gallery = await asyncio.gather(
                    client.embed_files(["query.jpg"]),
                    client.embed_files(["gallery/1.jpg", "gallery/2.jpg"]),
                )
                print(query.vectors @ gallery.vectors.T)
                async for part in client.stream_files(["gallery/1.jpg", "gallery/2.jpg"]):
                    print(part.files)

        asyncio.run(main())

    Arguments, results and errors are those of `serving.client.EmbeddingClient`.

    Args:
        server: "host:port" of the gRPC port.
        model: name of the model.
        timeout: for one request, in seconds.
        batch_size: pictures in a request at most; also about 4 MiB at most.
        in_flight: requests under way at a time, in each job.
        tls: files for TLS, or None for plain text.

    Raises:
        BadInputError: an argument is not what it must be. Nothing is sent yet.
    """

    _open_channel = staticmethod(channel.open_aio_channel)

    async def __aenter__(self) -> "AsyncEmbeddingClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the channel and whatever is under way."""
        await self._channel.close()

    async def describe(self) -> ModelDescription:
        """See `EmbeddingClient.describe`."""
        reply = await self._ask(self._metadata, messages.metadata_request(self._model))
        return messages.read_metadata(reply, self._server, self._model)

    async def versions(self) -> list[VersionStatus]:
        """See `EmbeddingClient.versions`."""
        reply = await self._ask(self._status, messages.status_request(self._model))
        return messages.read_status(reply)

    async def embed_files(
        self,
        paths: Iterable[str | os.PathLike[str]],
        skip_bad_images: bool = False,
        progress: bool = False,
        camera_id: Sequence[int] | np.ndarray | None = None,
    ) -> Embeddings:
        """See `EmbeddingClient.embed_files`."""
        files = arguments.names(paths)
        job, batches = await self._files_job(files, skip_bad_images, camera_id)
        return await self._gathered(job, batches, len(files), progress)

    async def stream_files(
        self,
        paths: Iterable[str | os.PathLike[str]],
        skip_bad_images: bool = False,
        camera_id: Sequence[int] | np.ndarray | None = None,
    ) -> AsyncIterator[Embeddings]:
        """See `EmbeddingClient.stream_files`; an asynchronous iterator."""
        job, batches = await self._files_job(arguments.names(paths), skip_bad_images, camera_id)
        async with contextlib.aclosing(self._run(job, batches)) as run:
            async for part in run:
                yield part

    async def embed_encoded(
        self,
        encoded: Iterable[bytes | bytearray | memoryview],
        names: Iterable[str] | None = None,
        skip_bad_images: bool = False,
        camera_id: Sequence[int] | np.ndarray | None = None,
    ) -> Embeddings:
        """See `EmbeddingClient.embed_encoded`."""
        pictures, names = arguments.encoded(encoded, names)
        cameras = arguments.cameras(camera_id, len(pictures))
        if not skip_bad_images:
            picture_files.check_all_encoded(pictures, names)
        batches = request_batches.of_encoded(
            pictures, names, self._batch_size, skip_bad_images, cameras
        )
        job = await self._job(cameras, skip_bad_images)
        return await self._gathered(job, batches, len(pictures))

    async def embed_images(
        self, images: np.ndarray, camera_id: Sequence[int] | np.ndarray | None = None
    ) -> Embeddings:
        """See `EmbeddingClient.embed_images`."""
        job = await self._job(camera_id)
        images = arguments.images(images, job.description.image_size)
        cameras = arguments.cameras(camera_id, len(images))
        batches = request_batches.of_images(images, self._batch_size, cameras)
        return await self._gathered(job, batches, len(images))

    async def _job(self, camera_id: Sequence[int] | np.ndarray | None, skip: bool = False) -> Job:
        return self._new_job(await self.describe(), camera_id, skip)

    async def _files_job(
        self, paths: list[str], skip: bool, camera_id: Sequence[int] | np.ndarray | None
    ) -> tuple[Job, Iterator[RequestBatch]]:
        cameras = arguments.cameras(camera_id, len(paths))
        if not skip:
            await asyncio.to_thread(picture_files.check_all, paths)
        batches = request_batches.of_files(paths, self._batch_size, skip, cameras)
        return await self._job(cameras, skip), batches

    async def _gathered(
        self, job: Job, batches: Iterator[RequestBatch], count: int, progress: bool = False
    ) -> Embeddings:
        gathered = Gathered(job.description, count)
        with progress_bar(count, progress) as advance:
            async for part in self._run(job, batches):
                advance(gathered.add(part))
        return gathered.embeddings()

    async def _run(
        self, job: Job, batches: Iterator[RequestBatch]
    ) -> AsyncGenerator[Embeddings, None]:
        """Sends batches, a few at a time, and yields their embeddings in order."""
        window: _Window = collections.deque()
        try:
            while batch := await asyncio.to_thread(next, batches, None):
                window.append((batch, self._send(job.request(batch))))
                if len(window) == self._in_flight:
                    yield await self._receive(job, window)
                    window.popleft()
            while window:
                yield await self._receive(job, window)
                window.popleft()
        finally:
            for _, call in window:
                if call:
                    call.cancel()
        job.finish()

    async def _receive(self, job: Job, window: _Window) -> Embeddings:
        batch, call = window[0]
        outcome = await self._outcome(call) if call else None
        if not job.about_pictures(batch, outcome):
            return job.settle(batch, outcome)
        settled = []
        for single in batch.singles():
            settled.append(job.settle_single(single, await self._alone(job, single, window)))
        return job.join(batch, settled)

    async def _alone(self, job: Job, single: RequestBatch, window: _Window) -> Outcome:
        # A server that batches mustn't put it together with another bad picture of ours.
        for _, call in window:
            if call:
                await call.code()
        request = job.request(single)
        outcome = await self._outcome(self._send(request))
        if job.about_pictures(single, outcome):
            # Nor, twice, with one of another client's.
            outcome = await self._outcome(self._send(request))
        return outcome

    def _send(self, request: Any, method: Any = None) -> Any:
        if request is None:
            return None
        try:
            return (method or self._predict)(request, timeout=self._timeout)
        except grpc.aio.UsageError as error:  # gRPC's word for a closed channel
            raise BadInputError(f"this client is closed ({error})") from error

    async def _outcome(self, call: Any) -> Outcome:
        code, details = await call.code(), await call.details()
        if code is grpc.StatusCode.UNAVAILABLE:
            wrong = await asyncio.to_thread(tls.diagnosis, self._server, self._tls)
            if wrong:
                raise TlsError(f"{self._server}: {wrong} ({status_errors.one_line(details)})")
        return Outcome(code, details, await call if code is grpc.StatusCode.OK else None)

    async def _ask(self, method: Any, request: Any) -> Any:
        outcome = await self._outcome(self._send(request, method))
        if outcome.code is not grpc.StatusCode.OK:
            raise status_errors.from_status(
                outcome.code, outcome.details, self._server, self._model, timeout=self._timeout
            )
        return outcome.reply
