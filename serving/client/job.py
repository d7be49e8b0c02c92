"""What must hold over all requests of a job. What both clients share; nothing here sends.

A picture that the server can't decode fails its whole request, and with batching in the server
other requests too. So the pictures of a refused request are asked for one by one, and a picture
is bad when it is refused alone, twice.
"""

import typing

import grpc
import numpy as np

from serving.client import messages, status_errors
from serving.client.results import Embeddings
from serving.errors import ModelSwitchedError, NoCameraSignatureError, RefusedError


class Outcome(typing.NamedTuple):
    """How a call ended: gRPC's code and text, and the reply if the code is OK."""

    code: grpc.StatusCode
    details: str | None
    reply: object


class Job:
    """The requests of one job and what came of them.

    Args:
        server: "host:port".
        description: `ModelDescription`; its version is asked for throughout.
        timeout: of a call, in seconds.
        skip: whether bad pictures are left out, instead of ending the job.
        cameras: whether the pictures come with numbers of cameras.

    Raises:
        NoCameraSignatureError: they do, and the model doesn't take any.
    """

    def __init__(self, server, description, timeout, skip=False, cameras=False):
        if cameras and not description.takes_cameras:
            raise NoCameraSignatureError(
                f"{server}: model {description.name} version {description.version} takes no "
                "cameras. Leave them out, or serve an export of a run of --preset=strong"
            )
        self.description = description
        self._server = server
        self._timeout = timeout
        self._skip = skip
        self._space = None
        self._refused = []  # (name, what the server said)
        self._bad = None  # the first bad picture, which is to end the job

    def request(self, chunk):
        """The Predict request of a chunk, or None if it has no pictures."""
        if not chunk.names:
            return None
        build = messages.encoded_request
        if isinstance(chunk.data, np.ndarray):
            build = messages.images_request
        return build(self.description, chunk.data, chunk.camera_id)

    def about_pictures(self, chunk, outcome):
        """Whether a call failed for what its pictures are: each must then be asked for alone."""
        return (
            outcome is not None
            and isinstance(chunk.data, list)
            and status_errors.about_picture(outcome.code, outcome.details)
        )

    def settle(self, chunk, outcome):
        """The embeddings of a chunk, from one call.

        Args:
            outcome: `Outcome`, or None if nothing was sent.

        Raises:
            ServingError: the call failed, or the reply isn't what it should be.
        """
        if chunk.failure:
            raise chunk.failure
        vectors, unknown = self._answer(outcome, chunk)
        return self._embeddings([vectors], chunk.names, chunk.skipped, unknown)

    def settle_single(self, single, outcome):
        """The embeddings of one picture that was asked for alone: one row, or none if it is bad.

        Raises:
            BadImageError: it or one before it was refused, another was accepted, and bad ones
                are not to be left out. While none was accepted, `finish` may know better.
            ServingError: as in `settle`.
        """
        bad = []
        if self.about_pictures(single, outcome):
            (name,) = single.names
            bad = [status_errors.bad_image(outcome.details, self._server, name)]
            self._refused.append((name, status_errors.said(outcome.details)))
            if not self._skip:
                self._bad = self._bad or bad[0]
            part = self._embeddings([], [], bad)
        else:
            part = self.settle(single, outcome)
        if self._bad and self._space is not None:
            raise self._bad
        return part

    def join(self, chunk, parts):
        """The embeddings of a chunk, from those of its single pictures.

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
            chunk.skipped + [error for part in parts for error in part.skipped],
            {camera for part in parts for camera in part.unknown_cameras},
        )

    def finish(self):
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

    def _answer(self, outcome, chunk):
        """Vectors, and the cameras that are unknown."""
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
            outcome.reply, len(chunk.names), description, self._server, chunk.camera_id
        )
        if self._space not in (None, space):
            raise ModelSwitchedError(
                f"{self._server}: the embedding space changed from {self._space} to {space} under "
                f"version {description.version} of model {description.name}; nothing of this job "
                "was mixed, run it again"
            )
        self._space = space
        return vectors, unknown

    def _embeddings(self, vectors, names, skipped, unknown=()):
        none = np.empty((0, self.description.embedding_dim), np.float32)
        return Embeddings(
            vectors=np.concatenate([none, *vectors]),
            files=names,
            space=self._space if names else "",
            version=self.description.version,
            skipped=skipped,
            unknown_cameras=sorted(unknown),
        )
