"""Embeddings on disk: one .npz file, there whole or not at all.

embeddings       float32 [N, D], each of length 1
files            N names
embedding_space  fingerprint; only embeddings of one space can be compared
model, version   what made them
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from serving.client.results import Embeddings
from serving.errors import BadInputError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
        self._file: BinaryIO
        self._written = False

    def __enter__(self) -> "EmbeddingFile":
        if os.path.exists(self._output) and not os.path.isfile(self._output):
            raise self._refused("that is not a file")
        if not self._output.endswith(".npz"):
            raise self._refused("give a name that ends in .npz")
        while not self._lock():
            self._file.close()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._written:
            with contextlib.suppress(OSError):
                os.remove(self._partial)
        # What couldn't be written is an error already; it mustn't be a second one.
        with contextlib.suppress(OSError):
            self._file.close()

    def reserve(self, pictures: int, dim: int) -> None:
        """Takes the disk space of that many float32 vectors of length `dim`.

        Raises:
            BadInputError: there isn't that much.
        """
        with self._named():
            try:
                os.posix_fallocate(self._file.fileno(), 0, max(1, 4 * pictures * dim))
            except OSError as error:
                if error.errno in _NO_ROOM:
                    raise
                # This file system can't promise room.

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
            os.replace(self._partial, self._output)
            self._written = True

    def _lock(self) -> bool:
        """Opens and locks the partial file; False if another command ended in between."""
        with self._named():
            # For writing anywhere, without cutting short what another command has there.
            descriptor = os.open(self._partial, os.O_RDWR | os.O_CREAT, 0o666)
            self._file = os.fdopen(descriptor, "r+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise self._refused("another command is writing there") from error
        # What we opened may have become that command's output, or have been removed.
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(descriptor), os.stat(self._partial))
        return False

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._refused(f"can't be written: {error.strerror or error}") from error

    def _refused(self, message: str) -> BadInputError:
        return BadInputError(message, arguments={"output": self._output})
