"""How a gallery's collection is made and told from others, and what is noted on it.

The notes are properties of the collection; Milvus Lite keeps no description.
"""

import dataclasses
import json
import secrets
import time
from typing import Any

from serving.errors import GalleryError
from serving.gallery import milvus_rows
from serving.gallery.milvus_connection import Collection
from serving.gallery.milvus_rows import FIELDS, VECTOR
from serving.gallery.records import Binding

LISTS = 256  # of the index; all of them are visited by exact search
_FORMAT = 2
_ABOUT, _UNERASED, _TOKEN = "arn_tf.gallery", "arn_tf.unerased", "arn_tf.token"


def make(collection: Collection, binding: Binding) -> None:
    """Makes a gallery's collection, without rows."""
    about = {
        "format": _FORMAT,
        "created_at": int(time.time()),
        "binding": dataclasses.asdict(binding),
    }
    collection.call(
        "create_collection",
        schema=milvus_rows.schema(binding.dim),
        consistency_level="Strong",
        properties={_ABOUT: json.dumps(about)},
    )
    _ensure_ready(collection)


def opened(collection: Collection) -> tuple[Binding, int]:
    """Returns what a collection says of itself: its binding, and when it was made.

    Raises:
        GalleryError: there is none, or it isn't one of a gallery that this program knows.
    """
    if not collection.call("has_collection"):
        raise GalleryError(
            "is no gallery; make one with: python -m serving.gallery build", collection.address
        )
    found = collection.call("describe_collection")
    try:
        about = json.loads(dict(found["properties"])[_ABOUT])
        form, binding = about["format"], Binding(**about["binding"])
    except (ValueError, KeyError, TypeError) as error:
        raise GalleryError(
            "is a collection of something else; name another one", collection.address
        ) from error
    fields = {each["name"]: each for each in found["fields"]}
    expected = {*FIELDS, VECTOR}
    if form != _FORMAT or fields.keys() != expected:
        raise GalleryError(
            "has another layout than this program knows; use the program that wrote it, or fill "
            "another one",
            collection.address,
        )
    dim = int(fields[VECTOR]["params"]["dim"])
    if dim != binding.dim:
        raise GalleryError(
            f"is damaged: embeddings of {dim} numbers, and it says {binding.dim}",
            collection.address,
        )
    _ensure_ready(collection)
    return binding, int(about["created_at"])


def note_erased(collection: Collection) -> None:
    """Notes that rows go and have to be erased; before any does, so that a kill leaves the note."""
    collection.call("alter_collection_properties", properties={_UNERASED: secrets.token_hex(8)})


def unerased(collection: Collection) -> str | None:
    """Returns the mark of rows that have to be erased; None where there are none."""
    return _properties(collection).get(_UNERASED)


def forget_erased(collection: Collection, mark: str) -> None:
    """Notes that the rows of a mark are erased, unless others have removed more since."""
    if unerased(collection) == mark:
        collection.call("drop_collection_properties", property_keys=[_UNERASED])


def is_same(one: Collection, other: Collection) -> bool:
    """Whether two are one collection, under whatever name of its server, or alias."""
    token = secrets.token_hex(8)
    one.call("alter_collection_properties", properties={_TOKEN: token})
    try:
        return _properties(other).get(_TOKEN) == token
    finally:
        one.call("drop_collection_properties", property_keys=[_TOKEN])


def _properties(collection: Collection) -> dict[str, Any]:
    return dict(collection.call("describe_collection").get("properties") or {})


def _ensure_ready(collection: Collection) -> None:
    """Gives a collection its indexes, where whoever made it was killed before, and loads it."""
    _ensure_indexes(collection)
    try:
        collection.call("load_collection")
    except GalleryError:
        if not collection.lite:
            raise
        # Milvus Lite takes a part of an index's file, as a full disk leaves it, for the whole.
        # Indexes are made of the rows, so they are made anew. It drops all when asked for one.
        while names := collection.call("list_indexes"):
            collection.call("drop_index", names[0])
        _ensure_indexes(collection)
        collection.call("load_collection")


def _ensure_indexes(collection: Collection) -> None:
    there = collection.call("list_indexes")
    if "content_hash" not in there:
        index = collection.client.prepare_index_params()
        index.add_index("content_hash", index_name="content_hash", index_type="INVERTED")
        collection.call("create_index", index)
    if VECTOR not in there:
        index = collection.client.prepare_index_params()
        index.add_index(
            VECTOR,
            index_name=VECTOR,
            index_type="IVF_FLAT",
            metric_type="IP",
            params={"nlist": LISTS},
        )
        collection.call("create_index", index)
