"""Search of a collection by its index, exact where all lists are visited."""

from typing import Any

import numpy as np

from serving.errors import BadInputError, GalleryError
from serving.gallery import milvus_rows
from serving.gallery.milvus_connection import MOST, Collection
from serving.gallery.milvus_rows import FIELDS, VECTOR
from serving.gallery.records import Hit, Selection


def search(
    collection: Collection, vectors: np.ndarray, top: int, selection: Selection, lists: int
) -> list[list[Hit]]:
    """Returns the nearest selected pictures of each query, of as many lists of the index.

    Args:
        collection: of the gallery.
        vectors: float32 [Q, dim], unit length.
        top: length of the lists of hits.
        selection: which pictures; without glob patterns, which the server doesn't know.
        lists: of the index, visited in each segment.

    Returns:
        A list per query, best first; equal scores in the order of keys.
    """
    if top > MOST:
        raise BadInputError(
            f"Milvus returns {MOST} pictures of a query at most; ask for fewer, or move the "
            "gallery to a folder",
            arguments={"top": top},
        )
    if selection.patterns:
        raise GalleryError("can't search below glob patterns", collection.address)
    condition = milvus_rows.condition(selection)
    batch = max(1, MOST // top)
    hits = []
    for start in range(0, len(vectors), batch):
        found = collection.call(
            "search",
            data=list(vectors[start : start + batch]),
            filter=condition,
            limit=top,
            output_fields=FIELDS,
            anns_field=VECTOR,
            search_params={"metric_type": "IP", "params": {"nprobe": lists}},
        )
        hits += [[_hit(each) for each in some] for some in found]
    return [sorted(each, key=lambda hit: (-hit.score, hit.picture.id)) for each in hits]


def _hit(found: Any) -> Hit:
    row = {**found["entity"], "id": found["id"]}
    return Hit(milvus_rows.picture(row), float(found["distance"]))
