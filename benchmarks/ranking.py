"""Times `arn_tf.ranking.protocol` against a plain full sort at the size of Market-1501.

    python -m benchmarks.ranking

3,368 queries and 19,732 gallery pictures (3,819 junk, 2,798 distractors) of 2048
numbers, synthetic. Two methods run on the same embeddings, each in a process of its own
so that the peak memory of one says nothing about the other:

- ours: `rank_gallery`;
- plain: the whole similarity matrix and a stable argsort of every row, in NumPy.

The matrix product that both need is timed alone as well, in both processes. Seconds on
the clock depend on what else the machine does, so those of the CPU (summed over its cores)
are printed beside them.
The two must find the same rank for every query and the same scores to 1e-9; the exit
status says so. Times are the best of three. Takes about two minutes and 2 GiB of memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from arn_tf.ranking import protocol
from serving import command

QUERIES, PERSONS, CAMERAS, WIDTH = 3368, 750, 6, 2048
MATCHABLE, DISTRACTORS, JUNK = 13115, 2798, 3819
BLOCK = 256
MAX_RANK = 20
REPEATS = 3
# What makes an embedding: its person, its camera (1) and the rest of the picture. With
# these the mAP is that of a model transferred from another network of cameras.
PERSON, NOISE = 1.3, 3.0


def make_arguments() -> dict[str, np.ndarray]:
    """Returns the arguments of `rank_gallery`, the same in every process."""
    random = np.random.default_rng(1501)
    persons = random.standard_normal((PERSONS + 1, WIDTH), np.float32)
    cameras = random.standard_normal((CAMERAS, WIDTH), np.float32)

    def embed(person: np.ndarray, camera: np.ndarray) -> np.ndarray:
        embeddings = random.standard_normal((person.size, WIDTH), np.float32)
        for row, embedding in enumerate(embeddings):
            embedding *= NOISE
            embedding += cameras[camera[row]]
            if person[row] > 0:
                embedding += PERSON * persons[person[row]]
        return embeddings

    query_person = np.arange(QUERIES) % PERSONS + 1
    gallery_person = np.repeat(
        [1, protocol.DISTRACTOR, protocol.JUNK], [MATCHABLE, DISTRACTORS, JUNK]
    )
    gallery_person[:MATCHABLE] = np.arange(MATCHABLE) % PERSONS + 1
    random.shuffle(gallery_person)
    query_camera = random.integers(0, CAMERAS, query_person.size)
    gallery_camera = random.integers(0, CAMERAS, gallery_person.size)
    return {
        "query_embeddings": embed(query_person, query_camera),
        "gallery_embeddings": embed(gallery_person, gallery_camera),
        "query_person_id": query_person,
        "gallery_person_id": gallery_person,
        "query_camera_id": query_camera,
        "gallery_camera_id": gallery_camera,
    }


def product(
    query_embeddings: np.ndarray,
    gallery_embeddings: np.ndarray,
    gallery_person_id: np.ndarray,
    **_: np.ndarray,
) -> None:
    """Computes the similarities alone, in blocks."""
    gallery = gallery_embeddings[gallery_person_id != protocol.JUNK]
    block = np.empty((BLOCK, len(gallery)), np.float32)
    for start in range(0, len(query_embeddings), BLOCK):
        part = query_embeddings[start : start + BLOCK]
        np.matmul(part, gallery.T, out=block[: len(part)])


def ours(**arguments: np.ndarray) -> dict[str, Any]:
    """Returns the scores of `rank_gallery` by name, and the rank of each query's first match."""
    result = protocol.rank_gallery(**arguments, max_rank=MAX_RANK, block=BLOCK)
    return result.to_json() | {"first_match_rank": result.first_match_rank.tolist()}


def plain(
    query_embeddings: np.ndarray,
    gallery_embeddings: np.ndarray,
    query_person_id: np.ndarray,
    gallery_person_id: np.ndarray,
    query_camera_id: np.ndarray,
    gallery_camera_id: np.ndarray,
) -> dict[str, Any]:
    """Returns the same as `ours`, by a full sort of the gallery, as most evaluation code does."""
    keep = gallery_person_id != protocol.JUNK
    person, camera = gallery_person_id[keep], gallery_camera_id[keep]
    query = query_embeddings / np.linalg.norm(query_embeddings, axis=1, keepdims=True)
    gallery = gallery_embeddings[keep]
    gallery = gallery / np.linalg.norm(gallery, axis=1, keepdims=True)
    order = np.argsort(-(query @ gallery.T), axis=1, kind="stable")

    first, precisions, trapezoids, penalties = [], [], [], []
    for i, row in enumerate(order):
        same = person[row] == query_person_id[i]
        flags = same[~(same & (camera[row] == query_camera_id[i]))]
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
        "distractors": int(np.sum(person == protocol.DISTRACTOR)),
        "first_match_rank": first,
    }


METHODS: dict[str, Callable[..., dict[str, Any]]] = {"ours": ours, "plain": plain}


def peak_mib() -> float:
    """Returns the largest resident memory that this process had, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def timed(
    function: Callable[..., Any], arguments: dict[str, np.ndarray]
) -> tuple[tuple[float, float], Any]:
    """Returns (seconds on the clock, seconds of CPU), and what the function returns."""
    start = time.perf_counter(), time.process_time()
    result = function(**arguments)
    return (time.perf_counter() - start[0], time.process_time() - start[1]), result


def measure(method: str) -> dict[str, Any]:
    """Returns best seconds, peak memory before and after, and scores; runs in a child process.

    Args:
        method: a key of `METHODS`.
    """
    arguments = make_arguments()
    before = peak_mib()
    products, runs = [], []
    for _ in range(REPEATS):
        products.append(timed(product, arguments)[0])
        seconds, scores = timed(METHODS[method], arguments)
        runs.append(seconds)
    return {
        "product": np.min(products, axis=0).tolist(),
        "seconds": np.min(runs, axis=0).tolist(),
        "before": before,
        "peak": peak_mib(),
        "scores": scores,
    }


def main() -> int:
    """Measures both methods and prints a report; returns 1 where they disagree, or 0."""
    results = []
    for method in METHODS:
        command = [sys.executable, "-m", "benchmarks.ranking", f"--child={method}"]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        results.append(json.loads(output))
        clock, cpu = results[-1]["seconds"]
        product_clock, product_cpu = results[-1]["product"]
        peak, before = results[-1]["peak"], results[-1]["before"]
        print(
            f"{method:>5}: {clock:.2f} s ({cpu:.2f} s of CPU), the matrix product alone "
            f"{product_clock:.2f} s ({product_cpu:.2f} s of CPU); "
            f"peak {peak:.0f} MiB, {peak - before:.0f} MiB above the embeddings"
        )
    ours, plain = results
    clock, cpu = np.array(plain["seconds"]) / ours["seconds"]
    print(f"plain / ours: {clock:.1f} on the clock, {cpu:.1f} of CPU")
    rest = [result["seconds"][1] - result["product"][1] for result in results]
    if min(rest) > 0:
        print(f"plain / ours: {rest[1] / rest[0]:.1f} of CPU without the matrix product")

    ranks = [np.array(result["scores"].pop("first_match_rank")) for result in results]
    print(json.dumps(ours["scores"], indent=1))
    worst = max(abs(ours["scores"][name] - plain["scores"][name]) for name in ours["scores"])
    moved = int(np.sum(ranks[0] != ranks[1]))
    print(f"largest difference of a score {worst:.1e}; first matches at another rank: {moved}")
    return int(worst > 1e-9 or moved > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--child", choices=METHODS, help=argparse.SUPPRESS)
    child = parser.parse_args().child
    command.run(lambda: print(json.dumps(measure(child))) if child else sys.exit(main()))
