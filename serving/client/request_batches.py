"""Cuts a job's pictures into requests, bounded by count and by bytes."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from serving.client import picture_files
from serving.errors import BadImageError

# Of encoded pictures or pixels in one request, unless one picture alone has more.
REQUEST_BYTES = 4 * 2**20


@dataclasses.dataclass
class RequestBatch:
    """What goes into one request.

    Attributes:
        names: of the pictures.
        data: their bytes, a list; or their pixels, uint8 [N, height, width, 3].
        camera_id: a number for each of them, or None if the job has no cameras.
        skipped: pictures left out before sending.
        failure: ends the job when its turn comes, after all that was sent before.
    """

    names: list[str] = dataclasses.field(default_factory=list)
    data: list[bytes] | np.ndarray = dataclasses.field(default_factory=list)
    camera_id: list[int] | None = None
    skipped: list[BadImageError] = dataclasses.field(default_factory=list)
    failure: BadImageError | None = None

    def singles(self) -> "list[RequestBatch]":
        """Returns a batch of one for each picture."""
        return [
            RequestBatch([name], [data], None if self.camera_id is None else [self.camera_id[row]])
            for row, (name, data) in enumerate(zip(self.names, self.data, strict=True))
        ]


def of_files(
    paths: list[str], batch_size: int, skip: bool, camera_id: list[int] | None = None
) -> Iterator[RequestBatch]:
    """Yields batches of files, each file read when its batch is asked for; none is empty.

    Pictures are upright, and JPEG or PNG (`picture_files.upright`).

    Args:
        paths: of the files; they name the pictures.
        batch_size: pictures in a batch at most.
        skip: whether bad pictures are left out; else the first one ends the batches.
        camera_id: a number for each path, or None.
    """

    def read(path: str) -> bytes:
        return picture_files.upright(picture_files.read(path), path)

    reads = (functools.partial(read, path) for path in paths)
    return _batches(paths, reads, camera_id, batch_size, skip)


def of_encoded(
    encoded: list[bytes],
    names: list[str],
    batch_size: int,
    skip: bool,
    camera_id: list[int] | None = None,
) -> Iterator[RequestBatch]:
    """As `of_files`, from N encoded pictures and their N names."""
    reads = (
        functools.partial(picture_files.upright, *each) for each in zip(encoded, names, strict=True)
    )
    return _batches(names, reads, camera_id, batch_size, skip)


def of_images(
    images: np.ndarray, batch_size: int, camera_id: list[int] | None = None
) -> Iterator[RequestBatch]:
    """As `of_files`, from uint8 [N, height, width, 3], N at least 1."""
    size = max(1, min(batch_size, REQUEST_BYTES // images[0].nbytes))
    for start in range(0, len(images), size):
        part = images[start : start + size]
        cameras = None if camera_id is None else camera_id[start : start + size]
        yield RequestBatch([f"image {start + row}" for row in range(len(part))], part, cameras)


def _batches(
    names: list[str],
    reads: Iterable[Callable[[], bytes]],
    camera_id: list[int] | None,
    batch_size: int,
    skip: bool,
) -> Iterator[RequestBatch]:
    rows: list[int] = []
    data: list[bytes] = []
    skipped: list[BadImageError] = []

    def batch() -> RequestBatch:
        cameras = None if camera_id is None else [camera_id[row] for row in rows]
        return RequestBatch([names[row] for row in rows], data, cameras, skipped)

    for row, read in enumerate(reads):
        try:
            picture = read()
        except BadImageError as error:
            if skip:
                skipped.append(error)
                continue
            if rows:
                yield batch()
            yield RequestBatch(failure=error)
            return
        size = sum(map(len, data)) + len(picture)
        if rows and (len(rows) == batch_size or size > REQUEST_BYTES):
            yield batch()
            rows, data, skipped = [], [], []
        rows.append(row)
        data.append(picture)
    if rows or skipped:
        yield batch()
