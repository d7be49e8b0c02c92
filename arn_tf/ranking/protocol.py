"""Ranks a gallery for every query and scores it: CMC, mAP and mINP.

The single-query protocol of Market-1501 (Zheng et al., ICCV 2015) and DukeMTMC-reID:

- similarity is the cosine of the two embeddings;
- gallery pictures of person -1 (junk) are neither right nor wrong and are dropped;
- gallery pictures of person 0 (distractors) stay, and are always wrong;
- gallery pictures of the query's person from the query's own camera are left out for
  that query; a match is the same person seen by another camera;
- a query without any match enters no average, and is counted.

Equal similarities rank by gallery row, as a stable sort would have it. There is no sort
of the gallery, though: what the scores need is only where the matches stand, and a
match's rank is a count of the pictures in front of it.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from arn_tf.ranking import arguments, similarities
from arn_tf.ranking.arguments import JUNK
from arn_tf.ranking.results import RankingResult


class Distance(Protocol):
    """What `rank_gallery` takes as `distance`; `arn_tf.ranking.reranking.rerank` is one."""

    def __call__(
        self, query: np.ndarray, gallery: np.ndarray, /, *, block: int
    ) -> Iterator[np.ndarray]:
        """Yields distances float [<=block, G], the queries in order.

        Args:
            query: float [Q, D] of unit length.
            gallery: float [G, D] of unit length, without junk.
            block: queries in each array but the last.
        """


def rank_gallery(
    query_embeddings: npt.ArrayLike,
    gallery_embeddings: npt.ArrayLike,
    query_person_id: npt.ArrayLike,
    gallery_person_id: npt.ArrayLike,
    query_camera_id: npt.ArrayLike,
    gallery_camera_id: npt.ArrayLike,
    *,
    max_rank: int = 20,
    block: int = 256,
    distance: Distance | None = None,
) -> RankingResult:
    """Ranks the gallery for every query under the protocol of this module, and scores it.

    Memory beside the arguments: one normalised copy of the embeddings, (Q + G) * D
    numbers, and one block of similarities, `block` * G numbers. Numbers are float32,
    or float64 when an argument is wider than float32.

    Args:
        query_embeddings: real [Q, D], of any length above zero; normalised here.
        gallery_embeddings: real [G, D].
        query_person_id: integers [Q], at least 1.
        gallery_person_id: integers [G]; -1 is junk, 0 a distractor.
        query_camera_id: integers [Q].
        gallery_camera_id: integers [G].
        max_rank: length of the CMC curve; it may exceed the size of the gallery.
        block: queries compared with the gallery at a time.
        distance: ranks by these distances instead of cosine similarity, smallest first. It
            is called once, `distance(query, gallery, block=block)`, with the normalised
            embeddings, the gallery's without junk; `arn_tf.ranking.reranking.rerank` is one.

    Raises:
        ValueError: an argument has a wrong shape, type or value (it is named, with the
            row where there is one), or no query has a match.
    """
    max_rank = arguments.positive("max_rank", max_rank)
    block = arguments.positive("block", block)
    query = arguments.embeddings("query_embeddings", query_embeddings)
    gallery = arguments.embeddings("gallery_embeddings", gallery_embeddings)
    dtype = arguments.common_dtype(query, gallery)
    query_person = arguments.ids("query_person_id", query_person_id, query, 1)
    query_camera = arguments.ids("query_camera_id", query_camera_id, query)
    gallery_person = arguments.ids("gallery_person_id", gallery_person_id, gallery, JUNK)
    gallery_camera = arguments.ids("gallery_camera_id", gallery_camera_id, gallery)

    keep = gallery_person != JUNK
    query = arguments.unit_rows("query_embeddings", query, dtype, np.full(len(query), True))
    gallery = arguments.unit_rows("gallery_embeddings", gallery, dtype, keep)
    gallery_person, gallery_camera = gallery_person[keep], gallery_camera[keep]

    return similarities.rank(
        _similarities(query, gallery, block, distance),
        query_person,
        gallery_person,
        query_camera,
        gallery_camera,
        max_rank=max_rank,
        junk=int(np.count_nonzero(~keep)),
    )


def ranked_list(
    query_embedding: npt.ArrayLike,
    gallery_embeddings: npt.ArrayLike,
    query_person_id: int,
    gallery_person_id: npt.ArrayLike,
    query_camera_id: int,
    gallery_camera_id: npt.ArrayLike,
    *,
    k: int = 10,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first k gallery pictures of one query, in the order of `rank_gallery`.

    Args:
        query_embedding: real [D], of any length above zero.
        gallery_embeddings: real [G, D].
        query_person_id: at least 1.
        gallery_person_id: integers [G]; -1 is junk, 0 a distractor.
        query_camera_id: the query's camera.
        gallery_camera_id: integers [G].
        k: length of the list; it is shorter when fewer pictures take part.

    Returns:
        rows: int64 [k], rows of `gallery_embeddings`, without junk and without pictures
            of the query's person from its camera.
        similarity: float [k], their cosine similarity, descending.

    Raises:
        ValueError: an argument has a wrong shape, type or value; it is named.
    """
    k = arguments.positive("k", k)
    query = arguments.embeddings("query_embedding", query_embedding, ndim=1)
    gallery = arguments.embeddings("gallery_embeddings", gallery_embeddings)
    dtype = arguments.common_dtype(query, gallery)
    person = arguments.ids("query_person_id", [query_person_id], query, 1)
    camera = arguments.ids("query_camera_id", [query_camera_id], query)
    gallery_person = arguments.ids("gallery_person_id", gallery_person_id, gallery, JUNK)
    gallery_camera = arguments.ids("gallery_camera_id", gallery_camera_id, gallery)

    keep = (gallery_person != JUNK) & ((gallery_person != person) | (gallery_camera != camera))
    query = arguments.unit_rows("query_embedding", query, dtype, np.array([True]))
    scores = arguments.unit_rows("gallery_embeddings", gallery, dtype, keep) @ query[0]
    rows = np.flatnonzero(keep)
    if rows.size > k:
        # All that reach the k-th best score: some may equal it, and then the first rows win.
        reach = scores >= np.partition(scores, -k)[-k]
        rows, scores = rows[reach], scores[reach]
    best = np.argsort(-scores, kind="stable")[:k]
    return rows[best], scores[best]


def _similarities(
    query: np.ndarray, gallery: np.ndarray, block: int, distance: Distance | None
) -> Iterator[np.ndarray]:
    """Yields what to rank by, highest first, [<=block, gallery]; the caller may write on it."""
    starts = range(0, len(query), block)
    if distance is None or not len(gallery):
        similarity = np.empty((min(block, len(query)), len(gallery)), query.dtype)
        for start in starts:
            part = query[start : start + block]
            yield np.matmul(part, gallery.T, out=similarity[: len(part)])
        return
    for start, part in zip(starts, distance(query, gallery, block=block), strict=True):
        shape = len(query[start : start + block]), len(gallery)
        if part.shape != shape or not np.isfinite(part).all():
            raise ValueError(f"distance must yield finite {shape} for row {start}, not {part!r}")
        yield np.negative(part)
