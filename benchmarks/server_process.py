"""The development server, for a benchmark."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def running(model_dir: str | os.PathLike[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Runs the server on a free port, until the block ends.

    Args:
        model_dir: as arn_tf.export wrote it.

    Yields:
        the process and its address, once it answers.
    """
    line = [sys.executable, "-u", "-m", "serving.server", f"--model_dir={model_dir}", "--port=0"]
    process = subprocess.Popen(line, encoding="utf-8", errors="replace", stdout=subprocess.PIPE)
    try:
        for printed in process.stdout:
            if match := re.match(r"serving \S+ version \d+ on (\S+)$", printed):
                break
        else:
            raise SystemExit("the server didn't start")
        yield process, match[1]
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    """Returns the seconds of CPU that a process has used so far; Linux."""
    with open(f"/proc/{process.pid}/stat", encoding="ascii", errors="replace") as file:
        times = file.read().rpartition(")")[2].split()
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
