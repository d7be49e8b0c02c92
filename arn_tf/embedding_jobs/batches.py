"""A batch of pictures on its way: named, read, embedded; each of the three crosses processes."""

import concurrent.futures
import dataclasses
import hashlib
import itertools
import math

import numpy as np

from arn_tf.embedding_jobs.storage import Storage
from datasets.files import pictures
from datasets.files.pictures import PictureError

# Pictures that one forward takes.
SIZE = 64
# Reading waits for disks and stores, not for processors.
READERS = 16
# Of a picture that can't be used.
_NOTHING = b""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Pictures to embed, N of them, all of one shard.

    Attributes:
        first: row of the first one, of the job's pictures; the others follow.
        files: their names.
        sizes: of the files, in bytes.
        camera_id: int64 [N], -1 where it is unknown.
    """

    first: int
    files: list[str]
    sizes: list[int]
    camera_id: np.ndarray


@dataclasses.dataclass(frozen=True)
class ReadBatch:
    """The same, read.

    Attributes:
        first: see `Batch`.
        camera_id: see `Batch`.
        encoded: their bytes, JPEG or PNG, upright as the gallery's client sends them.
        content_hash: SHA-256 of the files.
        failed: {place in the batch: why} of those that can't be used; their bytes are empty.
    """

    first: int
    camera_id: np.ndarray
    encoded: list[bytes]
    content_hash: list[bytes]
    failed: dict[int, str]


@dataclasses.dataclass(frozen=True)
class EmbeddedBatch:
    """The same, embedded.

    Attributes:
        first: see `Batch`.
        vectors: float32 [N, D]; what is there for those that failed means nothing.
        content_hash: see `ReadBatch`.
        failed: see `ReadBatch`; here also what can't be decoded.
    """

    first: int
    vectors: np.ndarray
    content_hash: list[bytes]
    failed: dict[int, str]


class Reader:
    """Reads batches, many files at once.

    Args:
        root: folder or address that the names of files begin at.
    """

    def __init__(self, root: str) -> None:
        self._storage = Storage(root)
        self._threads = concurrent.futures.ThreadPoolExecutor(READERS)

    def read(self, batch: Batch) -> ReadBatch:
        """Reads a batch; raises a `StorageError` where the disk or store doesn't answer."""
        named = list(zip(batch.files, batch.sizes, strict=True))
        # A part for each thread: to hand over a crop costs more than to read it.
        size = math.ceil(len(named) / READERS)
        parts = [named[start : start + size] for start in range(0, len(named), size)]
        read = self._threads.map(lambda part: [self._read(*each) for each in part], parts)
        found = list(itertools.chain.from_iterable(read))
        return ReadBatch(
            batch.first,
            batch.camera_id,
            [encoded for encoded, _, _ in found],
            [digest for _, digest, _ in found],
            {place: problem for place, (_, _, problem) in enumerate(found) if problem},
        )

    def close(self) -> None:
        """Ends the threads; what they haven't begun is dropped."""
        self._threads.shutdown(cancel_futures=True)

    def _read(self, file: str, size: int) -> tuple[bytes, bytes, str]:
        """Returns a picture's bytes, the hash of its file, and what is wrong with it."""
        try:
            file.encode()
            data = self._storage.read(file, size)
            return pictures.upright(data), hashlib.sha256(data).digest(), ""
        except UnicodeEncodeError:
            return _NOTHING, _NOTHING, "its name is not UTF-8; rename the file"
        except PictureError as error:
            return _NOTHING, _NOTHING, str(error)
