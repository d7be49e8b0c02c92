"""Cuts a job's pictures into requests, bounded by count and by bytes."""

import dataclasses
import functools

import numpy as np

from serving.client import pictures
from serving.errors import BadImageError

# Of encoded pictures or pixels in one request, unless one picture alone has more.
REQUEST_BYTES = 4 * 2**20


@dataclasses.dataclass
class Chunk:
    """What goes into one request.

    Attributes:
      names: of the pictures.
      data: their bytes, a list; or their pixels, uint8 [N, height, width, 3].
      skipped: pictures left out before sending.
      failure: ends the job when its turn comes, after all that was sent before.
    """

    names: list[str] = dataclasses.field(default_factory=list)
    data: list[bytes] | np.ndarray = dataclasses.field(default_factory=list)
    skipped: list[BadImageError] = dataclasses.field(default_factory=list)
    failure: BadImageError | None = None

    def singles(self):
        """A chunk for each picture."""
        return [Chunk([name], [data]) for name, data in zip(self.names, self.data, strict=True)]


def of_files(paths, batch_size, skip):
    """Chunks of files, each read when its chunk is asked for.

    Args:
        paths: list of names.
        batch_size: pictures in a chunk at most.
        skip: whether bad pictures are left out; else the first one ends the chunks.

    Yields:
        `Chunk`, none of them empty.
    """
    reads = (functools.partial(pictures.read, path) for path in paths)
    return _chunks(zip(paths, reads, strict=True), batch_size, skip)


def of_encoded(encoded, names, batch_size, skip):
    """As `of_files`, from N bytes objects and their N names."""

    def checked(data, name):
        pictures.check_encoded(data, name)
        return data

    reads = (functools.partial(checked, *each) for each in zip(encoded, names, strict=True))
    return _chunks(zip(names, reads, strict=True), batch_size, skip)


def of_images(images, batch_size):
    """As `of_files`, from uint8 [N, height, width, 3], N at least 1."""
    size = max(1, min(batch_size, REQUEST_BYTES // images[0].nbytes))
    for start in range(0, len(images), size):
        part = images[start : start + size]
        yield Chunk([f"image {start + row}" for row in range(len(part))], part)


def _chunks(sources, batch_size, skip):
    chunk, size = Chunk(), 0
    for name, read in sources:
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
            chunk, size = Chunk(), 0
        chunk.names.append(name)
        chunk.data.append(data)
        size += len(data)
    if chunk.names or chunk.skipped:
        yield chunk
