"""Embeddings on disk: one .npz file, there whole or not at all.

embeddings       float32 [N, D], each of length 1
files            N names
embedding_space  fingerprint; only embeddings of one space can be compared
model, version   what made them
"""

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from datasets.files import durable, locks
from serving.client.results import Embeddings
from serving.errors import BadInputError


class EmbeddingFile:
    """Writes beside the place and renames; what was there stays until then. Use it with `with`.

    Args:
        output: path of the .npz file.

    Raises:
        BadInputError: nothing can be written there; on entering, so before the work.
    """

    def __init__(self, output: str) -> None:
        self._output = output
        folder, name = os.path.split(output)
        self._partial = os.path.join(folder, f".{name}.partial")
        self._lock = os.path.join(folder, f".{name}.lock")
        self._file: BinaryIO
        self._held = contextlib.ExitStack()
        self._written = False

    def __enter__(self) -> "EmbeddingFile":
        if os.path.exists(self._output) and not os.path.isfile(self._output):
            raise self._refused("that is not a file")
        if not self._output.endswith(".npz"):
            raise self._refused("give a name that ends in .npz")
        with contextlib.ExitStack() as stack, self._named():
            # Not left to the lock, which may make its folder.
            os.stat(os.path.join(os.path.dirname(self._output) or os.curdir, ""))
            try:
                stack.enter_context(locks.held(self._lock))
            except locks.Held as held:
                raise self._refused(f"another command is writing there: {held}") from held
            self._file = open(self._partial, "wb")
            self._held = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._held:
            if not self._written:
                # What couldn't be written is an error already; it mustn't be a second one.
                with contextlib.suppress(OSError):
                    self._file.close()
                with contextlib.suppress(OSError):
                    os.remove(self._partial)

    def reserve(self, pictures: int, dim: int) -> None:
        """Takes the disk space of that many float32 vectors of length `dim`.

        Raises:
            BadInputError: there isn't that much.
        """
        with self._named():
            durable.reserve(self._file, max(1, 4 * pictures * dim))

    def write(self, embeddings: Embeddings, model: str) -> None:
        """Writes embeddings of the model of this name.

        Raises:
            BadInputError: they can't be written.
        """
        with self._named():
            np.savez(
                self._file,
                embeddings=embeddings.vectors,
                files=np.array(embeddings.files, dtype=np.str_),
                embedding_space=embeddings.space,
                model=model,
                version=embeddings.version,
            )
            self._file.truncate()
            self._file.flush()
            os.fsync(self._file.fileno())
            # Windows renames no open file.
            self._file.close()
            os.replace(self._partial, self._output)
            self._written = True
        self._held.close()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._refused(f"can't be written: {error.strerror or error}") from error

    def _refused(self, message: str) -> BadInputError:
        return BadInputError(message, arguments={"output": self._output})
