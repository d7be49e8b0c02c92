"""The client for ordinary Python; `serving.client.async_client` has the one for asyncio."""

import collections
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import grpc
import numpy as np

from serving.client import arguments, messages, picture_files, request_batches, status_errors, tls
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

# Requests under way, each with gRPC's future; None where a batch has no pictures to send.
_Window = collections.deque[tuple[RequestBatch, Any]]


class EmbeddingClient(BaseClient):
    """One channel to a server, for as long as there is something to ask; use it with `with`.

    Methods may be called from several threads. Every call has a deadline; one that finds the
    server unavailable is repeated for about 1.5 s. Each `embed_` or `stream_` call is a job: it
    asks for the newest version of the model and keeps to it.

    Pictures may come with `camera_id`, the number of each one's camera, -1 where it is unknown, if
    `describe().takes_cameras`: then they are embedded by that camera's statistics, which an export
    of a run of --preset=strong has.

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

    def __enter__(self) -> "EmbeddingClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the channel and whatever is under way."""
        self._channel.close()

    def describe(self) -> ModelDescription:
        """Returns what model is served now. Later jobs may find a newer version.

        Raises:
            ModelNotFoundError: the server doesn't have the model.
            ReplyError: it is not an export of `arn_tf`.
            ServingError: the server can't be asked.
        """
        reply = self._ask(self._metadata, messages.metadata_request(self._model))
        return messages.read_metadata(reply, self._server, self._model)

    def versions(self) -> list[VersionStatus]:
        """Returns the versions of the model that the server knows, newest first.

        Raises:
            ServingError: as in `describe`.
        """
        return messages.read_status(self._ask(self._status, messages.status_request(self._model)))

    def embed_files(
        self,
        paths: Iterable[str | os.PathLike[str]],
        skip_bad_images: bool = False,
        progress: bool = False,
        camera_id: Sequence[int] | np.ndarray | None = None,
    ) -> Embeddings:
        """Embeds picture files.

        The content decides what a file is, not its name. JPEG and PNG are sent as they are, unless
        they are stored turned (EXIF orientation); other formats, BMP, GIF, TIFF and WebP among
        them, as PNG. Files are read as they are sent. Without `skip_bad_images` the first bytes of
        each are checked before the first file is sent.

        Args:
            paths: of the files; they name the rows.
            skip_bad_images: whether a file that can't be read or decoded goes to `skipped`,
                instead of ending the job.
            progress: whether to draw a progress bar on stderr.
            camera_id: whole numbers [N], or None. Those that the model doesn't know are in
                `unknown_cameras` of the result.

        Returns:
            Embeddings, rows in the order of `paths`.

        Raises:
            BadImageError: a file can't be read or decoded; it is named.
            NoCameraSignatureError: cameras were given, and the model takes none.
            RefusedError: the server refused all pictures in the same words.
            ModelSwitchedError: the model changed before the job was done; the next job, of
                this client too, is one of the new model.
            ServingError: the server can't be asked, or its answer can't be used.
        """
        files = arguments.names(paths)
        job, batches = self._files_job(files, skip_bad_images, camera_id)
        return self._gathered(job, batches, len(files), progress)

    def stream_files(
        self,
        paths: Iterable[str | os.PathLike[str]],
        skip_bad_images: bool = False,
        camera_id: Sequence[int] | np.ndarray | None = None,
    ) -> Iterator[Embeddings]:
        """As `embed_files`, for callers who store the embeddings of a request before the next.

        Whatever ends the job, the embeddings of all requests before it have been returned.

        Returns:
            Iterator of the embeddings of each request, in the order of `paths`.
        """
        return self._run(*self._files_job(arguments.names(paths), skip_bad_images, camera_id))

    def embed_encoded(
        self,
        encoded: Iterable[bytes | bytearray | memoryview],
        names: Iterable[str] | None = None,
        skip_bad_images: bool = False,
        camera_id: Sequence[int] | np.ndarray | None = None,
    ) -> Embeddings:
        """As `embed_files`, for pictures in memory.

        Args:
            encoded: bytes objects, each the content of a picture file.
            names: of the pictures, as many; "image 0", ... by default.
            skip_bad_images: see `embed_files`.
            camera_id: see `embed_files`.

        Raises:
            BadInputError: an argument is something else.
            ServingError: as in `embed_files`.
        """
        pictures, names = arguments.encoded(encoded, names)
        cameras = arguments.cameras(camera_id, len(pictures))
        if not skip_bad_images:
            picture_files.check_all_encoded(pictures, names)
        batches = request_batches.of_encoded(
            pictures, names, self._batch_size, skip_bad_images, cameras
        )
        return self._gathered(self._job(cameras, skip_bad_images), batches, len(pictures))

    def embed_images(
        self, images: np.ndarray, camera_id: Sequence[int] | np.ndarray | None = None
    ) -> Embeddings:
        """As `embed_files`, for decoded pictures of the model's size.

        Args:
            images: uint8 array [N, height, width, 3], RGB; height and width are those of
                `describe().image_size`. Rows are named "image 0", ...
            camera_id: see `embed_files`.

        Raises:
            BadInputError: the array has another type or shape, or N is 0.
            ServingError: as in `embed_files`.
        """
        job = self._job(camera_id)
        images = arguments.images(images, job.description.image_size)
        cameras = arguments.cameras(camera_id, len(images))
        batches = request_batches.of_images(images, self._batch_size, cameras)
        return self._gathered(job, batches, len(images))

    def _job(self, camera_id: Sequence[int] | np.ndarray | None, skip: bool = False) -> Job:
        return self._new_job(self.describe(), camera_id, skip)

    def _files_job(
        self, paths: list[str], skip: bool, camera_id: Sequence[int] | np.ndarray | None
    ) -> tuple[Job, Iterator[RequestBatch]]:
        cameras = arguments.cameras(camera_id, len(paths))
        if not skip:
            picture_files.check_all(paths)
        batches = request_batches.of_files(paths, self._batch_size, skip, cameras)
        return self._job(cameras, skip), batches

    def _gathered(
        self, job: Job, batches: Iterator[RequestBatch], count: int, progress: bool = False
    ) -> Embeddings:
        gathered = Gathered(job.description, count)
        with progress_bar(count, progress) as advance:
            for part in self._run(job, batches):
                advance(gathered.add(part))
        return gathered.embeddings()

    def _run(self, job: Job, batches: Iterator[RequestBatch]) -> Iterator[Embeddings]:
        """Sends batches, a few at a time, and yields their embeddings in order."""
        window: _Window = collections.deque()
        try:
            for batch in batches:
                window.append((batch, self._send(job.request(batch))))
                if len(window) == self._in_flight:
                    yield self._receive(job, window)
                    window.popleft()
            while window:
                yield self._receive(job, window)
                window.popleft()
        finally:
            for _, call in window:
                if call:
                    call.cancel()
        job.finish()

    def _receive(self, job: Job, window: _Window) -> Embeddings:
        batch, call = window[0]
        outcome = self._outcome(call) if call else None
        if not job.about_pictures(batch, outcome):
            return job.settle(batch, outcome)
        settled = []
        for single in batch.singles():  # each settled before the next is sent: it may be the last
            settled.append(job.settle_single(single, self._alone(job, single, window)))
        return job.join(batch, settled)

    def _alone(self, job: Job, single: RequestBatch, window: _Window) -> Outcome:
        # A server that batches mustn't put it together with another bad picture of ours.
        for _, call in window:
            if call:
                call.code()
        request = job.request(single)
        outcome = self._outcome(self._send(request))
        if job.about_pictures(single, outcome):
            # Nor, twice, with one of another client's.
            outcome = self._outcome(self._send(request))
        return outcome

    def _send(self, request: Any, method: Any = None) -> Any:
        if request is None:
            return None
        try:
            return (method or self._predict).future(request, timeout=self._timeout)
        except ValueError as error:  # gRPC's word for a closed channel
            raise BadInputError(f"this client is closed ({error})") from error

    def _outcome(self, call: Any) -> Outcome:
        code = call.code()
        details = call.details()
        if code is grpc.StatusCode.UNAVAILABLE:
            wrong = tls.diagnosis(self._server, self._tls)
            if wrong:
                raise TlsError(f"{self._server}: {wrong} ({status_errors.one_line(details)})")
        return Outcome(code, details, call.result() if code is grpc.StatusCode.OK else None)

    def _ask(self, method: Any, request: Any) -> Any:
        outcome = self._outcome(self._send(request, method))
        if outcome.code is not grpc.StatusCode.OK:
            raise status_errors.from_status(
                outcome.code, outcome.details, self._server, self._model, timeout=self._timeout
            )
        return outcome.reply
