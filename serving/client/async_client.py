"""The client of `serving.client` for asyncio: the same methods, as coroutines.

async with AsyncEmbeddingClient("localhost:8500") as client:
    embeddings = await client.embed_files(["query/0001.jpg"])
    async for part in client.stream_files(paths):
        ...
"""

import asyncio
import collections
import contextlib

import grpc

from serving.client import (
    arguments,
    channel,
    messages,
    picture_files,
    request_batches,
    status_errors,
    tls,
)
from serving.client.base_client import Connection
from serving.client.job import Outcome
from serving.client.progress import Progress
from serving.client.results import Embeddings, Gathered, ModelDescription, VersionStatus
from serving.errors import BadInputError, TlsError


class AsyncEmbeddingClient(Connection):
    """One channel to a server; use it with `async with`, in one event loop.

    Arguments, results and errors are those of `serving.client.EmbeddingClient`. Files are read
    in a thread, so that the loop goes on.
    """

    _open_channel = staticmethod(channel.open_aio_channel)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def close(self):
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
        self, paths, skip_bad_images=False, progress=False, camera_id=None
    ) -> Embeddings:
        """See `EmbeddingClient.embed_files`."""
        paths = arguments.names(paths)
        job, parts = await self._files_job(paths, skip_bad_images, camera_id)
        return await self._gathered(job, parts, len(paths), progress)

    async def stream_files(self, paths, skip_bad_images=False, camera_id=None):
        """See `EmbeddingClient.stream_files`; an asynchronous iterator."""
        job, parts = await self._files_job(arguments.names(paths), skip_bad_images, camera_id)
        async with contextlib.aclosing(self._run(job, parts)) as run:
            async for part in run:
                yield part

    async def embed_encoded(
        self, encoded, names=None, skip_bad_images=False, camera_id=None
    ) -> Embeddings:
        """See `EmbeddingClient.embed_encoded`."""
        encoded, names = arguments.encoded(encoded, names)
        cameras = arguments.cameras(camera_id, len(encoded))
        if not skip_bad_images:
            picture_files.check_all_encoded(encoded, names)
        parts = request_batches.of_encoded(
            encoded, names, self._batch_size, skip_bad_images, cameras
        )
        return await self._gathered(await self._job(cameras, skip_bad_images), parts, len(encoded))

    async def embed_images(self, images, camera_id=None) -> Embeddings:
        """See `EmbeddingClient.embed_images`."""
        job = await self._job(camera_id)
        images = arguments.images(images, job.description.image_size)
        cameras = arguments.cameras(camera_id, len(images))
        parts = request_batches.of_images(images, self._batch_size, cameras)
        return await self._gathered(job, parts, len(images))

    async def _job(self, camera_id, skip=False):
        return self._new_job(await self.describe(), camera_id, skip)

    async def _files_job(self, paths, skip, camera_id):
        cameras = arguments.cameras(camera_id, len(paths))
        if not skip:
            await asyncio.to_thread(picture_files.check_all, paths)
        parts = request_batches.of_files(paths, self._batch_size, skip, cameras)
        return await self._job(cameras, skip), parts

    async def _gathered(self, job, parts, count, progress=False):
        gathered = Gathered(job.description, count)
        with Progress(count, progress) as bar:
            async for part in self._run(job, parts):
                bar.reach(gathered.add(part))
        return gathered.embeddings()

    async def _run(self, job, parts):
        """Sends chunks, a few at a time, and yields their embeddings in order."""
        window = collections.deque()
        try:
            while chunk := await asyncio.to_thread(next, parts, None):
                window.append((chunk, self._send(job.request(chunk))))
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

    async def _receive(self, job, window):
        chunk, call = window[0]
        outcome = await self._outcome(call) if call else None
        if not job.about_pictures(chunk, outcome):
            return job.settle(chunk, outcome)
        settled = []
        for single in chunk.singles():
            settled.append(job.settle_single(single, await self._alone(job, single, window)))
        return job.join(chunk, settled)

    async def _alone(self, job, single, window):
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

    def _send(self, request, method=None):
        if request is None:
            return None
        try:
            return (method or self._predict)(request, timeout=self._timeout)
        except grpc.aio.UsageError as error:  # gRPC's word for a closed channel
            raise BadInputError(f"this client is closed ({error})") from error

    async def _outcome(self, call):
        code, details = await call.code(), await call.details()
        if code is grpc.StatusCode.UNAVAILABLE:
            wrong = await asyncio.to_thread(tls.diagnosis, self._server, self._tls)
            if wrong:
                raise TlsError(f"{self._server}: {wrong} ({status_errors.said(details)})")
        return Outcome(code, details, await call if code is grpc.StatusCode.OK else None)

    async def _ask(self, method, request):
        outcome = await self._outcome(self._send(request, method))
        if outcome.code is not grpc.StatusCode.OK:
            raise status_errors.from_status(
                outcome.code, outcome.details, self._server, self._model, timeout=self._timeout
            )
        return outcome.reply
