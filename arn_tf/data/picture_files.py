"""Encoded pictures that stay in their files: read by row, when they are asked for."""

import concurrent.futures
import contextlib
import functools
import hashlib
import os
from collections.abc import Sequence
from typing import overload

import numpy as np

from arn_tf.errors import UserError
from datasets.files import answers, pictures

_THREADS = 16  # reading waits for disks, not for processors
_BLOCK = 128
# Of `content_hash`.
HASH_BYTES = 16


class UnreadableError(UserError):
    """A file can't be read: it is gone, or its rights or its drive are, perhaps for a while."""


def _stamp(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def stamps(root: str, files: Sequence[str]) -> np.ndarray:
    """Returns size and time of change of each file, int64 [N, 2]; -1 where it is gone."""
    found = np.empty((len(files), 2), np.int64)

    def fill(start: int) -> None:
        for row in range(start, min(start + _BLOCK, len(files))):
            found[row] = _stamp(os.path.join(root, files[row]))

    with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
        # By blocks: one task for each file would take more memory than all their names.
        list(threads.map(fill, range(0, len(files), _BLOCK)))
    return found


def content_hash(encoded: bytes) -> bytes:
    """Returns `HASH_BYTES` bytes of an encoded picture, equal where those of another are equal."""
    return hashlib.blake2b(encoded, digest_size=HASH_BYTES).digest()


class PictureFiles:
    """Looks like an object array of encoded pictures [N], and holds their paths alone.

    Args:
        root: folder that the paths begin at.
        files: paths.
        stamps: int64 [len(files), 2], size in bytes and time of change in nanoseconds of each.
        rows: which of them, and in which order; all if None.
        decoded: uint8 [len(rows), height, width, 3], the same pictures as they were decoded before:
            each stands for a file that is gone, can't be read or has changed since.
    """

    dtype = np.dtype(object)

    def __init__(
        self,
        root: str,
        files: Sequence[str],
        stamps: np.ndarray,
        rows: np.ndarray | None = None,
        decoded: np.ndarray | None = None,
    ) -> None:
        self._root, self._files, self._stamps = root, files, stamps
        self._rows = np.arange(len(files)) if rows is None else np.asarray(rows)
        self._decoded, self._places = decoded, np.arange(len(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of the paths, sizes and times of the files; they are not read."""
        digest = hashlib.sha256()
        for row in self._rows.tolist():
            digest.update(os.fsencode(self._files[row]) + b"\0")
            digest.update(self._stamps[row].tobytes())
        return digest.hexdigest()

    def path(self, row: int) -> str:
        """Returns the path of a picture."""
        return os.path.join(self._root, self._files[self._rows[row]])

    @overload
    def __getitem__(self, rows: int | np.integer) -> bytes: ...
    @overload
    def __getitem__(self, rows: slice | np.ndarray | list[int]) -> np.ndarray: ...
    def __getitem__(
        self, rows: int | np.integer | slice | np.ndarray | list[int]
    ) -> bytes | np.ndarray:
        """Returns a picture, or an object array of several, each as JPEG or PNG.

        Raises:
            UserError: a file can't be read, or is no picture; it names the file.
        """
        if isinstance(rows, int | np.integer):
            return self._read(int(rows))
        chosen = np.arange(len(self))[rows]
        found = np.empty(len(chosen), object)
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
            found[:] = list(threads.map(self._read, chosen.tolist()))
        return found

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return self[:]

    def subset(self, rows: np.ndarray) -> "PictureFiles":
        """Returns some of the pictures, in another order perhaps."""
        chosen = PictureFiles(self._root, self._files, self._stamps, self._rows[rows])
        chosen._decoded, chosen._places = self._decoded, self._places[rows]
        return chosen

    def with_decoded(self, decoded: np.ndarray) -> "PictureFiles":
        """Returns the same pictures, with what they were decoded to; see the class."""
        return PictureFiles(self._root, self._files, self._stamps, self._rows, decoded)

    def is_readable(self, row: int) -> bool:
        """Whether a picture's file can be read now."""
        try:
            with open(self.path(row), "rb") as file:
                file.read(1)
        except OSError:
            return False
        return True

    def is_gone(self, row: int) -> bool:
        """Whether a picture's folder is no longer there, as where its drive stopped."""
        return answers.is_gone(self._root) or answers.is_gone(os.path.dirname(self.path(row)))

    def _read(self, row: int) -> bytes:
        path = self.path(row)
        if self._decoded is None:
            return self._from_file(path)
        if _stamp(path) == tuple(self._stamps[self._rows[row]].tolist()):
            with contextlib.suppress(UnreadableError):
                return self._from_file(path)
        return pictures.as_png(self._decoded[self._places[row]])

    def _from_file(self, path: str) -> bytes:
        try:
            return pictures.from_file(path)
        except OSError as error:
            text = f"{path}: can't be read ({error.strerror or error})"
            raise UnreadableError(text) from error
        except pictures.PictureError as error:
            raise UserError(f"{path}: {error}") from error
