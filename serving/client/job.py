"""What must hold over all requests of a job, for both clients; nothing here sends.

A picture that the server can't decode fails its whole request, and with batching in the server
other requests too. So the pictures of a refused request are asked for one by one, and a picture
is bad when it is refused alone, twice.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import grpc
import numpy as np

from serving.client import messages, status_errors
from serving.client.request_batches import RequestBatch
from serving.client.results import Embeddings, ModelDescription
from serving.errors import (
    BadImageError,
    ModelSwitchedError,
    NoCameraSignatureError,
    RefusedError,
)


class Outcome(NamedTuple):
    """How a call ended: gRPC's code and text, and the reply if the code is OK."""

    code: grpc.StatusCode
    details: str | None
    reply: Any


class Job:
    """The requests of one job and what came of them.

    Args:
        server: "host:port".
        description: of the model; its version is asked for throughout.
        timeout: of a call, in seconds.
        skip: whether bad pictures are left out, instead of ending the job.
        cameras: whether the pictures come with numbers of cameras.

    Raises:
        NoCameraSignatureError: they do, and the model doesn't take any.
    """

    def __init__(
        self,
        server: str,
        description: ModelDescription,
        timeout: float,
        skip: bool = False,
        cameras: bool = False,
    ) -> None:
        if cameras and not description.takes_cameras:
            raise NoCameraSignatureError(
                f"{server}: model {description.name} version {description.version} takes no "
                "cameras. Leave them out, or serve an export of a run of --preset=strong"
            )
        self.description = description
        self._server = server
        self._timeout = timeout
        self._skip = skip
        self._space: str | None = None
        self._refused: list[tuple[str, str]] = []  # name, the server's reason
        self._bad: BadImageError | None = None  # the first bad picture, which is to end the job

    def request(self, batch: RequestBatch) -> Any:
        """Returns the Predict request of a batch, or None if it has no pictures."""
        if not batch.names:
            return None
        if isinstance(batch.data, np.ndarray):
            return messages.images_request(self.description, batch.data, batch.camera_id)
        return messages.encoded_request(self.description, batch.data, batch.camera_id)

    def about_pictures(self, batch: RequestBatch, outcome: Outcome | None) -> bool:
        """Whether a call failed for what its pictures are: each must then be asked for alone."""
        return (
            outcome is not None
            and isinstance(batch.data, list)
            and status_errors.about_picture(outcome.code, outcome.details)
        )

    def settle(self, batch: RequestBatch, outcome: Outcome | None) -> Embeddings:
        """Returns the embeddings of a batch, from one call.

        Args:
            batch: that was sent.
            outcome: of the call, or None if nothing was sent.

        Raises:
            ServingError: the call failed, or the reply isn't what it should be.
        """
        if batch.failure:
            raise batch.failure
        vectors, unknown = self._answer(outcome, batch)
        return self._embeddings([vectors], batch.names, batch.skipped, unknown)

    def settle_single(self, single: RequestBatch, outcome: Outcome) -> Embeddings:
        """Returns the embedding of one picture that was asked for alone; no row if it is bad.

        Raises:
            BadImageError: it or one before it was refused, another was accepted, and bad ones
                are not to be left out. While none was accepted, `finish` may know better.
            ServingError: as in `settle`.
        """
        if self.about_pictures(single, outcome):
            (name,) = single.names
            bad = status_errors.bad_image(outcome.details, self._server, name)
            self._refused.append((name, status_errors.one_line(outcome.details)))
            if not self._skip:
                self._bad = self._bad or bad
            part = self._embeddings([], [], [bad])
        else:
            part = self.settle(single, outcome)
        if self._bad and self._space is not None:
            raise self._bad
        return part

    def join(self, batch: RequestBatch, parts: list[Embeddings]) -> Embeddings:
        """Returns the embeddings of a batch, from those of its single pictures.

        Raises:
            BadImageError: all were refused, and bad ones are not to be left out.
            RefusedError: as in `finish`.
        """
        if self._bad:
            self.finish()
            raise self._bad
        return self._embeddings(
            [part.vectors for part in parts],
            [name for part in parts for name in part.files],
            batch.skipped + [error for part in parts for error in part.skipped],
            {camera for part in parts for camera in part.unknown_cameras},
        )

    def finish(self) -> None:
        """Ends the job.

        Raises:
            RefusedError: the server refused all pictures, two or more, in the same words. It is
                hardly the pictures then.
        """
        if self._space is None and len(self._refused) > 1:
            names, texts = zip(*self._refused, strict=True)
            if len(set(texts)) == 1:
                raise RefusedError(
                    f"{self._server} refused all {len(names)} pictures that it was given, in the "
                    f"same words: {texts[0]}. Either none is whole, or it isn't about the "
                    f"pictures: try one that is known to be good. The first was {names[0]}"
                )

    def _answer(self, outcome: Outcome | None, batch: RequestBatch) -> tuple[np.ndarray, list[int]]:
        """Returns vectors, and the cameras that are unknown."""
        description = self.description
        if outcome is None:
            return np.empty((0, description.embedding_dim), np.float32), []
        if outcome.code is not grpc.StatusCode.OK:
            raise status_errors.from_status(
                outcome.code,
                outcome.details,
                self._server,
                description.name,
                version=description.version,
                timeout=self._timeout,
            )
        vectors, space, unknown = messages.read_reply(
            outcome.reply, len(batch.names), description, self._server, batch.camera_id
        )
        if self._space not in (None, space):
            raise ModelSwitchedError(
                f"{self._server}: the embedding space changed from {self._space} to {space} under "
                f"version {description.version} of model {description.name}; nothing of this job "
                "was mixed, run it again"
            )
        self._space = space
        return vectors, unknown

    def _embeddings(
        self,
        vectors: list[np.ndarray],
        names: list[str],
        skipped: list[BadImageError],
        unknown: Iterable[int] = (),
    ) -> Embeddings:
        none = np.empty((0, self.description.embedding_dim), np.float32)
        return Embeddings(
            vectors=np.concatenate([none, *vectors]),
            files=names,
            space=self._space or "" if names else "",
            version=self.description.version,
            skipped=skipped,
            unknown_cameras=sorted(unknown),
        )
