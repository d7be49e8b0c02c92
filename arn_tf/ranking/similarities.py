"""Ranks by given similarities, by the protocol of `arn_tf.ranking.protocol`."""

from collections.abc import Iterable

import numpy as np

from arn_tf.ranking import arguments, match_ranks, results
from arn_tf.ranking.arguments import DISTRACTOR
from arn_tf.ranking.results import RankingResult
from arn_tf.ranking.same_person import ByPerson


def rank(
    blocks: Iterable[np.ndarray],
    query_person: np.ndarray,
    gallery_person: np.ndarray,
    query_camera: np.ndarray,
    gallery_camera: np.ndarray,
    *,
    max_rank: int,
    junk: int,
) -> RankingResult:
    """Ranks the gallery for every query, and scores it.

    Args:
        blocks: float [<=Q, G] each, the queries in order, higher is better; written on.
        query_person: int64 [Q], at least 1.
        gallery_person: int64 [G], without junk.
        query_camera: int64 [Q].
        gallery_camera: int64 [G].
        max_rank: length of the CMC curve.
        junk: pictures that were dropped, for the result.

    Raises:
        ValueError: no query has a match.
    """
    pictures = ByPerson(gallery_person)
    ranks: list[np.ndarray] = []
    matches_of = np.zeros(len(query_person), np.int64)
    start = 0
    for similarity in blocks:
        stop = start + len(similarity)
        row, picture = pictures.pairs(query_person[start:stop])
        same_camera = gallery_camera[picture] == query_camera[start + row]
        # Behind everything, so never counted.
        similarity[row[same_camera], picture[same_camera]] = -np.inf
        row, picture = row[~same_camera], picture[~same_camera]
        before = match_ranks.count_before(similarity, row, picture)
        ranks.append(before[np.lexsort((before, row))] + 1)
        matches_of[start:stop] = np.bincount(row, minlength=len(similarity))
        start = stop
    if not matches_of.any():
        raise ValueError(
            arguments.no_match(query_person, gallery_person, query_camera, gallery_camera)
        )
    distractors = int(np.count_nonzero(gallery_person == DISTRACTOR))
    return results.of_ranks(
        np.concatenate(ranks), matches_of, max_rank, junk=junk, distractors=distractors
    )
