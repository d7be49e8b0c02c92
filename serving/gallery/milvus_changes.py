"""Puts rows into a gallery's collection, gives them new names, and takes them out.

Keys are made of names, so what is put in twice is there once: a process that is killed in the
middle is caught up with by the same command.
"""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from serving.gallery import milvus_layout, milvus_queries, milvus_rows
from serving.gallery.milvus_connection import Collection
from serving.gallery.milvus_queries import ASKED
from serving.gallery.milvus_rows import FIELDS, VECTOR
from serving.gallery.records import Picture

_SENT = 2**24  # bytes of embeddings at once; a server takes messages of 64 MB


def upsert(collection: Collection, pictures: Sequence[Picture], vectors: np.ndarray) -> None:
    """Puts pictures in, whose `inserted_at` is set, over those of the same names."""
    count = max(1, _SENT // (4 * vectors.shape[1]))
    for start in range(0, len(pictures), count):
        part = slice(start, start + count)
        rows = map(milvus_rows.row, pictures[part], vectors[part])
        collection.call("upsert", list(rows))


def delete(collection: Collection, keys: Sequence[int]) -> None:
    """Takes rows out, and notes that they have to be erased."""
    if keys:
        milvus_layout.note_erased(collection)
    for start in range(0, len(keys), ASKED):
        collection.call("delete", ids=list(keys[start : start + ASKED]))


def aged(picture: Picture, old: Picture | None = None) -> Picture:
    """Returns a picture with its age, and the tracklet and time that it has if it tells none."""
    if old is not None and old.content_hash == picture.content_hash:
        return picture.keeping(old)
    return dataclasses.replace(picture, inserted_at=picture.inserted_at or int(time.time()))


def rename(
    collection: Collection, moves: Sequence[tuple[Picture, Picture]]
) -> list[tuple[Picture, Picture]]:
    """Puts rows in under their new names; those of the old names stay.

    Returns:
        The moves whose rows were as they were read; only these are done.
    """
    done, renamed, vectors = [], [], []
    for start in range(0, len(moves), ASKED):
        some = moves[start : start + ASKED]
        found = milvus_queries.get(collection, [old.id for old, _ in some], [*FIELDS, VECTOR])
        for old, new in some:
            row = found.get(old.id)
            now = None if row is None else milvus_rows.picture(row)
            if row is None or now != old:
                continue
            renamed.append(new.keeping(old))
            vectors.append(np.asarray(row[VECTOR], np.float32))
            done.append((old, new))
    if done:
        milvus_layout.note_erased(collection)
        upsert(collection, renamed, np.stack(vectors))
    return done


def copies(
    collection: Collection, pictures: Sequence[Picture], known: dict[str, Picture]
) -> dict[str, str]:
    """Returns {file: name there} of new files whose picture is there under another name.

    Args:
        collection: of the gallery.
        pictures: that are to be put in.
        known: {file: picture} of those whose names are there.
    """
    files = {each.file for each in pictures}
    new = [
        each
        for each in pictures
        if each.file not in known or known[each.file].content_hash != each.content_hash
    ]
    hashes = {each.content_hash for each in new}
    there = milvus_queries.by_content(collection, hashes) if new else {}
    found = {}
    for each in new:
        for row in there.get(each.content_hash, []):
            if row.camera == each.camera and row.file not in files:
                found[each.file] = row.file
                break
    return found
