"""Encoded pictures that stay in their files: read by row, when they are asked for."""

import concurrent.futures
import functools
import hashlib
import os
from collections.abc import Sequence
from typing import overload

import numpy as np

from arn_tf.errors import UserError
from datasets.files import pictures

_THREADS = 16  # reading waits for disks, not for processors


def stamps(root: str, files: Sequence[str]) -> np.ndarray:
    """Returns size and time of change of each file, int64 [N, 2]; -1 where it is gone."""

    def stamp(file: str) -> tuple[int, int]:
        try:
            found = os.stat(os.path.join(root, file))
        except OSError:
            return -1, -1
        return found.st_size, found.st_mtime_ns

    with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
        found = list(threads.map(stamp, files, chunksize=_THREADS))
    return np.array(found, np.int64).reshape(-1, 2)


class PictureFiles:
    """Looks like an object array of encoded pictures [N], and holds their paths alone.

    Args:
        root: folder that the paths begin at.
        files: paths.
        stamps: int64 [len(files), 2], size in bytes and time of change in nanoseconds of each.
        rows: which of them, and in which order; all if None.
    """

    dtype = np.dtype(object)

    def __init__(
        self, root: str, files: Sequence[str], stamps: np.ndarray, rows: np.ndarray | None = None
    ) -> None:
        self._root, self._files, self._stamps = root, files, stamps
        self._rows = np.arange(len(files)) if rows is None else np.asarray(rows)

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
        return PictureFiles(self._root, self._files, self._stamps, self._rows[rows])

    def _read(self, row: int) -> bytes:
        path = self.path(row)
        try:
            if os.path.getsize(path) > pictures.MAX_BYTES:
                raise pictures.PictureError(f"has more than {pictures.MAX_BYTES} bytes")
            with open(path, "rb") as file:
                data = pictures.as_jpeg_or_png(file.read())
            pictures.size(data)  # of few bytes may come gigabytes
            return data
        except OSError as error:
            raise UserError(f"{path}: can't be read ({error.strerror or error})") from error
        except pictures.PictureError as error:
            raise UserError(f"{path}: {error}") from error
