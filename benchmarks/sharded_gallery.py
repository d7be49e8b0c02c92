"""Queries and a gallery of synthetic embeddings in shards on the disk."""

import os
import pathlib
from collections.abc import Iterator

import numpy as np

WIDTH, SHARD, BLOCK = 256, 4096, 256
IMAGES_OF_A_PERSON, CAMERAS, DISTRACTORS = 20, 6, 0.1
# What makes an embedding: its person, its camera (1) and the rest of the picture.
PERSON, NOISE = 1.5, 2.0
# Products of larger matrices are faster.
SHARDS_OF_A_PRODUCT = 8

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


class Shards:
    """A gallery in .npz files, read anew each time, and its queries.

    Args:
        folder: that `write` filled.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._paths = sorted(pathlib.Path(folder).glob("gallery_*.npz"))

    def __iter__(self) -> Iterator[Arrays]:
        return map(_read, self._paths)

    def query(self) -> Arrays:
        """Returns the embeddings, persons and cameras of the queries."""
        return _read(pathlib.Path(self._folder, "query.npz"))

    def gallery(self) -> Arrays:
        """Returns those of the whole gallery."""
        count = len(self._paths) * SHARD
        arrays = np.empty((count, WIDTH), np.float32), *np.empty((2, count), np.int64)
        stop = 0
        for part in self:
            start, stop = stop, stop + len(part[0])
            for whole, own in zip(arrays, part, strict=True):
                whole[start:stop] = own
        embeddings, person, camera = arrays
        return embeddings[:stop], person[:stop], camera[:stop]

    def joined(self) -> Iterator[np.ndarray]:
        """Yields the embeddings of several shards at a time."""
        for start in range(0, len(self._paths), SHARDS_OF_A_PRODUCT):
            several = self._paths[start : start + SHARDS_OF_A_PRODUCT]
            yield np.concatenate([_read(path)[0] for path in several])

    def everything(self) -> np.ndarray:
        """Returns the embeddings of the queries and of the gallery."""
        return np.concatenate([self.query()[0], self.gallery()[0]])


def write(folder: str, queries: int, pictures: int) -> None:
    """Writes the queries and the shards of a gallery, the same for the same numbers."""
    random = np.random.default_rng(pictures)
    persons = random.standard_normal((max(pictures // IMAGES_OF_A_PERSON, 1), WIDTH), np.float32)
    cameras = random.standard_normal((CAMERAS, WIDTH), np.float32)

    def save(name: str, number: np.ndarray, distractors: float) -> None:
        camera = random.integers(0, CAMERAS, len(number))
        embeddings = NOISE * random.standard_normal((len(number), WIDTH), np.float32)
        alone = random.random(len(number)) < distractors
        embeddings += PERSON * persons[number] * ~alone[:, np.newaxis] + cameras[camera]
        person = np.where(alone, 0, number + 1)
        path = os.path.join(folder, f"{name}.npz")
        np.savez(path, embeddings=embeddings, person=person, camera=camera)

    save("query", random.permutation(queries) % len(persons), 0)
    order = random.permutation(pictures) % len(persons)
    for start in range(0, pictures, SHARD):
        save(f"gallery_{start:09}", order[start : start + SHARD], DISTRACTORS)


def multiply(left: np.ndarray, right: np.ndarray) -> None:
    """Computes the product that comparing all with all can't do without, in blocks."""
    products = np.empty((BLOCK, len(right)), np.float32)
    for start in range(0, len(left), BLOCK):
        part = left[start : start + BLOCK]
        np.matmul(part, right.T, out=products[: len(part)])


def _read(path: pathlib.Path) -> Arrays:
    with np.load(path) as file:
        return file["embeddings"], file["person"], file["camera"]
