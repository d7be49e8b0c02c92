"""Times `arn_tf.ranking.reranking` against a dense implementation, up to the size of Market-1501.

    python -m benchmarks.reranking
    python -m benchmarks.reranking --dense

Synthetic embeddings of 512 numbers (persons, cameras and noise), every seventh image a
query. Each line is a process of its own, so that its peak memory is its own:

- 5,000 images: `rerank`, `jaccard_distance`, and a dense implementation in NumPy that does
  what the authors' code does (several N x N arrays, a full sort of every row, loops);
- 23,100 images, the query and gallery of Market-1501 with junk: `rerank` and
  `jaccard_distance`, and DBSCAN on the latter. `--width=2048` is the width of ResNet-50, and
  `--dense` runs the dense implementation here, too: 11 GiB of memory.

Seconds are of the CPU, all cores together. The dense distances of 5,000 images must agree to 1e-5
up to a thousandth of the pairs (float32 rounds some neighbours differently); the exit status says
so. Takes about two minutes and 1.2 GiB.
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
from benchmarks import dense_reranking, flags, report
from benchmarks.ranking import peak_mib
from benchmarks.report import Cell, Report, Target
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
FASTER, SMALLER = 10, 10
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
    person = 1 + np.arange(len(labels)) % (len(labels) // IMAGES_OF_A_PERSON)
    return f"{counts}, purity {clustering.purity(labels, person):.2f}"


def dense(embeddings: np.ndarray, camera: np.ndarray) -> np.ndarray | str:
    """Re-ranks by the dense implementation; returns as `rerank` does."""
    queries = len(embeddings) // QUERY_SHARE
    found = dense_reranking.rerank(embeddings, queries, K1, K2, LAMBDA)
    return found if len(embeddings) == SMALL else f"{len(found)} queries"


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
    start = time.process_time()
    result = METHODS[method](embeddings, camera)
    seconds = time.process_time() - start
    found: dict[str, object] = {"seconds": seconds, "above": peak_mib() - before, "note": result}
    if isinstance(result, np.ndarray):
        np.save(path + ".npy", result)
        found["note"] = f"{len(result)} queries"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file)


def main(width: int, with_dense: bool, kept: str | None) -> int:
    """Measures every method and reports; returns 1 where two disagree, or 0.

    Args:
        width: numbers in an embedding.
        with_dense: whether the dense implementation runs at the larger size, too.
        kept: path of a JSON file for the report, or nothing.
    """
    machine = report.machine()
    runs = [*RUNS, ("dense", LARGE)] if with_dense else RUNS
    distances = {}
    rows: list[list[Cell]] = []
    notes = [f"Embeddings of {width} numbers, every {QUERY_SHARE}th of a query. One run of each."]
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        for method, images in runs:
            path = os.path.join(folder, f"{method}{images}")
            line = [sys.executable, "-m", "benchmarks.reranking", f"--width={width}"]
            line += [f"--child={method},{images},{path}"]
            subprocess.run(line, check=True, stdout=subprocess.DEVNULL)  # progress bars
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
            measured[method, images] = found["seconds"], found["above"]
            rows.append([f"{method}, {images:,}", *measured[method, images], images**2 / 2**18])
            notes.append(f"{method}, {images:,}: {found['note']}.")
            if os.path.exists(path + ".npy"):
                distances[method] = np.load(path + ".npy")
    difference = np.abs(distances["rerank"] - distances["dense"])
    moved = float(np.mean(difference > TOLERANCE))
    notes.append(
        f"rerank against dense: largest difference {difference.max():.1e}, above {TOLERANCE:g} "
        f"in {moved:.1e} of the pairs."
    )
    size = LARGE if with_dense else SMALL
    faster, smaller = np.divide(measured["dense", size], measured["rerank", size]).tolist()
    targets = [
        Target(f"seconds of dense to rerank, {size:,}", FASTER, faster),
        Target(f"memory of dense to rerank, {size:,}", SMALLER, smaller),
    ]
    columns = "method, pictures", "CPU s", "above the embeddings MiB", "N x N of float32, MiB"
    report.finish(Report(columns, rows, notes, targets), machine, kept)
    return int(moved > MOVED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=flags.count, default=512, help="numbers in an embedding")
    parser.add_argument(
        "--dense", action="store_true", help="run the dense implementation on 23,100, too"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    report.add_flag(parser)
    arguments = parser.parse_args()
    if arguments.child:
        method, images, path = arguments.child.split(",", 2)
        measure(method, int(images), arguments.width, path)
    else:
        command.run(lambda: sys.exit(main(arguments.width, arguments.dense, arguments.json)))
