"""An embedding job on nodes of Ray beside one process: `python -m benchmarks.ray_job --help`.

In turns: `arn_tf.embed` with the local engine, and the same job on nodes that `ray start` made on
this machine, each of one CPU, of which the job leaves one. Nodes add the transport of pictures
between processes, and no processor: on one machine they can't be faster than one process that uses
all cores. The shards of both must be the same to the byte.

Each job is run with N pictures, hard links of drawn crops, and with 2 N. What N more take is the
rate beyond the start; what is left of the first is the start itself, of TensorFlow's model in one
process or in every actor of Ray's, which comes once however many pictures there are. Times are
those that the job prints: without Python's and TensorFlow's import by the command.
"""

import argparse
import dataclasses
import hashlib
import math
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from benchmarks import flags, inspect, report
from benchmarks.ray_nodes import Nodes
from benchmarks.report import Report, Target

_RATE = re.compile(r"(\d+) pictures in ([\d.]+) s, ")
_WANTED = 0.85
# Of a job before, with which Ray starts processes of its own.
_WARM = 256


@dataclasses.dataclass(frozen=True)
class Job:
    """What a job took.

    Attributes:
        count: pictures.
        seconds: that it printed.
        cpu: seconds of CPU of the command and of the nodes.
        digest: of the shards.
    """

    count: int
    seconds: float
    cpu: float
    digest: str


def embed(flags: list[str], engine: str, nodes: Nodes) -> Job:
    """Runs a job in a process of its own."""
    line = [sys.executable, "-m", "arn_tf.embed", f"--engine={engine}", *flags]
    environment = os.environ | {"RAY_ADDRESS": nodes.address}
    with tempfile.TemporaryDirectory() as output:
        before = _seconds(engine, nodes)
        done = subprocess.run(
            [*line, f"--output={output}"], env=environment, capture_output=True, text=True
        )
        seconds = _seconds(engine, nodes) - before
        told = _RATE.search(done.stdout)
        if done.returncode or told is None:
            raise SystemExit(f"{engine}: {done.stdout}{done.stderr}")
        files = sorted(pathlib.Path(output).glob("shard-*.parquet"))
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return Job(int(told[1]), float(told[2]), seconds, digest)


def _seconds(engine: str, nodes: Nodes) -> float:
    """Returns the seconds of CPU of all commands so far, with the nodes that work for one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = used.ru_utime + used.ru_stime
    return own + nodes.cpu_seconds() if engine == "ray" else own


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a job takes: so much to start, and so much for each picture.

    Attributes:
        start: seconds of the clock, or of CPU.
        picture: likewise.
    """

    start: float
    picture: float

    @classmethod
    def of(cls, count: int, once: float, twice: float) -> "Cost":
        """Returns it from what `count` pictures took, and twice as many."""
        picture = (twice - once) / count
        return cls(once - count * picture, picture)

    def share_of(self, other: "Cost", count: float) -> float:
        """Returns the pictures a second of a job of this cost to those of another's."""
        return (other.start + count * other.picture) / (self.start + count * self.picture)

    def reaches(self, other: "Cost", share: float) -> float:
        """Returns how many pictures a job has whose `share_of` is that share; inf: none has."""
        gained = share * self.picture - other.picture
        return (share * self.start - other.start) / -gained if gained < 0 else float("inf")


def main() -> None:
    """Measures both in turns and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, help="as arn_tf.export wrote it")
    parser.add_argument("--pictures", type=flags.count, default=8192, help="of the smaller jobs")
    parser.add_argument("--rounds", type=flags.count, default=1)
    parser.add_argument("--nodes", type=flags.count, default=3)
    report.add_flag(parser)
    arguments = parser.parse_args()
    where = report.machine()
    nodes_of = f"{arguments.nodes} nodes of Ray"
    clock: dict[str, list[Cost]] = {"one process": [], nodes_of: []}
    cpu: dict[str, list[Cost]] = {"one process": [], nodes_of: []}
    with tempfile.TemporaryDirectory() as folder, Nodes(arguments.nodes) as nodes:
        drawn = inspect.draw_crops(folder)
        jobs = []
        for count in (_WARM, arguments.pictures, 2 * arguments.pictures):
            inspect.link(drawn, crops := os.path.join(folder, str(len(jobs))), count)
            jobs.append([f"--images={crops}", f"--model={os.path.abspath(arguments.model)}"])
        embed(jobs[0], "ray", nodes)
        for _ in range(arguments.rounds):
            digests = []
            for name, engine in (("one process", "local"), (nodes_of, "ray")):
                taken = [embed(job, engine, nodes) for job in jobs[1:]]
                digests.append([job.digest for job in taken])
                clock[name].append(Cost.of(taken[0].count, *(job.seconds for job in taken)))
                cpu[name].append(Cost.of(taken[0].count, *(job.cpu for job in taken)))
            if digests[0] != digests[1]:
                raise SystemExit("the shards of the two differ")
    found = _report(clock, cpu, arguments.pictures)
    report.finish(found, where, arguments.json, nodes.cpu_seconds())


def _report(
    clock: Mapping[str, Sequence[Cost]], cpu: Mapping[str, Sequence[Cost]], pictures: int
) -> Report:
    """Returns the table of {engine: costs in each round}, one process first."""
    one, several = clock
    rows = []
    for name in clock:
        of_clock, of_cpu = _median(clock[name]), _median(cpu[name])
        rows.append(
            (name, 1 / of_clock.picture, of_clock.start, 1e3 * of_cpu.picture, of_cpu.start)
        )
    pairs = list(zip(clock[several], clock[one], strict=True))
    beyond = statistics.median(one.picture / ray.picture for ray, one in pairs)
    enough = _median(clock[several]).reaches(_median(clock[one]), _WANTED)
    whole = statistics.median(ray.share_of(one, 2 * pictures) for ray, one in pairs)
    return Report(
        ("", "pictures/s beyond the start", "start, s", "CPU ms a picture", "start, CPU s"),
        rows,
        (
            f"From jobs of {pictures:,} and {2 * pictures:,} pictures, medians of "
            f"{len(pairs)} rounds in turns; the shards are the same to the byte.",
            f"Of the larger job with its start: {whole:.2f} of one process's pictures/s; "
            + (
                f"{_WANTED} from {enough:,.0f} pictures on."
                if math.isfinite(enough)
                else f"{_WANTED} of no job."
            ),
        ),
        (Target(f"pictures/s of {several} to one process's, beyond the start", _WANTED, beyond),),
    )


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.start for cost in costs),
        statistics.median(cost.picture for cost in costs),
    )


if __name__ == "__main__":
    main()
