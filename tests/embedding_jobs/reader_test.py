"""Files of a batch are read by several threads: each keeps its place."""

import hashlib
import pathlib

import numpy as np
import pytest

from arn_tf.embedding_jobs import batches
from tests.support import small_data

# Of fewer pictures than threads, of as many, and of numbers that they can't share evenly.
SIZES = [1, batches.READERS - 1, batches.READERS, batches.READERS + 1, 5 * batches.READERS + 3]


@pytest.mark.parametrize("count", SIZES)
def test_every_picture_keeps_its_place(tmp_path: pathlib.Path, count: int) -> None:
    encoded = [small_data.picture(1 + place, 1, place) for place in range(count)]
    assert len(set(encoded)) == count
    broken = count // 2
    encoded[broken] = b"no picture"
    paths = [tmp_path / f"{place}.jpg" for place in range(count)]
    for path, data in zip(paths, encoded, strict=True):
        path.write_bytes(data)
    camera_id = np.arange(count, dtype=np.int32)
    reader = batches.Reader(str(tmp_path))
    batch = batches.Batch(
        7, [str(path) for path in paths], [len(data) for data in encoded], camera_id
    )
    read = reader.read(batch)
    reader.close()
    assert read.first == 7
    np.testing.assert_array_equal(read.camera_id, camera_id)
    assert list(read.failed) == [broken]
    for place in set(range(count)) - {broken}:
        assert read.encoded[place] == encoded[place]
        assert read.content_hash[place] == hashlib.sha256(encoded[place]).digest()
