"""Times `arn_tf.ranking.protocol` against a plain full sort at the size of Market-1501.

    python -m benchmarks.ranking

3,368 queries and 19,732 gallery pictures (3,819 junk, 2,798 distractors) of 2048
numbers, synthetic. Two methods run on the same embeddings, each in a process of its own
so that the peak memory of one says nothing about the other:

- ours: `rank_gallery`;
- plain: the whole similarity matrix and a stable argsort of every row, in NumPy.

The matrix product that both need is timed alone in turns with them, and then what each does with
given similarities: `similarities.rank`, and the argsort. Seconds on the clock depend on what else
the machine does, so seconds are of the CPU, summed over its cores, and medians of the rounds.
The two must find the same rank for every query, and of the same similarities the same scores to
1e-9; the exit status says so. Takes about two minutes and 2 GiB of memory.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from arn_tf.ranking import protocol, similarities
from arn_tf.ranking.results import RankingResult
from benchmarks import children, market_size, plain_ranking, report, sharded_gallery
from benchmarks.market_size import DISTRACTORS, JUNK, MATCHABLE, QUERIES, WIDTH
from benchmarks.report import Report, Target
from serving import command

BLOCK = 256
MAX_RANK = 20
ROUNDS = 5
RATIO, LESS = 1.3, 25


def product(
    query_embeddings: np.ndarray,
    gallery_embeddings: np.ndarray,
    gallery_person_id: np.ndarray,
    **_: np.ndarray,
) -> None:
    """Computes the similarities alone, in blocks."""
    sharded_gallery.multiply(
        query_embeddings, gallery_embeddings[gallery_person_id != protocol.JUNK]
    )


def ours(**arguments: np.ndarray) -> dict[str, Any]:
    """Returns the scores of `rank_gallery` by name, and the rank of each query's first match."""
    return _scores(protocol.rank_gallery(**arguments, max_rank=MAX_RANK, block=BLOCK))


def ours_given(
    similarity: np.ndarray,
    *,
    query_person_id: np.ndarray,
    gallery_person_id: np.ndarray,
    query_camera_id: np.ndarray,
    gallery_camera_id: np.ndarray,
    **_: np.ndarray,
) -> dict[str, Any]:
    """Returns the scores by given similarities by name, and the rank of each first match."""
    keep = gallery_person_id != protocol.JUNK
    result = similarities.rank(
        (similarity[start : start + BLOCK] for start in range(0, len(similarity), BLOCK)),
        query_person_id,
        gallery_person_id[keep],
        query_camera_id,
        gallery_camera_id[keep],
        max_rank=MAX_RANK,
        junk=int(np.count_nonzero(~keep)),
    )
    return _scores(result)


def _scores(result: RankingResult) -> dict[str, Any]:
    return result.to_json() | {"first_match_rank": result.first_match_rank.tolist()}


# All of it, and what is done with given similarities.
METHODS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "ours": (ours, ours_given),
    "plain": (plain_ranking.rank, plain_ranking.argsort),
}


def peak_mib() -> float:
    """Returns the largest resident memory that this process had, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def timed(function: Callable[..., Any], *given: Any, **arguments: Any) -> tuple[float, Any]:
    """Returns seconds of CPU, and what the function returns."""
    start = time.process_time()
    result = function(*given, **arguments)
    return time.process_time() - start, result


def measure(method: str) -> dict[str, Any]:
    """Returns median seconds, peak memory and scores; runs in a child process.

    Args:
        method: a key of `METHODS`.
    """
    whole, given = METHODS[method]
    arguments = market_size.make_arguments()
    before = peak_mib()
    rounds = []
    for _ in range(ROUNDS):
        product_seconds = timed(product, **arguments)[0]
        seconds, scored = timed(whole, **arguments)
        rounds.append((product_seconds, seconds, seconds / product_seconds))
    peak = peak_mib()
    similarity = plain_ranking.similarities(**arguments)
    sorting = []
    for _ in range(ROUNDS):
        seconds, found = timed(given, similarity, **arguments)
        sorting.append(seconds)
    names = ("product", "seconds", "ratio")
    return dict(zip(names, np.median(rounds, axis=0).tolist(), strict=True)) | {
        "given": float(np.median(sorting)),
        "above": peak - before,
        "peak": peak,
        "first": scored["first_match_rank"],
        # Of the same similarities: products of blocks and of the whole round apart.
        "scores": found if method == "ours" else scored,
    }


def main(path: str | None) -> int:
    """Measures both methods and reports; returns 1 where they disagree, or 0.

    Args:
        path: of a JSON file for the report, or nothing.
    """
    machine = report.machine()
    results = {}
    for method in METHODS:
        results[method] = children.answer("benchmarks.ranking", [f"--child={method}"])
    scores = [result["scores"] for result in results.values()]
    first = [np.array(each.pop("first_match_rank")) for each in scores]
    worst = max(abs(scores[0][name] - scores[1][name]) for name in scores[0])
    # By given similarities, and by each method's own.
    whole = [np.array(result["first"]) for result in results.values()]
    moved = int(np.sum(first[0] != first[1]) + np.sum(whole[0] != whole[1]))
    names = ("seconds", "product", "ratio", "given", "peak", "above")
    ratio = results["ours"]["ratio"]
    less = results["plain"]["given"] / results["ours"]["given"]
    found = Report(
        (
            "method",
            "CPU s",
            "product, CPU s",
            "ratio",
            "similarities given, CPU s",
            "peak MiB",
            "above the embeddings MiB",
        ),
        [(method, *(result[name] for name in names)) for method, result in results.items()],
        [
            f"{QUERIES:,} queries x {MATCHABLE + DISTRACTORS:,} gallery pictures, and {JUNK:,} "
            f"junk, of {WIDTH} numbers. Medians of {ROUNDS} rounds. With similarities given, plain "
            "is a stable argsort of every row alone.",
            f"Both give rank-1 {scores[0]['rank-1']:.1%} and mAP {scores[0]['mean_ap']:.1%}: "
            f"largest difference of a score {worst:.1e}, first matches at another rank: {moved}.",
        ],
        [
            Target("ranking to the product", RATIO, ratio, at_most=True),
            Target("argsort to ranking, similarities given", LESS, less),
        ],
    )
    report.finish(found, machine, path)
    return int(worst > 1e-9 or moved > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--child", choices=METHODS, help=argparse.SUPPRESS)
    report.add_flag(parser)
    given_flags = parser.parse_args()
    if given_flags.child:
        command.run(lambda: print(json.dumps(measure(given_flags.child))))
    else:
        command.run(lambda: sys.exit(main(given_flags.json)))
