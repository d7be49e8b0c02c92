"""An embedding job on nodes of Ray beside one process: `python -m benchmarks.ray_job --help`.

In turns: `arn_tf.embed` with the local engine, and the same job on nodes that `ray start` made on
this machine, each of one CPU, of which the job leaves one. Pictures a second are those that the job
prints: without Python's and TensorFlow's start, with that of Ray's actors, which takes seconds: so
there are pictures for a minute, hard links of drawn crops. Nodes add the transport of pictures
between processes, and no processor: on one machine they can't be faster than one process that uses
all cores. The shards of both must be the same to the byte.
"""

import argparse
import hashlib
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile

from benchmarks import flags, inspect, report
from benchmarks.ray_nodes import Nodes
from benchmarks.report import Report, Target

_RATE = re.compile(r"(\d+) pictures in [\d.]+ s, ([\d.]+) a second")
_WANTED = 0.85


def embed(flags: list[str], engine: str, nodes: Nodes) -> tuple[float, float, int, str]:
    """Runs a job in a process of its own.

    Returns:
        pictures a second, seconds of CPU of the command and of the nodes, how many pictures, and a
        digest of the shards.
    """
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
    return float(told[2]), seconds, int(told[1]), digest


def _seconds(engine: str, nodes: Nodes) -> float:
    """Returns the seconds of CPU of all commands so far, with the nodes that work for one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = used.ru_utime + used.ru_stime
    return own + nodes.cpu_seconds() if engine == "ray" else own


def main() -> None:
    """Measures both in turns and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, help="as arn_tf.export wrote it")
    parser.add_argument("--pictures", type=flags.count, default=16_384)
    parser.add_argument("--rounds", type=flags.count, default=2)
    parser.add_argument("--nodes", type=flags.count, default=3)
    report.add_flag(parser)
    arguments = parser.parse_args()
    where = report.machine()
    nodes_of = f"{arguments.nodes} nodes of Ray"
    taken: dict[str, list[tuple[float, float]]] = {"one process": [], nodes_of: []}
    digests = set()
    with tempfile.TemporaryDirectory() as folder, Nodes(arguments.nodes) as nodes:
        crops = os.path.join(folder, "crops")
        inspect.link(inspect.draw_crops(folder), crops, arguments.pictures)
        job = [f"--images={crops}", f"--model={os.path.abspath(arguments.model)}"]
        for round_ in range(arguments.rounds + 1):
            for name, engine in (("one process", "local"), (nodes_of, "ray")):
                rate, seconds, count, digest = embed(job, engine, nodes)
                digests.add(digest)
                if round_:  # the first warms up
                    taken[name].append((rate, 1e3 * seconds / count))
    if len(digests) > 1:
        raise SystemExit("the shards of the two differ")
    rows = [
        (name, *(statistics.median(column) for column in zip(*found, strict=True)))
        for name, found in taken.items()
    ]
    pairs = list(zip(taken[nodes_of], taken["one process"], strict=True))
    ratio = statistics.median(ray[0] / local[0] for ray, local in pairs)
    costs = statistics.median(ray[1] / local[1] for ray, local in pairs)
    found = Report(
        ("", "pictures/s", "ms of CPU a picture"),
        rows,
        (
            f"Of {count} pictures, medians of {arguments.rounds} rounds in turns; the shards are "
            "the same to the byte.",
            f"Seconds of CPU, with those of the start: {costs:.2f} of one process's.",
        ),
        (Target(f"pictures/s of {nodes_of} to one process's", _WANTED, ratio),),
    )
    report.finish(found, where, arguments.json, nodes.cpu_seconds())


if __name__ == "__main__":
    main()
