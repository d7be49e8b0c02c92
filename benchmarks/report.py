"""What a benchmark found: printed as a table, kept as JSON; docs/speed.md is written from it."""

import argparse
import contextlib
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import flags
from benchmarks.other_work import OtherWork

Cell = str | int | float | None
# Of what `finish` keeps of the machine.
OTHER_WORK = "cores that other work kept busy"
_OTHERS = OtherWork()


@dataclasses.dataclass(frozen=True)
class Target:
    """A ratio that was to be reached.

    Attributes:
        what: of what to what.
        wanted: the number.
        measured: what was found.
        at_most: whether less is better.
    """

    what: str
    wanted: float
    measured: float
    at_most: bool = False

    @property
    def reached(self) -> bool:
        """Whether what was found is as good as what was wanted."""
        return self.measured <= self.wanted if self.at_most else self.measured >= self.wanted


@dataclasses.dataclass(frozen=True)
class Report:
    """What one run of a benchmark found.

    Attributes:
        columns: names of the table's columns, with units; the first names the rows.
        rows: a cell for every column; None where nothing was measured.
        notes: sentences on how to read the table: sizes, rounds, what the figures are medians of.
        targets: what was to be reached.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    targets: Sequence[Target] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{row}: {len(row)} cells, and there are {self.columns}")


def markdown(report: Report) -> str:
    """Returns a report as a page has it: the table, its notes, and the targets."""
    right = "|".join("---:" for _ in report.columns[1:])
    lines = [_line(report.columns), f"|---|{right}|", *map(_line, report.rows)]
    for note in report.notes:
        lines += ["", note]
    if report.targets:
        lines += ["", "| target | wanted | found | |", "|---|---:|---:|---|"]
        for target in report.targets:
            wanted = f"{'at most' if target.at_most else 'at least'} {_text(target.wanted)}"
            verdict = "reached" if target.reached else "missed"
            lines.append(_line((target.what, wanted, target.measured, verdict)))
    return "\n".join(lines)


def machine() -> dict[str, str | int | float]:
    """Returns what the figures depend on beside the code."""
    versions = {}
    for name in ("numpy", "tensorflow", "keras", "openvino"):
        # Not imported for it: the memory of this process would count as its children's.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory GiB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.platform(),
        "python": platform.python_version(),
        **versions,
    }


def add_flag(parser: argparse.ArgumentParser) -> None:
    """Adds --json, the path that `finish` takes."""
    parser.add_argument(
        "--json", metavar="FILE", type=flags.new_file, help="keeps the figures there, too"
    )


def finish(
    report: Report,
    where: dict[str, str | int | float],
    path: str | None,
    unwaited: float = 0.0,
) -> None:
    """Prints a report and keeps it.

    Args:
        report: what was found.
        where: `machine()`; how busy other work kept it since the start is added.
        path: of a JSON file, or nothing.
        unwaited: seconds of CPU of processes that were measured, and that nobody waited for.

    Raises:
        SystemExit: the file can't be written.
    """
    print(markdown(report), flush=True)
    if path is None:
        return
    others = _OTHERS.cores(unwaited)
    if others is not None:
        where = where | {OTHER_WORK: round(others, 2)}
    found = {
        "command": shlex.join(["python", *_program(), *sys.argv[1:]]),
        "machine": where,
        **dataclasses.asdict(report),
    }
    try:
        pathlib.Path(path).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise SystemExit(f"--json={path}: {error.strerror}") from error


def read(path: str | os.PathLike[str]) -> tuple[Report, dict[str, str | int | float], str]:
    """Returns what `finish` kept: the report, the machine and the command line."""
    return loaded(json.loads(pathlib.Path(path).read_text(encoding="utf-8")))


def loaded(found: dict[str, Any]) -> tuple[Report, dict[str, str | int | float], str]:
    """Returns the same of what was in the file."""
    targets = [Target(**target) for target in found["targets"]]
    report = Report(found["columns"], found["rows"], found["notes"], targets)
    return report, found["machine"], found["command"]


def _program() -> list[str]:
    """Returns what Python runs, as its command line names it: a module, or a file."""
    spec = sys.modules["__main__"].__spec__
    return ["-m", spec.name] if spec else sys.argv[:1]


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    fields = dict(line.replace("\t", "").split(": ", 1) for line in lines if ": " in line)
    offered = fields.get("flags", "").split()
    best = next((name for name in ("avx512f", "avx2", "avx") if name in offered), "no AVX")
    return f"{fields.get('model name', platform.processor())}, {best}"


def _line(cells: Sequence[Cell]) -> str:
    return f"| {' | '.join(map(_text, cells))} |"


def _text(cell: Cell) -> str:
    """Three digits, more where they stand before the point."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"
