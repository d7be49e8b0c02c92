"""Scores tracklets instead of pictures, as MARS (Zheng et al., ECCV 2016) scores video re-ID.

Queries and gallery entries are tracklets, what one tracker held together in one camera. The
embedding of one is the mean of those of its pictures, each of unit length. The rest is the protocol
of `arn_tf.ranking.protocol`: a match is a tracklet of the query's person by another camera. A
picture without a tracklet is a tracklet of one, so that without tracklets the scores are those of
pictures. Junk pictures stay apart from others of their tracklet, and are dropped as ever.
"""

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from arn_tf.errors import UserError
from arn_tf.ranking import arguments, protocol, scores
from arn_tf.ranking.evaluation import Kept, Row

_KEY, _TITLE = "_by_tracklet", ", by tracklet"


def row(kept: Kept, key: str) -> tuple[Row | None, list[str]]:
    """Returns the row by tracklet of the model that a run keeps.

    Args:
        kept: pictures whose persons are known, and their embeddings.
        key: of the model's own row.

    Returns:
        the row, None where no picture has a tracklet or no tracklet can be scored; and what a
        reader must know, a list of sentences.

    Raises:
        UserError: embeddings are not finite, or those of a tracklet cancel out.
    """
    query, gallery = kept.query, kept.gallery
    if not (_has_tracklets(query) or _has_tracklets(gallery)):
        return None, []
    units = [_units(split) for split in (query, gallery)]
    firsts = [np.unique(unit, return_index=True)[1] for unit in units]
    views = _views(query, gallery, units, firsts)
    person_id = [query.person_id[firsts[0]], gallery.person_id[firsts[1]]]
    notes = _of_several_persons(query, gallery)
    if not _has_match(person_id, views):
        return None, [*notes, "no query tracklet has a match, so there is no row by tracklet"]
    try:
        result = protocol.rank_gallery(
            _sums("query_embeddings", kept.query_embeddings, units[0]),
            _sums("gallery_embeddings", kept.gallery_embeddings, units[1]),
            *person_id,
            *views,
        )
    except ValueError as error:
        raise UserError(f"the tracklets can't be scored: {error}") from error
    return Row(key + _KEY, kept.title + _TITLE, result), notes


def counts(by_tracklet: Row) -> str:
    """Returns a sentence on how many tracklets the row of `row` was made from."""
    result = by_tracklet.result
    return (
        f"By tracklet: {result.valid_queries} of {result.queries} query tracklets have a match and "
        "count; each is searched for and found by its mean embedding."
    )


def _has_tracklets(split: scores.Split) -> bool:
    return split.tracklet is not None and bool((split.tracklet >= 0).any())


def _own(split: scores.Split) -> np.ndarray:
    """Returns int64 [N], the tracklet of each picture, numbers below zero where it has none."""
    alone = -1 - np.arange(len(split))
    return alone if split.tracklet is None else np.where(split.tracklet < 0, alone, split.tracklet)


def _units(split: scores.Split) -> np.ndarray:
    """Returns int64 [N], the unit of each picture, from 0, in the order of their first pictures.

    A unit has one tracklet, one person and one camera.
    """
    keys = np.stack([_own(split), split.person_id, split.camera_id], axis=1)
    _, first, unit = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    # Equal similarities then rank as those of pictures do.
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return place[unit.ravel()]


def _sums(name: str, embeddings: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Returns float [U, D], which have the direction of the units' means.

    Raises:
        ValueError: as `arguments.units_of`.
    """
    vectors = arguments.units_of(name, embeddings)
    ones = np.ones(len(unit), vectors.dtype)
    shape = unit.max() + 1, len(unit)
    return sparse.csr_matrix((ones, (unit, np.arange(len(unit)))), shape=shape) @ vectors


def _views(
    query: scores.Split, gallery: scores.Split, units: list[np.ndarray], firsts: list[np.ndarray]
) -> list[np.ndarray]:
    """Returns the view of each unit, int64: its camera, or what shares no picture with others."""
    splits = (query, gallery)
    if query.views is None or gallery.views is None:
        return [each.view_id[first] for each, first in zip(splits, firsts, strict=True)]
    count = len(firsts[0]), len(firsts[1])
    nodes = np.concatenate([units[0], count[0] + units[1]])
    _, picture = np.unique(np.concatenate([query.views, gallery.views]), return_inverse=True)
    size = sum(count) + int(picture.max()) + 1
    edges = np.ones(len(nodes)), (nodes, sum(count) + picture)
    graph = sparse.coo_matrix(edges, shape=(size, size))
    joined = csgraph.connected_components(graph, directed=False)[1].astype(np.int64)
    return [joined[: count[0]], joined[count[0] : sum(count)]]


def _has_match(person_id: list[np.ndarray], views: list[np.ndarray]) -> bool:
    seen: dict[int, set[int]] = {}
    for person, view in zip(person_id[1].tolist(), views[1].tolist(), strict=True):
        seen.setdefault(person, set()).add(view)
    asked = zip(person_id[0].tolist(), views[0].tolist(), strict=True)
    return any(seen.get(person, set()) - {view} for person, view in asked)


def _of_several_persons(query: scores.Split, gallery: scores.Split) -> list[str]:
    """Returns a sentence on tracklets that hold more than one person, if there are any."""
    examples: list[str] = []
    count = 0
    for split in (query, gallery) if gallery is not query else (query,):
        known = np.flatnonzero(split.person_id > 0)
        tracklet = _own(split)[known]
        pairs = np.unique(np.stack([tracklet, split.person_id[known]], axis=1), axis=0)
        numbers, persons = np.unique(pairs[:, 0], return_counts=True)
        mixed = numbers[persons > 1]
        count += len(mixed)
        examples += [split.file_name[known[tracklet == number][0]] for number in mixed[:1]]
    if not count:
        return []
    return [
        f"{count} tracklets hold pictures of more than one person, such as that of {examples[0]}; "
        "each counts as one tracklet for each person"
    ]
