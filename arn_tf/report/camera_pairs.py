"""Scores of queries of one camera among gallery pictures of another, where persons are known."""

import dataclasses

import numpy as np

from arn_tf.ranking import protocol
from arn_tf.ranking.evaluation import Kept
from arn_tf.report import cameras

# Queries with a match, from which on a pair of cameras has a score.
LEAST_QUERIES = 10


@dataclasses.dataclass(frozen=True)
class Matrix:
    """Numbers of every pair of C cameras.

    Attributes:
        names: of the cameras.
        values: {name of a number: float64 [C, C]}, NaN where there are too few pictures.
        counts: int64 [C, C], what each was made from.
        of: what `counts` counts.
    """

    names: list[str]
    values: dict[str, np.ndarray]
    counts: np.ndarray
    of: str


def scores(kept: Kept) -> Matrix:
    """Returns rank-1 and mAP of queries of camera A (rows) in the gallery of camera B (columns).

    By `protocol.rank_gallery`, on those pictures alone: other cameras' are no distractors here.

    Args:
        kept: the model's embeddings of pictures whose persons are known.
    """
    query, gallery = kept.query, kept.gallery
    found = cameras.names(query, gallery)
    shape = len(found), len(found)
    values = {name: np.full(shape, np.nan) for name in ("rank-1", "mAP")}
    counts = np.zeros(shape, np.int64)
    for row, one in enumerate(found):
        asking = np.flatnonzero(query.camera_id == one)
        for column, other in enumerate(found):
            searched = np.flatnonzero(gallery.camera_id == other)
            matched = _with_match(kept, asking, searched)
            counts[row, column] = len(matched)
            if len(matched) < LEAST_QUERIES:
                continue
            result = protocol.rank_gallery(
                kept.query_embeddings[matched],
                kept.gallery_embeddings[searched],
                query.person_id[matched],
                gallery.person_id[searched],
                query.view_id[matched],
                gallery.view_id[searched],
                max_rank=1,
            )
            values["rank-1"][row, column] = result.rank(1)
            values["mAP"][row, column] = result.mean_ap
    return Matrix(list(found.values()), values, counts, "queries with a match")


def _with_match(kept: Kept, asking: np.ndarray, searched: np.ndarray) -> np.ndarray:
    """Returns those queries that have a match among some gallery pictures, seen in another view."""
    views: dict[int, set[int]] = {}
    gallery = kept.gallery
    persons, seen = gallery.person_id[searched].tolist(), gallery.view_id[searched].tolist()
    for person, view in zip(persons, seen, strict=True):
        views.setdefault(person, set()).add(view)
    rows = [
        row
        for row in asking.tolist()
        if views.get(int(kept.query.person_id[row]), set()) - {int(kept.query.view_id[row])}
    ]
    return np.array(rows, np.int64)
