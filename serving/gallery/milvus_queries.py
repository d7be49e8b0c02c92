"""Reads a gallery's rows from its collection: by key, by content, and as a selection has them."""

from collections.abc import Collection as Several
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from serving.errors import GalleryError
from serving.gallery import milvus_rows
from serving.gallery.milvus_connection import MOST, Collection
from serving.gallery.milvus_rows import FIELDS, VECTOR
from serving.gallery.records import Picture, Selection
from serving.gallery.unit_vectors import not_unit

ASKED = 500  # keys or contents at once
_PAGE = 1000  # rows


def get(
    collection: Collection, keys: Sequence[int], fields: list[str]
) -> dict[int, dict[str, Any]]:
    """Returns {key: row} of those that are there."""
    found = {}
    for start in range(0, len(keys), ASKED):
        some = list(keys[start : start + ASKED])
        for row in collection.call("get", ids=some, output_fields=fields):
            found[row["id"]] = row
    return found


def by_file(collection: Collection, files: Several[str]) -> dict[str, Picture]:
    """Returns {file: picture} of those of these files that are there."""
    keys = {milvus_rows.key(file): file for file in files}
    result = {}
    for number, row in get(collection, list(keys), FIELDS).items():
        if row["file"] != keys[number]:
            raise GalleryError(
                f"the names {row['file']} and {keys[number]} have the same key; rename one",
                collection.address,
            )
        result[keys[number]] = milvus_rows.picture(row)
    return result


def by_content(collection: Collection, hashes: Several[bytes]) -> dict[bytes, list[Picture]]:
    """Returns {content_hash: pictures} of those contents that are there, the oldest first."""
    result: dict[bytes, list[Picture]] = {}
    texts = [each.hex() for each in hashes]
    for start in range(0, len(texts), ASKED):
        for each in _with_content(collection, texts[start : start + ASKED]):
            result.setdefault(each.content_hash, []).append(each)
    for pictures in result.values():
        pictures.sort(key=lambda each: (each.inserted_at, each.id))
    return result


def count(collection: Collection, selection: Selection) -> int:
    """Returns how many pictures are selected."""
    if selection.patterns:
        return sum(map(len, pages(collection, selection)))
    return _count(collection, milvus_rows.condition(selection))


def pages(
    collection: Collection, selection: Selection, most: int = _PAGE
) -> Iterator[list[Picture]]:
    """Yields the selected pictures by key, in lists of at most `most`."""
    for page in _pages(collection, selection, FIELDS, most):
        yield [milvus_rows.picture(each) for each in page]


def load(
    collection: Collection, selection: Selection, dim: int
) -> tuple[list[Picture], np.ndarray]:
    """Returns pictures by key and their embeddings, float32 [N, dim]."""
    pictures: list[Picture] = []
    parts = [np.empty((0, dim), np.float32)]
    for page in _pages(collection, selection, [*FIELDS, VECTOR], _PAGE):
        pictures += map(milvus_rows.picture, page)
        parts.append(np.array([row[VECTOR] for row in page], np.float32))
    vectors = np.concatenate(parts)
    wrong = not_unit(vectors)
    if wrong.size:
        raise GalleryError(
            f"is damaged: the embedding of {pictures[wrong[0]].file} is not of unit length; "
            "build a new one",
            collection.address,
        )
    return pictures, vectors


def cameras(collection: Collection) -> list[tuple[str | None, int, int, int]]:
    """Returns [(camera or None, pictures, first, last inserted_at)] by camera."""
    found: dict[str | None, tuple[int, int, int]] = {}
    for page in collection.rows("", ["camera", "inserted_at"], MOST):
        for row in page:
            at = row["inserted_at"]
            number, first, last = found.get(row["camera"], (0, at, at))
            found[row["camera"]] = number + 1, min(first, at), max(last, at)
    ordered = sorted(found.items(), key=lambda item: (item[0] is not None, item[0] or ""))
    return [(camera, *numbers) for camera, numbers in ordered]


def tracklets(collection: Collection) -> tuple[int, int]:
    """Returns how many tracklets there are, and how many pictures have one."""
    names, number = set(), 0
    fields = ["camera", "tracklet", "tracklet_source"]
    for page in collection.rows("tracklet is not null", fields, MOST):
        names |= {tuple(row[field] for field in fields) for row in page}
        number += len(page)
    return len(names), number


def timed(collection: Collection) -> int:
    """Returns how many pictures have a time."""
    return _count(collection, "taken_at is not null")


def _count(collection: Collection, condition: str) -> int:
    found = collection.call("query", filter=condition, output_fields=["count(*)"])
    return int(found[0]["count(*)"])


def _with_content(collection: Collection, texts: Sequence[str]) -> list[Picture]:
    """Returns the pictures that have one of these hashes, hexadecimal."""
    condition = milvus_rows.among("content_hash", texts)
    found = collection.call("query", filter=condition, output_fields=FIELDS, limit=MOST)
    if len(found) < MOST:
        return [milvus_rows.picture(row) for row in found]
    # Slower, and without a limit.
    rows = collection.rows(condition, FIELDS, _PAGE)
    return [milvus_rows.picture(row) for page in rows for row in page]


def _pages(
    collection: Collection, selection: Selection, fields: list[str], most: int
) -> Iterator[list[dict[str, Any]]]:
    matches = milvus_rows.matcher(selection)
    condition = milvus_rows.condition(selection)
    for page in collection.rows(condition, fields, most):
        rows = [row for row in page if matches is None or matches(row["file"])]
        if rows:
            yield rows
