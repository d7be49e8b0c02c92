"""Measures in a process of its own, so that its memory and its threads are its own."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any


def answer(module: str, flags: Sequence[str]) -> Any:
    """Returns what `python -m MODULE FLAGS` prints as JSON in its last line.

    Raises:
        SystemExit: it ended with another status than 0; it said why on stderr.
    """
    line = [sys.executable, "-m", module, *flags]
    done = subprocess.run(line, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(f"python -m {module} {' '.join(flags)} failed, see above")
    return json.loads(done.stdout.splitlines()[-1])


def used(line: Sequence[str]) -> tuple[float, float]:
    """Returns the seconds that a command line takes, on the clock and of CPU.

    Raises:
        SystemExit: it ended with another status than 0.
    """
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    if subprocess.run(line, stderr=subprocess.DEVNULL, check=False).returncode:
        raise SystemExit(f"{' '.join(line)} failed")
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
