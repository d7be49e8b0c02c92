"""Measures ranking, re-ranking or the clustering graph over the size of the gallery.

    python -m benchmarks.gallery_size --method=ranking --pictures=10000,1000000 --queries=1000
    python -m benchmarks.gallery_size --method=graph --pictures=10000,30000,100000

Synthetic embeddings of 256 numbers lie in shards of 4,096 on the disk (1 GB for a million, in the
folder of temporary files). Every size is a process of its own, so that its peak memory is its own:

- ranking: `arn_tf.ranking.streamed.rank_blocks` over the shards;
- rerank: `rank_gallery` with `arn_tf.ranking.reranking.rerank` as its distance;
- graph: `arn_tf.ranking.reranking.jaccard_distance` of the gallery alone.

Each also reads the shards and computes the matrix product that it can't do without, alone, right
before. Seconds are of the CPU, all cores together, as other work on the machine slows the clock's;
"ratio" is the method's to the product's.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable

from arn_tf.ranking import protocol, reranking, streamed
from benchmarks import children, flags, report, sharded_gallery
from benchmarks.ranking import peak_mib
from benchmarks.report import Cell, Report, Target
from benchmarks.sharded_gallery import BLOCK, WIDTH, Shards
from serving import command

RATIO, MIB = 1.5, 6 * 1000**3 / 2**20
LARGEST = 10_000_000


def ranking_products(folder: str) -> str:
    """Reads the shards and multiplies them with the queries."""
    query = Shards(folder).query()[0]
    for several in Shards(folder).joined():
        sharded_gallery.multiply(query, several)
    return ""


def ranking(folder: str) -> str:
    """Ranks; returns the scores."""
    shards = Shards(folder)
    result = streamed.rank_blocks(*shards.query(), shards)
    return f"rank-1 {result.rank(1):.1%}, mAP {result.mean_ap:.1%}"


def rerank_products(folder: str) -> str:
    """Multiplies queries and gallery with all of both."""
    everything = Shards(folder).everything()
    sharded_gallery.multiply(everything, everything)
    return ""


def rerank(folder: str) -> str:
    """Ranks by re-ranked distances; returns the scores."""
    shards = Shards(folder)
    query, gallery = shards.query(), shards.gallery()
    result = protocol.rank_gallery(
        query[0], gallery[0], query[1], gallery[1], query[2], gallery[2], distance=reranking.rerank
    )
    return f"rank-1 {result.rank(1):.1%}, mAP {result.mean_ap:.1%}"


def graph_products(folder: str) -> str:
    """Multiplies all pictures with all."""
    gallery = Shards(folder).gallery()[0]
    sharded_gallery.multiply(gallery, gallery)
    return ""


def graph(folder: str) -> str:
    """Computes the graph of Jaccard distances; returns how many pairs it holds."""
    pairs = reranking.jaccard_distance(Shards(folder).gallery()[0]).nnz
    return f"{pairs:,} pairs within the radius"


METHODS: dict[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "ranking": (ranking_products, ranking),
    "rerank": (rerank_products, rerank),
    "graph": (graph_products, graph),
}


def measure(method: str, folder: str) -> dict[str, float | str]:
    """Returns seconds, memory and a note, in a process of its own.

    Args:
        method: a key of `METHODS`.
        folder: of the shards.
    """
    before = peak_mib()
    found, note = [], ""
    for function in METHODS[method]:
        start = time.process_time()
        note = function(folder)
        found.append(time.process_time() - start)
    peak = peak_mib()
    return {
        "product": found[0],
        "cpu": found[1],
        "peak": peak,
        "above": peak - before,
        "note": note,
    }


def main(method: str, sizes: list[int], queries: int, path: str | None) -> None:
    """Measures one method at every size, and reports.

    Args:
        method: a key of `METHODS`.
        sizes: pictures of the gallery.
        queries: how many there are.
        path: of a JSON file for the report, or nothing.
    """
    machine = report.machine()
    rows: list[list[Cell]] = []
    notes = [
        f"Embeddings of {WIDTH} numbers"
        + (f", {queries:,} queries" if method != "graph" else "")
        + f"; the product in blocks of {BLOCK}. One run of each, seconds of all cores together.",
    ]
    for pictures in sizes:
        with tempfile.TemporaryDirectory() as folder:
            sharded_gallery.write(folder, queries, pictures)
            row = children.answer(
                "benchmarks.gallery_size", [f"--method={method}", f"--child={folder}"]
            )
        times = [row["product"], row["cpu"], row["cpu"] / row["product"]]
        rows.append([pictures, *times, row["peak"], row["above"]])
        notes.append(f"At {pictures:,}: {row['note']}.")
        print(f"{pictures:,} pictures: {row['cpu']:.1f} s of CPU, {row['note']}", flush=True)
    of = f"{method} at {sizes[-1]:,}"
    targets = [Target(f"peak MiB of {of}", round(MIB), float(rows[-1][4]), at_most=True)]
    if method == "ranking":
        targets.append(Target(f"{of} to the product", RATIO, float(rows[-1][3]), at_most=True))
    columns = (
        "gallery pictures",
        "product, CPU s",
        f"{method}, CPU s",
        "ratio",
        "peak MiB",
        "above imports MiB",
    )
    report.finish(Report(columns, rows, notes, targets), machine, path)


def _count(text: str) -> int:
    found = flags.count(text)
    if found > LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {LARGEST:,}")
    return found


def _counts(text: str) -> list[int]:
    return [_count(part) for part in text.split(",")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--method", choices=METHODS, default="ranking")
    parser.add_argument(
        "--pictures",
        type=_counts,
        default=[10_000, 100_000],
        metavar="N,N",
        help="sizes of the gallery",
    )
    parser.add_argument("--queries", type=_count, default=1000, metavar="N")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    report.add_flag(parser)
    given = parser.parse_args()
    if given.child:
        print("\n" + json.dumps(measure(given.method, given.child)))
    else:
        command.run(lambda: main(given.method, given.pictures, given.queries, given.json))
