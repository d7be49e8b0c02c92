"""Times how long a run takes to its first training step, by the number of target crops.

    python -m benchmarks.first_step --pictures=1000000

The crops are hard links of a few, as in `benchmarks.inspect`, and the run is killed once it has
learnt from one batch. Tells, for a tenth of the crops and for all of them, when they were listed,
when they were decoded and when the step was taken, and the most memory that the run had until
then. Pages of the mapped file of decoded pictures are the system's, which takes them back as it
needs them, and are told apart. Linux only.
"""

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
import threading
import time

from benchmarks import flags, report, running
from benchmarks.inspect import draw_crops, link
from benchmarks.report import Report

STEP = "first step"
# {what happened: its sign in the run's output}, in the order of their coming.
_MARKS = {"listed": "target ", "decoded": "source: epochs", STEP: "loss: "}
_SECONDS_BETWEEN_LOOKS = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Used:
    """What a process has used so far.

    Attributes:
        seconds: on the clock, since it began.
        cpu: seconds of the CPU.
        own: most memory of its own so far, in MiB.
        all: the same with mapped files, in MiB.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    own: float = 0.0
    all: float = 0.0

    def look(self, process: int, began: float) -> None:
        """Reads what the system says of a process, while there is one."""
        try:
            with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as file:
                lines = dict(line.split(":", 1) for line in file)
            with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
                times = file.read().rpartition(")")[2].split()
            self.own = max(self.own, _mib(lines["RssAnon"]))
            self.all = max(self.all, _mib(lines["VmHWM"]))
            self.cpu = (int(times[11]) + int(times[12])) / _TICKS
            self.seconds = time.perf_counter() - began
        except (OSError, KeyError):
            return


def _mib(line: str) -> float:
    return int(line.split()[0]) / 2**10


def measure(crops: str, model_dir: str, size: str) -> dict[str, Used]:
    """Runs until the first step; returns what was used until each of its three marks.

    Args:
        crops: folder of the target.
        model_dir: folder of the run.
        size: height x width of decoded pictures.
    """
    line = [
        *(sys.executable, "-u", "-m", "arn_tf.train", "--preset=strong", "--source=toy_market"),
        *(f"--target={crops}", f"--model_dir={model_dir}", f"--input_size={size}"),
        *("--backbone=MobileNetV2", "--backbone_weights=random"),
    ]
    marks, used, began = dict[str, Used](), Used(), time.perf_counter()
    process = subprocess.Popen(line, stdout=subprocess.PIPE)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_SECONDS_BETWEEN_LOOKS):
            used.look(process.pid, began)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        waited, text = list(_MARKS), ""
        # Not by lines: the progress bar ends none.
        while waited and (part := os.read(process.stdout.fileno(), 4096)):
            text += part.decode(errors="replace")
            while waited and _MARKS[waited[0]] in text:
                text = text.partition(_MARKS[waited[0]])[2]
                used.look(process.pid, began)
                marks[waited.pop(0)] = dataclasses.replace(used)
    finally:
        ended.set()
        watcher.join()
        process.kill()
        process.wait()
    if waited:
        raise SystemExit(f"{' '.join(line)} ended before its first step: {text}")
    return marks


def main(count: int, size: str, folder: str | None, path: str | None) -> None:
    """Measures a tenth and all of the pictures, and prints a report."""
    where, rows = report.machine(), []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        crops = draw_crops(place)
        for number in sorted({max(count // 10, 1), count}):
            linked = os.path.join(place, str(number))
            link(crops, linked, number)
            marks = measure(linked, os.path.join(place, f"run{number}"), size)
            last = marks[STEP]
            cpu = [mark.cpu for mark in marks.values()]
            clock = [mark.seconds for mark in marks.values()]
            rows.append([number, *cpu, *clock, last.own, last.all])
    columns = [f"{name}, {unit}" for unit in ("CPU s", "clock s") for name in _MARKS]
    columns = ["target pictures", *columns, "peak MiB", "with mapped files"]
    notes = [
        f"The strong recipe from toy pictures to hard links of {len(crops)} crops, decoded to "
        f"{size}; one run of each size, seconds since its start."
    ]
    report.finish(Report(columns, rows, notes), where, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=flags.count, default=20_000)
    parser.add_argument("--input_size", type=flags.size, default="64x32")
    parser.add_argument(
        "--folder", type=flags.folder, help="for crops and runs; the system's without it"
    )
    report.add_flag(parser)
    given = parser.parse_args()
    running.run(lambda: main(given.pictures, given.input_size, given.folder, given.json))
