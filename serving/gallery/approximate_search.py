"""A graph over a gallery's embeddings that finds most of the nearest without visiting all.

HNSW (Malkov and Yashunin, 2016) in faiss's version, kept in the gallery's folder in two
files: `approximate.faiss`, and `approximate.json`, which says of what revision of the gallery
it is and how good. Every search reads and checks the whole index, so it pays only for many
queries at once in a large gallery. Measured on 2 cores, 200 000 pictures of 512 numbers: 1000
queries 1.2 s (exact 2.1 s), one 0.7 s (0.8 s); 60 000 of 2048: 1000 queries 2 s (1.6 s), one
0.75 s (0.4 s).

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
from serving.gallery.inner_products import as_hits, nearest, ordered
from serving.gallery.records import Hit
from serving.gallery.search import exact
from serving.gallery.store import DERIVED, GalleryStore

_INDEX, _NOTE = DERIVED + "faiss", DERIVED + "json"
_NEIGHBOURS = 32  # of each picture in the graph
_BUILD_REACH = 80  # candidates kept while the graph is built
_SEARCH_REACH = 128  # candidates kept while it is searched, if `top` isn't larger
_RECALL_QUERIES = 256
_RECALL_TOP = 10
# Scores of equal embeddings differ by float32 rounding between the two searches.
_SAME_SCORE = 1e-5


@dataclasses.dataclass(frozen=True)
class Quality:
    """How good an index is.

    Attributes:
        recall: share of the exact `top` nearest that the index finds, for pictures of the
            gallery themselves, each without itself.
        top: length of the lists compared.
        queries: how many pictures were asked for.
    """

    recall: float
    top: int
    queries: int


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
        scores, rows = _walk(index, vectors, top)
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
    index = faiss.IndexHNSWFlat(vectors.shape[1], _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = _BUILD_REACH
    index.add(vectors)
    measured = dataclasses.asdict(_measure(index, vectors))
    note: dict[str, Any] = {"revision": revision, "quality": measured}
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


def _measure(index: Any, vectors: np.ndarray) -> Quality:
    """Returns the quality of an index over these vectors."""
    count = min(_RECALL_QUERIES, len(vectors))
    top = min(_RECALL_TOP, len(vectors) - 1)
    if not top:
        return Quality(1.0, 0, 0)
    chosen = np.linspace(0, len(vectors) - 1, count).astype(np.int64)
    truth, _ = _without(chosen, *nearest(vectors[chosen], vectors, top + 1))
    found, _ = _without(chosen, *_walk(index, vectors[chosen], top + 1))
    right = found >= truth[:, -1:] - _SAME_SCORE
    return Quality(float(right.mean()), top, count)


def _without(
    own: np.ndarray, scores: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Drops each query's own row, or the last one where it wasn't found."""
    drop = np.where((rows == own[:, None]).any(axis=1), (rows == own[:, None]).argmax(axis=1), -1)
    keep = np.ones(rows.shape, bool)
    keep[np.arange(len(rows)), drop] = False
    shape = (len(rows), rows.shape[1] - 1)
    return scores[keep].reshape(shape), rows[keep].reshape(shape)


def _walk(index: Any, vectors: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns scores and rows as `nearest` does; row -1 where nothing was found."""
    top = min(top, index.ntotal)
    reach = faiss.SearchParametersHNSW(efSearch=max(_SEARCH_REACH, 2 * top))
    vectors = np.ascontiguousarray(vectors)
    return ordered(*index.search(vectors, top, params=reach))


def _read_note(store: GalleryStore) -> dict[str, Any] | None:
    """Returns the note of an index for the gallery as it is now, or None. Needs a snapshot."""
    try:
        with open(os.path.join(store.folder, _NOTE), encoding="utf-8") as file:
            note = json.load(file)
        Quality(**note["quality"])
        return note if note["revision"] == store.revision() and note["sha256"] else None
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
