"""What an embedding job costs beyond the forward: `python -m benchmarks.embedding_job --help`.

In turns, in one process: the exported model alone, on batches that are decoded already, and a whole
job of the same pictures, from listed files to shards on the disk. The share of idle forward is what
the job itself measures. Seconds of CPU are told beside, for they don't depend on what else runs.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np

from arn_tf.embedding_jobs import exported_model, given_pictures, local_engine, plan
from arn_tf.embedding_jobs.batches import Reader
from arn_tf.embedding_jobs.exported_model import ExportedModel
from arn_tf.embedding_jobs.plan import Plan, Wanted
from arn_tf.embedding_jobs.progress import Progress
from benchmarks import flags, report, running
from benchmarks.report import Report, Target
from datasets import tensorflow_process
from datasets.embedding_shards import job_file

_RATE, _IDLE = 0.95, 5.0


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Returns the seconds of a call, on the clock and of the CPU."""
    start, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start, time.process_time() - cpu


class Workload:
    """A job of some pictures, and its forward alone.

    Args:
        model: that embeds.
        pictures: folder of them.
        dtype: of what is written.
        shard_size: pictures of a shard.
    """

    def __init__(self, model: ExportedModel, pictures: str, dtype: str, shard_size: int) -> None:
        self._model = model
        self._listed = given_pictures.listed(pictures, "")
        self._wanted = Wanted(model.embedding_space, model.embedding_dim, dtype, shard_size)
        self.pictures = len(self._listed[0])
        self.idle: list[float] = []
        with tempfile.TemporaryDirectory() as folder:
            opened = self._opened(folder)
            reader = Reader(opened.job.root)
            read = [reader.read(batch) for batch in opened.batches()]
            reader.close()
        self._decoded = [(batch, *model.decode(batch)) for batch in read]

    def bare(self) -> None:
        """Runs the forward on the decoded batches."""
        for batch in self._decoded:
            self._model.embed(*batch)

    def job(self) -> None:
        """Runs a job, from the list of pictures to its last shard."""
        with tempfile.TemporaryDirectory() as folder:
            opened = self._opened(folder)
            with Progress(self.pictures, 0) as progress:
                times = local_engine.run(opened, self._model, progress)
        total = times.waited_seconds + times.forward_seconds
        self.idle.append(times.waited_seconds / total)

    def _opened(self, folder: str) -> Plan:
        return plan.opened(folder, *self._listed, self._wanted)


COLUMNS = (
    "",
    "times the bare rate, CPU",
    "times the bare rate, clock",
    "CPU ms a picture",
    "pictures/s of the clock",
    "forward idle, % of the clock",
)


def main(arguments: argparse.Namespace) -> None:
    """Measures both in turns and prints a report."""
    where = report.machine()
    model = ExportedModel(exported_model.version_folder(arguments.model))
    workload = Workload(model, arguments.pictures, arguments.dtype, arguments.shard_size)
    ways = {"bare forward": workload.bare, "job": workload.job}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for round_ in range(arguments.rounds + 1):
        for name, way in ways.items():
            found = timed(way)
            if round_:  # the first warms up
                taken[name].append(found)
    bare, rows = np.array(taken["bare forward"]), list[list[report.Cell]]()
    for name, times in taken.items():
        clock, cpu = np.median(np.array(times), 0) / workload.pictures
        ratios = np.median(bare / np.array(times), 0)
        idle = 100 * statistics.median(workload.idle[1:]) if name == "job" else None
        rows.append([name, ratios[1], ratios[0], 1e3 * cpu, 1 / clock, idle])
    notes = [
        f"{workload.pictures} pictures, {arguments.rounds} rounds in turns, ratios within a round."
    ]
    targets = (
        Target("pictures/s of CPU of a job to the bare forward's", _RATE, rows[-1][1]),
        Target("forward idle, % of the clock", _IDLE, rows[-1][-1], at_most=True),
    )
    report.finish(Report(COLUMNS, rows, notes, targets), where, arguments.json)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, help="as arn_tf.export wrote it")
    parser.add_argument("--pictures", required=True, type=flags.folder, help="folder of pictures")
    parser.add_argument("--rounds", type=flags.count, default=5)
    parser.add_argument("--dtype", default="float32", choices=job_file.DTYPES)
    parser.add_argument("--shard_size", type=flags.count, default=4096)
    report.add_flag(parser)
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    tensorflow_process.prepare()
    running.run(lambda: main(given))
