"""Puts the embeddings of a job, `arn_tf.embed`'s shards, into a gallery.

What is there already is passed over, so that the same command goes on wherever it was stopped:
every batch is committed as a whole, and shards have one order. The first of pictures with the same
bytes and camera gets the row, as with `add`; but no file is looked at, as a million may be
elsewhere, so that none is taken for one that moved.
"""

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import tqdm

from datasets.embedding_shards.job_file import Job, ShardError
from datasets.embedding_shards.read import EmbeddingShards, vectors
from datasets.own_cameras.cameras import Tracklet
from serving.errors import BadInputError, GalleryError
from serving.gallery import place
from serving.gallery.gallery import Gallery
from serving.gallery.records import Binding, Picture

# A job names the space of its embeddings, and no model.
_MODEL = "embedding-job"
_COLUMNS = ["file", "camera", "tracklet", "time", "content_hash", "embedding"]


@dataclasses.dataclass
class Filled:
    """What became of a job's pictures: committed, there before, or copies, which get no row.

    `unerased` says what is left to do of the erasure of those that were replaced, or is None.
    """

    added: int = 0
    there: int = 0
    copies: int = 0
    unerased: str | None = None


def fill(gallery: str, shards: str, root: str | None) -> Filled:
    """Puts a job's embeddings into a gallery, which is made if there is none.

    Memory: one batch of rows.

    Args:
        gallery: its folder or address.
        shards: folder of the job.
        root: folder where its pictures are on this machine; None for that of the job.

    Returns:
        The counts.

    Raises:
        BadInputError: the shards can't be used, or say no folder of this machine.
        GalleryError: they are of another space than the gallery, or it can't be written. What
            was committed before is kept.
    """
    result = Filled()
    with contextlib.ExitStack() as stack:
        try:
            job = EmbeddingShards(shards)
            root = _root(job.job, root)
            store = (
                stack.enter_context(place.open_gallery(gallery)) if place.exists(gallery) else None
            )
            if store is not None:
                store.check_writable()
                _check_space(store, job.job)
            with tqdm.tqdm(total=len(job), desc="filling", unit=" pictures", disable=None) as bar:
                for pictures, embeddings in _batches(job, root):
                    count = len(pictures)
                    pictures, embeddings = _without_copies(pictures, embeddings, result)
                    if store is None:
                        store = stack.enter_context(_create(gallery, job.job, pictures, embeddings))
                        result.added += len(pictures)
                    else:
                        _add(store, pictures, embeddings, result)
                    bar.update(count)
        except ShardError as error:
            raise BadInputError(str(error)) from error
        if store is not None:
            result.unerased = store.finish_erasure()
    return result


def _create(gallery: str, job: Job, pictures: list[Picture], embeddings: np.ndarray) -> Gallery:
    binding = Binding(job.embedding_space, _MODEL, 0, job.embedding_dim)
    return place.create(gallery, binding, pictures, embeddings)


def _without_copies(
    pictures: list[Picture], embeddings: np.ndarray, result: Filled
) -> tuple[list[Picture], np.ndarray]:
    """Returns the first pictures of their bytes and camera, of a batch."""
    first: dict[tuple[bytes, str | None], int] = {}
    for row, each in enumerate(pictures):
        first.setdefault((each.content_hash, each.camera), row)
    keep = sorted(first.values())
    result.copies += len(pictures) - len(keep)
    return [pictures[row] for row in keep], embeddings[keep]


def _add(store: Gallery, pictures: list[Picture], embeddings: np.ndarray, result: Filled) -> None:
    """Commits what is new of a batch."""
    known = store.by_file([each.file for each in pictures])
    new = [row for row, each in enumerate(pictures) if not _same(known.get(each.file), each)]
    result.there += len(pictures) - len(new)
    if new:
        copies = store.add([pictures[row] for row in new], embeddings[new], once=True)
        result.copies += len(copies)
        result.added += len(new) - len(copies)


def _batches(shards: EmbeddingShards, root: str) -> Iterator[tuple[list[Picture], np.ndarray]]:
    """Yields the pictures of record batches, and float32 [N, dim] of unit length."""
    # As `add` has it of the same folder or table.
    source = os.path.join(root, shards.job.table) if shards.job.table else root
    for batch in shards.batches(_COLUMNS):
        found = vectors(batch).astype(np.float32)
        # Float16 is of unit length only to its 11 bits.
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        yield _pictures(batch, root, source), found


def _pictures(batch: pa.RecordBatch, root: str, source: str) -> list[Picture]:
    columns = (batch.column(name).to_pylist() for name in _COLUMNS[:-1])
    return [
        Picture(
            os.path.join(root, *file.split("/")) if not os.path.isabs(file) else file,
            camera,
            content_hash,
            tracklet=None if tracklet is None else Tracklet(tracklet, source),
            taken_at=None if time is None or not math.isfinite(time) else time,
        )
        for file, camera, tracklet, time, content_hash in zip(*columns, strict=True)
    ]


def _same(row: Picture | None, picture: Picture) -> bool:
    return (
        row is not None
        and (row.content_hash, row.camera) == (picture.content_hash, picture.camera)
        and row.agrees(picture)
    )


def _root(job: Job, root: str | None) -> str:
    if root is None and "://" in job.root:
        raise BadInputError(
            f"the pictures of these shards are in {job.root}, and a gallery names files of this "
            "machine; give the folder where they are, or will be, as `root`"
        )
    return os.path.abspath(job.root if root is None else root)


def _check_space(store: Gallery, job: Job) -> None:
    binding = store.binding
    if (binding.embedding_space, binding.dim) != (job.embedding_space, job.embedding_dim):
        raise GalleryError(
            f"holds embeddings of space {binding.embedding_space}, {binding.dim} numbers each, and "
            f"the shards are of space {job.embedding_space}, {job.embedding_dim} numbers; fill "
            "another gallery with them, or embed the pictures with this one's model",
            store.folder,
        )
