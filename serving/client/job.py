"""What must hold over all requests of a job. What both clients share; nothing here sends.

A picture that the server can't decode fails its whole request, and with batching in the server
other requests too. So the pictures of a refused request are asked for one by one, and a picture
is bad when it is refused alone, twice.
"""

import typing

import grpc
import numpy as np

from serving.client import exchange, faults
from serving.client.results import Embeddings
from serving.errors import ModelSwitchedError, RefusedError


class Outcome(typing.NamedTuple):
    """How a call ended: gRPC's code and text, and the reply if the code is OK."""

    code: grpc.StatusCode
    details: str | None
    reply: object


class Job:
    """The requests of one job and what came of them.

    Args:
        server: "host:port".
        description: `ModelDescription`.
        timeout: of a call, in seconds.
        skip: whether bad pictures are left out, instead of ending the job.
    """

    def __init__(self, server, description, timeout, skip=False):
        self._server = server
        self._description = description
        self._timeout = timeout
        self._skip = skip
        self._space = None
        self._refused = []  # (name, what the server said)

    def request(self, chunk):
        """The Predict request of a chunk, or None if it has no pictures."""
        if not chunk.names:
            return None
        if isinstance(chunk.data, np.ndarray):
            return exchange.images_request(self._description, chunk.data)
        return exchange.encoded_request(self._description, chunk.data)

    def about_pictures(self, chunk, outcome):
        """Whether a call failed for what its pictures are: each must then be asked for alone."""
        return (
            outcome is not None
            and isinstance(chunk.data, list)
            and faults.about_picture(outcome.code, outcome.details)
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
        return self._embeddings([self._vectors(outcome, chunk.names)], chunk.names, chunk.skipped)

    def settle_singly(self, chunk, outcomes):
        """The embeddings of a chunk, from a call for each of its pictures.

        Raises:
            BadImageError: a picture was refused, and bad ones are not to be left out.
            RefusedError: none was accepted so far, all were refused in the same words.
            ServingError: as in `settle`.
        """
        vectors, names, bad = [], [], []
        for name, outcome in zip(chunk.names, outcomes, strict=True):
            if faults.about_picture(outcome.code, outcome.details):
                bad.append(faults.bad_image(outcome.details, self._server, name))
                self._refused.append((name, faults.said(outcome.details)))
            else:
                vectors.append(self._vectors(outcome, [name]))
                names.append(name)
        if bad and not self._skip:
            self.finish()
            raise bad[0]
        return self._embeddings(vectors, names, chunk.skipped + bad)

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

    def _vectors(self, outcome, names):
        description = self._description
        if outcome is None:
            return np.empty((0, description.embedding_dim), np.float32)
        if outcome.code is not grpc.StatusCode.OK:
            raise faults.from_status(
                outcome.code,
                outcome.details,
                self._server,
                description.name,
                version=description.version,
                timeout=self._timeout,
            )
        vectors, space = exchange.read_reply(outcome.reply, len(names), description, self._server)
        if self._space not in (None, space):
            raise ModelSwitchedError(
                f"{self._server}: the embedding space changed from {self._space} to {space} under "
                f"version {description.version} of model {description.name}; nothing of this job "
                "was mixed, run it again"
            )
        self._space = space
        return vectors

    def _embeddings(self, vectors, names, skipped):
        none = np.empty((0, self._description.embedding_dim), np.float32)
        return Embeddings(
            vectors=np.concatenate([none, *vectors]),
            files=names,
            space=self._space if names else "",
            version=self._description.version,
            skipped=skipped,
        )
