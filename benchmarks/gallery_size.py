"""Measures ranking and the clustering graph over the size of the gallery.

    python -m benchmarks.gallery_size --pictures=10000,100000 --queries=3000 --json=sizes.json
    python -m benchmarks.gallery_size --pictures=1000000 --queries=10000 --json=sizes.json

Synthetic embeddings of 256 numbers lie in shards of 4,096 on the disk (1 GB for a million, in the
folder of temporary files). Every method is a process of its own, so that its peak memory is its
own:

- ranking: `arn_tf.ranking.streamed.rank_blocks` over the shards;
- graph: `arn_tf.ranking.reranking.jaccard_distance` of all pictures, up to 100,000.

Each also reads the shards and computes the matrix product that it can't do without, alone, right
before. Seconds are of the CPU, all cores together, as other work on the machine slows the clock's;
"ratio" is the method's to the product's. Rows of --json that were measured before stay.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np

from arn_tf.ranking import reranking, streamed
from benchmarks.ranking import peak_mib
from serving import command

WIDTH, SHARD, BLOCK = 256, 4096, 256
IMAGES_OF_A_PERSON, CAMERAS, DISTRACTORS = 20, 6, 0.1
# What makes an embedding: its person, its camera (1) and the rest of the picture.
PERSON, NOISE = 1.5, 2.0
# Products of larger matrices are faster.
SHARDS_OF_A_PRODUCT = 8
LARGEST_GRAPH = 100_000

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


class Shards:
    """A gallery in .npz files, read anew each time."""

    def __init__(self, folder: str) -> None:
        self.paths = sorted(pathlib.Path(folder).glob("gallery_*.npz"))

    def __iter__(self) -> Iterator[Arrays]:
        return map(read, self.paths)


def read(path: pathlib.Path) -> Arrays:
    """Returns the embeddings, persons and cameras of a shard."""
    with np.load(path) as file:
        return file["embeddings"], file["person"], file["camera"]


def write(folder: str, queries: int, pictures: int) -> None:
    """Writes the queries and the shards of a gallery, the same for the same numbers."""
    random = np.random.default_rng(pictures)
    persons = random.standard_normal((max(pictures // IMAGES_OF_A_PERSON, 1), WIDTH), np.float32)
    cameras = random.standard_normal((CAMERAS, WIDTH), np.float32)

    def save(name: str, number: np.ndarray, distractors: float) -> None:
        camera = random.integers(0, CAMERAS, len(number))
        embeddings = NOISE * random.standard_normal((len(number), WIDTH), np.float32)
        alone = random.random(len(number)) < distractors
        embeddings += PERSON * persons[number] * ~alone[:, np.newaxis] + cameras[camera]
        person = np.where(alone, 0, number + 1)
        path = os.path.join(folder, f"{name}.npz")
        np.savez(path, embeddings=embeddings, person=person, camera=camera)

    save("query", random.permutation(queries) % len(persons), 0)
    order = random.permutation(pictures) % len(persons)
    for start in range(0, pictures, SHARD):
        save(f"gallery_{start:09}", order[start : start + SHARD], DISTRACTORS)


def ranking_products(folder: str) -> str:
    """Reads the shards and multiplies them with the queries."""
    query = read(pathlib.Path(folder, "query.npz"))[0]
    paths = Shards(folder).paths
    for start in range(0, len(paths), SHARDS_OF_A_PRODUCT):
        several = paths[start : start + SHARDS_OF_A_PRODUCT]
        _multiply(query, np.concatenate([read(path)[0] for path in several]))
    return ""


def ranking(folder: str) -> str:
    """Ranks; returns the scores."""
    result = streamed.rank_blocks(*read(pathlib.Path(folder, "query.npz")), Shards(folder))
    return f"rank-1 {result.rank(1):.4f}, mAP {result.mean_ap:.4f}, {result.valid_queries} queries"


def graph_products(folder: str) -> str:
    """Multiplies all pictures with all."""
    embeddings = _all(folder)
    _multiply(embeddings, embeddings)
    return ""


def graph(folder: str) -> str:
    """Computes the graph of Jaccard distances; returns how many pairs it holds."""
    return f"{reranking.jaccard_distance(_all(folder)).nnz} pairs within the radius"


METHODS: dict[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "ranking": (ranking_products, ranking),
    "graph": (graph_products, graph),
}


def measure(method: str, folder: str) -> dict[str, object]:
    """Returns a row of the report, in a process of its own.

    Args:
        method: a key of `METHODS`.
        folder: of the shards.
    """
    before = peak_mib()
    found, note = [], ""
    for function in METHODS[method]:
        start = time.perf_counter(), time.process_time()
        note = function(folder)
        found.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    (product_clock, product), (clock, cpu) = found
    peak = peak_mib()
    return {
        "product s": round(product, 2),
        "s": round(cpu, 2),
        "ratio": round(cpu / product, 2),
        "clock s": round(clock, 2),
        "product clock s": round(product_clock, 2),
        "peak MiB": round(peak),
        "above MiB": round(peak - before),
        "note": note,
    }


def main(sizes: list[int], queries: int, methods: list[str], path: str | None) -> None:
    """Measures every method at every size, and prints and keeps the rows."""
    kept = {}
    if path and os.path.exists(path):
        kept = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    for pictures in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write(folder, queries, pictures)
            for method in methods:
                if method == "graph" and pictures > LARGEST_GRAPH:
                    continue
                child = [sys.executable, "-m", "benchmarks.gallery_size"]
                child += [f"--child={method},{folder}"]
                output = subprocess.run(child, check=True, stdout=subprocess.PIPE).stdout
                row = json.loads(output.splitlines()[-1])  # progress bars come before it
                of = f"{queries} x {pictures}" if method == "ranking" else f"{pictures}"
                print(f"{method} {of}: {row}", flush=True)
                kept[f"{method} {of}"] = row
                if path:
                    text = json.dumps(kept, indent=1) + "\n"
                    pathlib.Path(path).write_text(text, encoding="utf-8")


def _all(folder: str) -> np.ndarray:
    paths = Shards(folder).paths
    embeddings = np.empty((len(paths) * SHARD, WIDTH), np.float32)
    count = 0
    for path in paths:
        part = read(path)[0]
        embeddings[count : count + len(part)] = part
        count += len(part)
    return embeddings[:count]


def _multiply(left: np.ndarray, right: np.ndarray) -> None:
    products = np.empty((BLOCK, len(right)), np.float32)
    for start in range(0, len(left), BLOCK):
        part = left[start : start + BLOCK]
        np.matmul(part, right.T, out=products[: len(part)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", default="10000,100000", help="sizes of the gallery")
    parser.add_argument("--queries", type=int, default=3000)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--json", help="file that keeps the rows")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.child:
        print("\n" + json.dumps(measure(*flags.child.split(",", 1))))
    else:
        several = [int(size) for size in flags.pictures.split(",")]
        command.run(lambda: main(several, flags.queries, flags.methods.split(","), flags.json))
