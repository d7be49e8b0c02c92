"""Which ranked lists a page shows: the best and the worst of the model."""

import dataclasses

import numpy as np

from arn_tf.ranking import protocol
from arn_tf.ranking.arguments import units_of
from arn_tf.ranking.evaluation import Kept
from arn_tf.ranking.results import RankingResult
from arn_tf.report.neighbours import Neighbours

COUNT, LENGTH = 8, 10


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A query and what is most similar to it.

    Attributes:
        query: its row.
        score: what it was chosen by: average precision, or the similarity of its nearest.
        rows: int64 [<=LENGTH], of the gallery.
        similarity: float [<=LENGTH], cosines.
        correct: bool [<=LENGTH]; None where persons are unknown.
    """

    query: int
    score: float
    rows: np.ndarray
    similarity: np.ndarray
    correct: np.ndarray | None


def by_precision(kept: Kept, result: RankingResult) -> tuple[list[Ranked], list[Ranked]]:
    """Returns the lists of highest and of lowest average precision, one for a person if they do.

    Args:
        kept: the model's embeddings of pictures whose persons are known.
        result: their scores.
    """
    valid = np.flatnonzero(result.first_match_rank > 0)
    order = valid[np.argsort(-result.average_precision[valid], kind="stable")]
    best, worst = _ends(order, kept.query.person_id)

    def ranked(row: int) -> Ranked:
        person = int(kept.query.person_id[row])
        rows, similarity = protocol.ranked_list(
            kept.query_embeddings[row],
            kept.gallery_embeddings,
            person,
            kept.gallery.person_id,
            int(kept.query.view_id[row]),
            kept.gallery.view_id,
            k=LENGTH,
        )
        correct = kept.gallery.person_id[rows] == person
        return Ranked(row, float(result.average_precision[row]), rows, similarity, correct)

    return [ranked(row) for row in best], [ranked(row) for row in worst]


def by_similarity(kept: Kept, found: Neighbours) -> tuple[list[Ranked], list[Ranked]]:
    """Returns the lists of the most and of the least similar mutual nearest neighbours.

    Args:
        kept: the model's embeddings of pictures of unknown persons.
        found: their neighbours.
    """
    mutual = found.mutual()
    order = mutual[np.argsort(-found.similarity[mutual], kind="stable")]
    best, worst = _ends(order, np.arange(len(kept.query)))
    camera = kept.query.camera_id
    units = units_of("query_embeddings", kept.query_embeddings)

    def ranked(row: int) -> Ranked:
        others = np.arange(len(camera)) != row
        if found.matrix is not None:
            others = (camera != camera[row]) & (camera >= 0)
        rows = np.flatnonzero(others)
        similarity = units[rows] @ units[row]
        first = np.argsort(-similarity, kind="stable")[:LENGTH]
        return Ranked(row, float(found.similarity[row]), rows[first], similarity[first], None)

    return [ranked(row) for row in best], [ranked(row) for row in worst]


def _ends(order: np.ndarray, persons: np.ndarray) -> tuple[list[int], list[int]]:
    """Returns the first and the last of some rows, none in both, and few of one person."""
    best = _distinct(order[: (len(order) + 1) // 2].tolist(), persons)
    worst = _distinct(order[(len(order) + 1) // 2 :][::-1].tolist(), persons)
    return best, worst


def _distinct(rows: list[int], persons: np.ndarray) -> list[int]:
    firsts: dict[int, int] = {}
    for row in rows:
        firsts.setdefault(int(persons[row]), row)
    chosen = set(list(firsts.values())[:COUNT])
    # Fewer persons than lists: some have several.
    for row in rows:
        if len(chosen) >= min(COUNT, len(rows)):
            break
        chosen.add(row)
    return [row for row in rows if row in chosen]
