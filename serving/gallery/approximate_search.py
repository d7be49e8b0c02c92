"""A graph over a gallery's embeddings that finds most of the nearest without visiting all.

That of `serving.gallery.graph`, kept in the gallery's folder in two files: `approximate.faiss`,
and `approximate.json`, which says of what revision of the gallery it is and how good. Every search
reads and checks the whole index, so it pays only for many queries at once in a large gallery
(benchmarks/gallery_stores.py).

The graph holds the embeddings themselves, so `GalleryStore` removes both files before it changes
a row, and they are written only while nobody else can write. That way an erased embedding can't
come back with an index that was built from older rows.

There are no filters here. A graph walked under a filter loses its way as the filter lets
fewer pictures pass, and would return too few, or wrong ones; exact search over the rows that
pass takes milliseconds (see `serving.gallery.search`).
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from serving.errors import GalleryError
from serving.gallery import graph
from serving.gallery.inner_products import as_hits
from serving.gallery.quality import Quality
from serving.gallery.records import Hit
from serving.gallery.search import exact
from serving.gallery.store import DERIVED, GalleryStore

_INDEX, _NOTE = DERIVED + "faiss", DERIVED + "json"


def search(
    store: GalleryStore, vectors: np.ndarray, top: int, report: Callable[[str], object]
) -> tuple[list[list[Hit]], Quality]:
    """Returns the nearest pictures of each query, nearly all; builds the index if need be.

    Args:
        store: the gallery.
        vectors: float32 [Q, dim], unit length.
        top: length of the lists.
        report: called with a line of text when a slow step begins.

    Returns:
        hits: a list per query, best first.
        quality: of the index.

    Raises:
        GalleryError: the gallery can't be read, or the index can't be written there.
    """
    with store.snapshot():
        note = _read_note(store)
    index = _read_index(store, note) if note else None
    if note is None or index is None:
        report("building the approximate index: there is none for the gallery as it is now")
        index, note = _build(store)
    quality = Quality(**note["quality"])
    with store.snapshot():
        _check_revision(store, note["revision"])
        scores, rows = graph.walk(index, vectors, top, note["reach"])
        if (rows >= 0).all():
            ids = store.ids()[rows]
            pictures = store.pictures_by_id(ids.ravel().tolist())
            return as_hits(pictures, scores, ids), quality
    report("the approximate index found too few; searching exactly")
    return exact(store, vectors, top), quality


def quality(store: GalleryStore) -> Quality | None:
    """Returns the index's quality, or None if there is none for the gallery as it is now."""
    with store.snapshot():
        note = _read_note(store)
    return Quality(**note["quality"]) if note else None


def _build(store: GalleryStore) -> tuple[Any, dict[str, Any]]:
    """Builds the index, measures it and keeps it; returns it and its note."""
    if not os.access(store.folder, os.W_OK):  # before the work, not after
        raise _not_kept(store, "no right to write")
    with store.snapshot():
        revision = store.revision()
        _, vectors = store.load()
    if not len(vectors):
        raise GalleryError("is empty; add pictures first", store.folder)
    index, measured, reach = graph.built(vectors)
    note: dict[str, Any] = {
        "revision": revision,
        "quality": dataclasses.asdict(measured),
        "reach": reach,
    }
    del vectors
    path = os.path.join(store.folder, _INDEX)
    try:
        with store.locked():
            _check_revision(store, revision)
            # A writer that comes later removes these names, half written or not.
            # By Python, which knows how each system writes names of files.
            with open(path, "wb") as opened:
                faiss.write_index(index, faiss.PyCallbackIOWriter(opened.write))
            note["sha256"] = _digest(path)
            partial = os.path.join(store.folder, _NOTE + ".new")
            with open(partial, "w", encoding="utf-8") as file:
                json.dump(note, file)
            os.replace(partial, os.path.join(store.folder, _NOTE))
    # faiss raises RuntimeError for what it can't write.
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            os.remove(path)
        raise _not_kept(store, error) from error
    return index, note


def _check_revision(store: GalleryStore, revision: str) -> None:
    """Raises a GalleryError if the gallery has changed since. Needs a context."""
    if store.revision() != revision:
        raise GalleryError(
            "changed while its approximate index was built or used; give the command again "
            "when nobody adds or removes, or leave `approximate` out",
            store.folder,
        )


def _not_kept(store: GalleryStore, why: object) -> GalleryError:
    return GalleryError(
        f"the approximate index can't be kept there ({why}); make room, have somebody with the "
        "right to write search once with `approximate`, or leave `approximate` out",
        store.folder,
    )


def _read_note(store: GalleryStore) -> dict[str, Any] | None:
    """Returns the note of an index for the gallery as it is now, or None. Needs a snapshot."""
    try:
        with open(os.path.join(store.folder, _NOTE), encoding="utf-8") as file:
            note = json.load(file)
        Quality(**note["quality"])
        reach = isinstance(note["reach"], int)  # earlier notes have none
        return note if reach and note["revision"] == store.revision() and note["sha256"] else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _read_index(store: GalleryStore, note: dict[str, Any]) -> Any:
    """Returns the index, or None if its file isn't what the note says."""
    path = os.path.join(store.folder, _INDEX)
    try:
        # faiss trusts what it reads; a damaged graph would lead it anywhere in memory.
        if _digest(path) != note["sha256"]:
            return None
        with open(path, "rb") as opened:
            return faiss.read_index(faiss.PyCallbackIOReader(opened.read))
    except (OSError, RuntimeError):
        return None


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
