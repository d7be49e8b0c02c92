"""Measures filling a gallery from shards and searching it approximately, in a folder and in Milvus.

    python -m benchmarks.gallery_stores --pictures=100000 --json=stores.json

Synthetic embeddings of 256 numbers lie in shards, as `arn_tf.embed` writes them: persons with 20
pictures of six cameras each, over a day. `python -m serving.gallery fill` puts them into either
place, in a process of its own. Then approximate search is compared with the exact one, of new
pictures of the persons: of all, of one camera, of one hour. Needs requirements-milvus.txt.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from benchmarks import flags, report
from benchmarks.report import Cell, Report
from datasets.embedding_shards import job_file, shard
from datasets.embedding_shards.job_file import Job
from serving import command
from serving.gallery import approximate_search, milvus_recall, place
from serving.gallery.gallery import Gallery
from serving.gallery.milvus_gallery import MilvusGallery
from serving.gallery.records import EVERYTHING, Hit, Selection
from serving.gallery.store import GalleryStore

WIDTH, SHARD = 256, 4096
IMAGES_OF_A_PERSON, CAMERAS, DAY = 20, 6, 86400
# What makes an embedding: its person, its camera (1) and the rest of the picture. Persons and
# pictures vary alike, and singular values fall by this power of their rank, as those of a public
# network do on CUHK03: a graph over noise that is the same in all directions tells of nothing real.
PERSON, NOISE, POWER = 1.5, 1.5, 0.36
QUERIES, TOP = 256, 10
PLACES = {"folder": "gal", "Milvus Lite": "gal.db"}
FILTERS = {
    "no filter": EVERYTHING,
    "one camera": Selection(cameras=("0",)),
    "one hour": Selection(taken_after=36000.0, taken_before=39600.0),
    "one camera, one hour": Selection(cameras=("0",), taken_after=36000.0, taken_before=39600.0),
}


def write(folder: str, pictures: int) -> np.ndarray:
    """Writes the shards of a job; returns queries, float32 [QUERIES, WIDTH], of unit length."""
    random = np.random.default_rng(pictures)
    scale = np.arange(1, WIDTH + 1, dtype=np.float32) ** -POWER

    def drawn(count: int) -> np.ndarray:
        return scale * random.standard_normal((count, WIDTH), np.float32)

    persons, cameras = drawn(max(pictures // IMAGES_OF_A_PERSON, 1)), drawn(CAMERAS)

    def embedded(person: np.ndarray, camera: np.ndarray) -> np.ndarray:
        found = NOISE * drawn(len(person)) + PERSON * persons[person] + cameras[camera]
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    job = Job("/crops", "0" * 64, pictures, SHARD, "0" * 16, WIDTH, "float32")
    job_file.write(folder, job)
    for number in range(job.shards):
        rows = list(job.rows(number))
        camera = random.integers(0, CAMERAS, len(rows))
        found = shard.Rows(
            files=[f"{row:09d}.jpg" for row in rows],
            camera=[str(each) for each in camera],
            tracklet=[None] * len(rows),
            person_id=[None] * len(rows),
            time=random.uniform(0, DAY, len(rows)),
            content_hash=[row.to_bytes(32, "big") for row in rows],
            embedding=embedded(random.integers(0, len(persons), len(rows)), camera),
        )
        shard.write(folder, job, number, found, {})
    return embedded(random.integers(0, len(persons), QUERIES), random.integers(0, CAMERAS, QUERIES))


def fill(gallery: str, shards: str) -> tuple[float, float]:
    """Fills a gallery; returns seconds of CPU, and the process's peak memory in MiB."""
    line = [sys.executable, "-m", "serving.gallery", "fill"]
    process = subprocess.Popen([*line, f"--gallery={gallery}", f"--shards={shards}"])
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"fill into {gallery} ended with status {status}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def size(path: str) -> float:
    """Returns the MiB of a folder's files."""
    files = pathlib.Path(path).rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file()) / 2**20


def searched(
    store: Gallery, queries: np.ndarray, selection: Selection
) -> tuple[float, float, float]:
    """Returns recall@TOP, and milliseconds of CPU of a query, approximately and exactly."""
    exact, truth = _timed(lambda: store.nearest(queries, TOP, selection))
    if isinstance(store, MilvusGallery):
        near, found = _timed(lambda: milvus_recall.search(store, queries, TOP, selection)[0])
    elif isinstance(store, GalleryStore) and selection == EVERYTHING:
        near, found = _timed(lambda: approximate_search.search(store, queries, TOP, print)[0])
    else:
        near, found = exact, truth  # A folder's graph knows no filters.
    return milvus_recall.recall(truth, found).recall, near, exact


def _timed(search: Callable[[], list[list[Hit]]]) -> tuple[float, list[list[Hit]]]:
    search()  # warms up: the folder's graph is built by the first
    start = time.process_time()
    found = search()
    return 1e3 * (time.process_time() - start) / QUERIES, found


def main(pictures: int, path: str | None) -> None:
    """Fills and searches both, and prints and keeps the table."""
    where = report.machine()
    rows: list[list[Cell]] = []
    with tempfile.TemporaryDirectory() as folder:
        shards = os.path.join(folder, "shards")
        os.mkdir(shards)
        queries = write(shards, pictures)
        for name, last in PLACES.items():
            gallery = os.path.join(folder, last)
            cpu, peak = fill(gallery, shards)
            filled: list[Cell] = [cpu, size(gallery), peak]
            with place.open_gallery(gallery) as store:
                for asked, selection in FILTERS.items():
                    found = searched(store, queries, selection)
                    rows.append([f"{name}, {asked}", store.count(selection), *found, *filled])
                    filled = [None] * 3
    columns = ("", "pictures", "recall@10", "approximate ms", "exact ms")
    filling = ("fill, s of CPU", "on disk, MiB", "fill, peak MiB")
    notes = (
        f"{pictures} pictures of {WIDTH} numbers, {QUERIES} queries at once; milliseconds are of "
        "CPU and a query. With a filter a folder is searched exactly. Milvus visits as many lists "
        "as 95 % takes with 64 of the queries, and its milliseconds hold that measurement.",
    )
    report.finish(Report((*columns, *filling), rows, notes), where, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=flags.count, default=100_000)
    report.add_flag(parser)
    given = parser.parse_args()
    command.run(lambda: main(given.pictures, given.json))
