"""Takes turns with other processes: what is timed in one run is slowed alike by other work.

Imports nothing but the standard library: the Python of another framework runs it, too.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence


def requested() -> Iterator[int]:
    """Yields how many steps to take, as lines on stdin say; answers with a line of JSON after each.

    What the process did since its last answer counts: batches that were prepared between two turns
    are somebody's work, too.
    """
    print("ready", flush=True)
    before = resource.getrusage(resource.RUSAGE_SELF)
    for line in sys.stdin:
        start = time.perf_counter()
        yield int(line)
        seconds = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_SELF)
        answer = {
            "seconds": seconds,
            "cpu_seconds": after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime,
            "kernel_seconds": after.ru_stime - before.ru_stime,
            "page_faults": after.ru_minflt - before.ru_minflt,
            "peak_mib": after.ru_maxrss / 1024,
        }
        print(json.dumps(answer), flush=True)
        before = after


def take(
    commands: Mapping[str, Sequence[str]],
    steps: Mapping[str, int],
    rounds: int,
    folder: str,
) -> dict[str, list[dict[str, float]]]:
    """Starts a process of each kind and gives each its turn, round after round.

    Args:
        commands: {kind: command line of a program that follows `requested`}.
        steps: {kind: steps of a turn}.
        rounds: turns of each; one before them, which warms up, doesn't count.
        folder: where the programs run.

    Returns:
        {kind: answers of `requested`, one a round}.

    Raises:
        SystemExit: a program ended before its turns.
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": folder}
    # Threads of OpenMP would wait busily, and the more the busier the machine is.
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    workers, found = {}, {kind: [] for kind in commands}
    try:
        for kind, command in commands.items():
            workers[kind] = subprocess.Popen(list(command), env=environment, **pipes)
            while (line := workers[kind].stdout.readline()) != "ready\n":
                if not line:
                    raise SystemExit(f"{kind}: {' '.join(command)} ended, see above")
        for number in range(rounds + 1):
            for kind, worker in workers.items():
                worker.stdin.write(f"{steps[kind]}\n")
                worker.stdin.flush()
                if not (line := worker.stdout.readline()):
                    raise SystemExit(f"{kind}: {' '.join(commands[kind])} ended, see above")
                if number:
                    found[kind].append(json.loads(line))
    finally:
        for worker in workers.values():
            with contextlib.suppress(BrokenPipeError):
                worker.stdin.close()
            worker.wait()
    return found
