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

import numpy as np

from serving.errors import BadInputError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class EmbeddingFile:
    """Writes beside the place and renames; what was there stays until then. Use it with `with`.

    Args:
        path: of the .npz file.

    Raises:
        BadInputError: nothing can be written there; on entering, so before the work.
    """

    def __init__(self, path):
        self._path = path
        folder, name = os.path.split(path)
        self._partial = os.path.join(folder, f".{name}.partial")
        self._file = None
        self._written = False

    def __enter__(self):
        if os.path.exists(self._path) and not os.path.isfile(self._path):
            raise BadInputError(f"--output={self._path}: that is not a file")
        if not self._path.endswith(".npz"):
            raise BadInputError(f"--output={self._path}: give a name that ends in .npz")
        while not self._lock():
            self._file.close()
        return self

    def __exit__(self, *_):
        if not self._written:
            with contextlib.suppress(OSError):
                os.remove(self._partial)
        # What couldn't be written is told of already; it mustn't be told again.
        with contextlib.suppress(OSError):
            self._file.close()

    def reserve(self, pictures, dim):
        """Takes the room that so many embeddings need.

        Raises:
            BadInputError: there isn't so much.
        """
        with self._named():
            try:
                os.posix_fallocate(self._file.fileno(), 0, max(1, 4 * pictures * dim))
            except OSError as error:
                if error.errno in _NO_ROOM:
                    raise
                # This file system can't promise room.

    def write(self, embeddings, model):
        """Writes `Embeddings` of the model of this name.

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
            os.replace(self._partial, self._path)
            self._written = True

    def _lock(self):
        """Opens and locks the partial file; False if another command ended in between."""
        with self._named():
            # For writing anywhere, without cutting short what another command has there.
            descriptor = os.open(self._partial, os.O_RDWR | os.O_CREAT, 0o666)
            self._file = os.fdopen(descriptor, "r+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise BadInputError(
                f"--output={self._path}: another command is writing there"
            ) from error
        # What we opened may have become that command's output, or have been removed.
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(descriptor), os.stat(self._partial))
        return False

    @contextlib.contextmanager
    def _named(self):
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise BadInputError(f"--output={self._path}: can't be written: {reason}") from error
