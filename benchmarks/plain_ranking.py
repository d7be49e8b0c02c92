"""Ranking by the whole similarity matrix and a full sort of every row, as most code does it."""

from typing import Any

import numpy as np

from arn_tf.ranking.arguments import DISTRACTOR, JUNK


def similarities(
    query_embeddings: np.ndarray,
    gallery_embeddings: np.ndarray,
    gallery_person_id: np.ndarray,
    **_: np.ndarray,
) -> np.ndarray:
    """Returns the whole matrix, without junk."""
    query = query_embeddings / np.linalg.norm(query_embeddings, axis=1, keepdims=True)
    gallery = gallery_embeddings[gallery_person_id != JUNK]
    return query @ (gallery / np.linalg.norm(gallery, axis=1, keepdims=True)).T


def argsort(similarity: np.ndarray, **_: np.ndarray) -> np.ndarray:
    """Returns the order of every row, by a stable argsort."""
    return np.argsort(-similarity, axis=1, kind="stable")


def rank(**arguments: np.ndarray) -> dict[str, Any]:
    """Returns the scores by name, and the rank of each query's first match."""
    keep = arguments["gallery_person_id"] != JUNK
    person = arguments["gallery_person_id"][keep]
    camera = arguments["gallery_camera_id"][keep]
    order = argsort(similarities(**arguments))

    first, precisions, trapezoids, penalties = [], [], [], []
    queries = zip(arguments["query_person_id"], arguments["query_camera_id"], order, strict=True)
    for query_person, query_camera, row in queries:
        same = person[row] == query_person
        flags = same[~(same & (camera[row] == query_camera))]
        ranks = np.flatnonzero(flags) + 1
        if not ranks.size:
            first.append(0)
            continue
        precision = np.cumsum(flags) / np.arange(1, flags.size + 1)
        before = np.concatenate([[1.0], precision[:-1]])
        first.append(int(ranks[0]))
        precisions.append(precision[ranks - 1].mean())
        trapezoids.append((precision + before)[ranks - 1].mean() / 2)
        penalties.append(ranks.size / ranks[-1])
    valid = np.array([rank for rank in first if rank])
    return {f"rank-{k}": float(np.mean(valid <= k)) for k in (1, 5, 10, 20)} | {
        "mean_ap": float(np.mean(precisions)),
        "mean_ap_trapezoid": float(np.mean(trapezoids)),
        "mean_inp": float(np.mean(penalties)),
        "queries": len(first),
        "valid_queries": valid.size,
        "junk": int(np.sum(~keep)),
        "distractors": int(np.sum(person == DISTRACTOR)),
        "first_match_rank": first,
    }
