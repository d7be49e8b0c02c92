"""Every benchmark in one go: `python -m benchmarks`, or `make bench`; --only=ranking,serving.

Each runs in a process of its own, one after the other, and prints its table; its report is kept as
NAME.json and all that it printed as NAME.log in runs/bench. One that fails is told with its last
lines, and the others go on; the exit status is 1 then. What lacks a package is told, too.
"""

import argparse
import os
import pathlib
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from benchmarks import beside_torch, flags, inputs, programs, report, running
from benchmarks.programs import PROGRAMS, Program

FOLDER = os.path.join("runs", "bench")
_LAST_LINES = 15


def main(chosen: Mapping[str, Program], pictures: str | None = None) -> int:
    """Runs programs.

    Args:
        chosen: {name: program}.
        pictures: a folder of pictures, or nothing: they are drawn.

    Returns:
        1 where one failed, or 0.

    Raises:
        SystemExit: runs/bench can't be written.
    """
    try:
        os.makedirs(FOLDER, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"{FOLDER}: {error.strerror}") from error
    lacking = {name: reason for name, each in chosen.items() if (reason := each.lacking())}
    runnable = {name: each for name, each in chosen.items() if name not in lacking}
    began, failed, made = time.monotonic(), [], True
    if any(each.reads_inputs for each in runnable.values()):
        lines = inputs.commands(pictures)
        made = all(_ended_well(f"inputs{number}", line) for number, line in enumerate(lines, 1))
    for name, program in runnable.items():
        path = pathlib.Path(FOLDER, f"{name}.json")
        path.unlink(missing_ok=True)
        if program.reads_inputs and not made:
            print(f"== {name} failed: there is nothing to measure on, see above", flush=True)
            failed.append(name)
        elif _ended_well(name, [program.module, *program.flags, f"--json={path}"]):
            print(report.markdown(report.read(path)[0]), flush=True)
        else:
            path.unlink(missing_ok=True)
            failed.append(name)
    print(f"\n== {len(runnable) - len(failed)} reports in {FOLDER}, {_minutes(began)}")
    for name, reason in lacking.items():
        print(f"== {name} was left out: {reason}")
    for name, program in runnable.items():
        if program.without:
            print(f"== {name} ran without {program.without}")
    if failed:
        print(f"== failed: {', '.join(failed)}")
    print("== make speed writes them into docs/speed.md and draws its charts")
    return int(bool(failed))


def _ended_well(name: str, words: Sequence[str]) -> bool:
    """Runs `python -m` and some words, tells of it, and returns whether its exit status was 0."""
    print(f"\n== {name}: python -m {shlex.join(words)}", flush=True)
    began, path = time.monotonic(), pathlib.Path(FOLDER, f"{name}.log")
    with open(path, "w", encoding="utf-8") as file:
        line = [sys.executable, "-m", *words]
        status = subprocess.run(line, stdout=file, stderr=file, check=False).returncode
    if not status:
        print(f"== {name}: {_minutes(began)}", flush=True)
        return True
    last = path.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    print(*(f"   {text}" for text in last), sep="\n")
    print(
        f"== {name} failed with status {status}, {_minutes(began)}; all of it: {path}", flush=True
    )
    return False


def _minutes(began: float) -> str:
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    return f"{minutes} min {seconds} s"


def _names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in PROGRAMS:
            known = ", ".join(PROGRAMS)
            raise argparse.ArgumentTypeError(f"{name!r} is none of {known}")
    return names


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--only", type=_names, default=list(PROGRAMS), help="NAME,NAME")
    parser.add_argument("--pictures", type=flags.folder, help="folder of real pictures")
    parser.add_argument("--torch", type=beside_torch.python, help="a Python that has torch")
    given = parser.parse_args()
    chosen = programs.chosen(given.only, given.torch)
    running.run(lambda: sys.exit(main(chosen, given.pictures)))
