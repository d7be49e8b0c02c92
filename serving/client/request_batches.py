"""Cuts a job's pictures into requests, bounded by count and by bytes."""

import dataclasses
import functools

import numpy as np

from serving.client import picture_files
from serving.errors import BadImageError

# Of encoded pictures or pixels in one request, unless one picture alone has more.
REQUEST_BYTES = 4 * 2**20


@dataclasses.dataclass
class Chunk:
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

    def singles(self):
        """A chunk for each picture."""
        return [
            Chunk([name], [data], None if self.camera_id is None else [self.camera_id[row]])
            for row, (name, data) in enumerate(zip(self.names, self.data, strict=True))
        ]


def of_files(paths, batch_size, skip, camera_id=None):
    """Chunks of files, each read when its chunk is asked for.

    Args:
        paths: list of names.
        batch_size: pictures in a chunk at most.
        skip: whether bad pictures are left out; else the first one ends the chunks.
        camera_id: a number for each path, or None.

    Yields:
        `Chunk`, none of them empty.
    """
    reads = (functools.partial(picture_files.read, path) for path in paths)
    return _chunks(paths, reads, camera_id, batch_size, skip)


def of_encoded(encoded, names, batch_size, skip, camera_id=None):
    """As `of_files`, from N bytes objects and their N names."""

    def checked(data, name):
        picture_files.check_encoded(data, name)
        return data

    reads = (functools.partial(checked, *each) for each in zip(encoded, names, strict=True))
    return _chunks(names, reads, camera_id, batch_size, skip)


def of_images(images, batch_size, camera_id=None):
    """As `of_files`, from uint8 [N, height, width, 3], N at least 1."""
    size = max(1, min(batch_size, REQUEST_BYTES // images[0].nbytes))
    for start in range(0, len(images), size):
        part = images[start : start + size]
        cameras = None if camera_id is None else camera_id[start : start + size]
        yield Chunk([f"image {start + row}" for row in range(len(part))], part, cameras)


def _chunks(names, reads, camera_id, batch_size, skip):
    def empty():
        return Chunk(camera_id=None if camera_id is None else [])

    chunk, size = empty(), 0
    for row, (name, read) in enumerate(zip(names, reads, strict=True)):
        try:
            data = read()
        except BadImageError as error:
            if skip:
                chunk.skipped.append(error)
                continue
            if chunk.names:
                yield chunk
            yield Chunk(failure=error)
            return
        if chunk.names and (len(chunk.names) == batch_size or size + len(data) > REQUEST_BYTES):
            yield chunk
            chunk, size = empty(), 0
        chunk.names.append(name)
        chunk.data.append(data)
        if camera_id is not None:
            chunk.camera_id.append(camera_id[row])
        size += len(data)
    if chunk.names or chunk.skipped:
        yield chunk
