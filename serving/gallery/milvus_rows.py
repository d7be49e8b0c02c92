"""Rows of a gallery in Milvus: their schema, what of a selection the server decides, and back.

A row's key is made of its file's name, so that what is put in twice is there once: a job that was
stopped just begins again. Milvus' filters have no glob patterns; those are matched here, by SQLite,
as in a folder's gallery.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pymilvus import CollectionSchema, DataType, MilvusClient

from datasets.own_cameras.cameras import Tracklet
from serving.gallery.milvus_connection import quoted
from serving.gallery.records import Picture, Selection

FIELDS = [
    "id",
    "file",
    "camera",
    "inserted_at",
    "content_hash",
    "tracklet",
    "tracklet_source",
    "taken_at",
]
VECTOR = "embedding"
_TEXT = 65535  # bytes, the most that a field of Milvus takes


def schema(dim: int) -> CollectionSchema:
    """Returns the fields of a collection for embeddings of `dim` numbers."""
    found = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    found.add_field("id", DataType.INT64, is_primary=True)
    found.add_field("file", DataType.VARCHAR, max_length=_TEXT)
    found.add_field("camera", DataType.VARCHAR, max_length=_TEXT, nullable=True)
    found.add_field("inserted_at", DataType.INT64)
    found.add_field("content_hash", DataType.VARCHAR, max_length=128)
    found.add_field("tracklet", DataType.VARCHAR, max_length=_TEXT, nullable=True)
    found.add_field("tracklet_source", DataType.VARCHAR, max_length=_TEXT, nullable=True)
    found.add_field("taken_at", DataType.DOUBLE, nullable=True)
    found.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dim)
    return found


def key(file: str) -> int:
    """Returns the primary key of a file's row, 63 bits of its name's SHA-256.

    Two of a million names have one key with a chance of 1 in 10^7; `MilvusGallery.add` sees it.
    """
    return int.from_bytes(hashlib.sha256(file.encode()).digest()[:8], "big") >> 1


def row(picture: Picture, vector: np.ndarray) -> dict[str, Any]:
    """Returns what Milvus holds of a picture, whose `inserted_at` is set."""
    name, source = picture.tracklet or (None, None)
    return {
        "id": key(picture.file),
        "file": picture.file,
        "camera": picture.camera,
        "inserted_at": picture.inserted_at,
        "content_hash": picture.content_hash.hex(),
        "tracklet": name,
        "tracklet_source": source,
        "taken_at": picture.taken_at,
        VECTOR: vector,
    }


def picture(found: Mapping[str, Any]) -> Picture:
    """Returns the picture of a row's fields."""
    name = found["tracklet"]
    return Picture(
        found["file"],
        found["camera"],
        bytes.fromhex(found["content_hash"]),
        found["inserted_at"],
        found["id"],
        None if name is None else Tracklet(name, found["tracklet_source"]),
        found["taken_at"],
    )


def condition(selection: Selection) -> str:
    """Returns the server's part of a selection; `matcher` is the rest."""
    parts = []
    if selection.files and not selection.patterns:
        parts.append(among("id", [key(file) for file in selection.files]))
    if selection.cameras:
        parts.append(among("camera", selection.cameras))
    if selection.other_than_camera is not None:
        # A comparison with null is false.
        parts.append(f"(camera is null or camera != {quoted(selection.other_than_camera)})")
    if selection.inserted_before is not None:
        parts.append(f"inserted_at < {selection.inserted_before}")
    if selection.taken_after is not None:
        parts.append(f"taken_at >= {selection.taken_after!r}")
    if selection.taken_before is not None:
        parts.append(f"taken_at < {selection.taken_before!r}")
    return " and ".join(parts)


def among(field: str, values: Sequence[int] | Sequence[str]) -> str:
    """Returns the condition that a field has one of these values."""
    texts = (quoted(each) if isinstance(each, str) else str(each) for each in values)
    return f"{field} in [{', '.join(texts)}]"


def matcher(selection: Selection) -> Callable[[str], bool] | None:
    """Returns whether a file passes a selection's patterns; None where it has none."""
    if not selection.patterns:
        return None
    files, patterns = set(selection.files), selection.patterns
    query = " OR ".join(["?1 GLOB ?"] * len(patterns)).replace("GLOB ?", "GLOB ?{}")
    query = f"SELECT {query.format(*range(2, len(patterns) + 2))}"

    def matches(file: str) -> bool:
        if file in files:
            return True
        with contextlib.closing(connection.execute(query, (file, *patterns))) as found:
            return bool(found.fetchone()[0])

    connection = sqlite3.connect(":memory:")
    return matches
