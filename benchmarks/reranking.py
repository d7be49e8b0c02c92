"""Times `arn_tf.ranking.reranking` against a dense implementation, up to the size of Market-1501.

    python -m benchmarks.reranking

Synthetic embeddings of 512 numbers (persons, cameras and noise), every seventh image a
query. Each line is a process of its own, so that its peak memory is its own:

- 5,000 images: `rerank`, `jaccard_distance`, and a dense implementation in NumPy that does
  what the authors' code does (several N x N arrays, a full sort of every row, loops);
- 23,100 images, the query and gallery of Market-1501 with junk: `rerank` and
  `jaccard_distance`, and DBSCAN on the latter. `--width=2048` is the width of ResNet-50.

The dense distances must agree to 1e-5 up to a thousandth of the pairs (float32 rounds
some neighbours differently); the exit status says so. Takes about two minutes and 1.2 GiB.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from arn_tf.ranking import reranking
from arn_tf.strong import clustering
from benchmarks.ranking import peak_mib
from serving import command

SMALL, LARGE = 5000, 23100
RUNS = [
    ("rerank", SMALL),
    ("dense", SMALL),
    ("jaccard", SMALL),
    ("rerank", LARGE),
    ("jaccard", LARGE),
    ("cluster", LARGE),
]
IMAGES_OF_A_PERSON, CAMERAS, QUERY_SHARE = 20, 6, 7
# What makes an embedding: its person, its camera (1) and the rest of the picture. At 512
# numbers most persons become clusters, and most clusters are right.
PERSON, NOISE = 1.3, 2.0
K1, K2, LAMBDA = 20, 6, 0.3
TOLERANCE, MOVED = 1e-5, 1e-3


def make_embeddings(images: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns float32 [images, width] and the camera of each, the same in every process."""
    random = np.random.default_rng(1501)
    persons = random.standard_normal((images // IMAGES_OF_A_PERSON, width), np.float32)
    cameras = random.standard_normal((CAMERAS, width), np.float32)
    camera = random.integers(0, CAMERAS, images)
    embeddings = random.standard_normal((images, width), np.float32)
    for row, embedding in enumerate(embeddings):
        embedding *= NOISE
        embedding += cameras[camera[row]] + PERSON * persons[row % len(persons)]
    return embeddings, camera


def rerank(embeddings: np.ndarray, camera: np.ndarray) -> np.ndarray | str:
    """Re-ranks; returns the distances of few images, or how many queries there were."""
    queries = len(embeddings) // QUERY_SHARE
    query, gallery = embeddings[:queries], embeddings[queries:]
    if len(embeddings) == SMALL:
        return np.concatenate(list(reranking.rerank(query, gallery)))
    return f"{sum(len(part) for part in reranking.rerank(query, gallery))} queries"


def jaccard(embeddings: np.ndarray, camera: np.ndarray) -> str:
    """Computes the graph of Jaccard distances; returns how many pairs it holds."""
    return f"{reranking.jaccard_distance(embeddings).nnz} pairs within the radius"


def cluster(embeddings: np.ndarray, camera: np.ndarray) -> str:
    """Clusters the images; returns the counts and how pure the clusters are."""
    labels, counts = clustering.cluster(embeddings, camera)
    person = np.arange(len(labels)) % (len(labels) // IMAGES_OF_A_PERSON)
    return f"{counts}, purity {clustering.purity(labels, person):.2f}"


def dense(embeddings: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Returns the re-ranked distances by the algorithm as the authors' code has it."""
    queries, images = len(embeddings) // QUERY_SHARE, len(embeddings)
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    distance = 2 - 2 * units @ units.T
    distance /= distance.max(axis=1, keepdims=True)
    np.fill_diagonal(distance, -1)
    rank = np.argsort(distance, axis=1, kind="stable").astype(np.int32)
    np.fill_diagonal(distance, 0)

    def mutual(p: int, k: int) -> np.ndarray:
        forward = rank[p, : k + 1]
        return forward[(rank[forward, : k + 1] == p).any(axis=1)]

    half = round(K1 / 2)
    vectors = np.zeros((images, images), np.float32)
    for p in range(images):
        near = mutual(p, K1)
        expanded = [near]
        for q in near:
            more = mutual(q, half)
            if 3 * np.isin(more, near).sum() > 2 * len(more):
                expanded.append(more)
        members = np.unique(np.concatenate(expanded))
        weight = np.exp(-distance[p, members])
        vectors[p, members] = weight / weight.sum()
    averaged = np.empty_like(vectors)
    for p in range(images):
        averaged[p] = vectors[rank[p, :K2]].mean(axis=0)
    holders = [np.flatnonzero(averaged[:, j]) for j in range(images)]
    final = np.empty((queries, images), np.float32)
    for p in range(queries):
        common = np.zeros(images, np.float32)
        for j in np.flatnonzero(averaged[p]):
            common[holders[j]] += np.minimum(averaged[p, j], averaged[holders[j], j])
        final[p] = (1 - LAMBDA) * (1 - common / (2 - common)) + LAMBDA * distance[p]
    return final[:, queries:]


METHODS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray | str]] = {
    "rerank": rerank,
    "jaccard": jaccard,
    "cluster": cluster,
    "dense": dense,
}


def measure(method: str, images: int, width: int, path: str) -> None:
    """Measures one method, in a child process.

    Args:
        method: a key of `METHODS`.
        images: their number.
        width: numbers in an embedding.
        path: of the JSON file to write, with seconds, memory and a note; distances are written
            beside it.
    """
    embeddings, camera = make_embeddings(images, width)
    before = peak_mib()
    start = time.perf_counter(), time.process_time()
    result = METHODS[method](embeddings, camera)
    seconds = time.perf_counter() - start[0], time.process_time() - start[1]
    found: dict[str, object] = {"seconds": seconds, "above": peak_mib() - before, "note": result}
    if isinstance(result, np.ndarray):
        np.save(path + ".npy", result)
        found["note"] = f"{len(result)} queries"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file)


def main(width: int) -> int:
    """Measures every method and prints a report; returns 1 where two disagree, or 0."""
    distances = {}
    with tempfile.TemporaryDirectory() as folder:
        for method, images in RUNS:
            path = os.path.join(folder, f"{method}{images}")
            command = [sys.executable, "-m", "benchmarks.reranking", f"--width={width}"]
            command += [f"--child={method},{images},{path}"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # progress bars
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
            clock, cpu = found["seconds"]
            print(
                f"{images:>6} images, {method:>7}: {clock:.1f} s ({cpu:.1f} s of CPU), "
                f"{found['above']:.0f} MiB above the embeddings; "
                f"one N x N of float32 is {images**2 / 2**18:.0f} MiB; {found['note']}",
                flush=True,
            )
            if os.path.exists(path + ".npy"):
                distances[method] = np.load(path + ".npy")
    difference = np.abs(distances["rerank"] - distances["dense"])
    moved = float(np.mean(difference > TOLERANCE))
    print(
        f"rerank against dense: largest difference {difference.max():.1e}, above {TOLERANCE:g} "
        f"in {moved:.1e} of the pairs"
    )
    return int(moved > MOVED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=512, help="numbers in an embedding")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        method, images, path = arguments.child.split(",", 2)
        measure(method, int(images), arguments.width, path)
    else:
        command.run(lambda: sys.exit(main(arguments.width)))
