"""A Python program as a process of its own that finds TensorFlow imported.

That import is more than half of what a short command costs. A fork server (of `multiprocessing`)
does it once for each worker, and every program is a fork of it: a fresh process in which nothing of
TensorFlow has run yet, so that it may still split the CPU.
"""

import io
import multiprocessing
import os
import pathlib
import re
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from tests.support.places import ROOT

_CONTEXT = multiprocessing.get_context("forkserver")
# No module of this repository: the program imports those itself.
_CONTEXT.set_forkserver_preload(
    ["keras", "PIL.Image", "scipy.stats", "sklearn.cluster", "tensorflow", "tensorflow_datasets"]
)


class Program:
    """Runs a command line of Python; used as a `subprocess.Popen`.

    Args:
        line: [sys.executable, "-u" or nothing, a file or "-m" and a module, its arguments ...].
        cwd: the folder to run in.
    """

    def __init__(self, line: Sequence[object], cwd: str | os.PathLike[str] = ROOT):
        python, *words = map(str, line)
        assert python == sys.executable
        self.args = [word for word in words if word != "-u"]
        self._folder = tempfile.TemporaryDirectory(prefix="arn_tf_program_")
        self._out, self._err = (pathlib.Path(self._folder.name, name) for name in ("out", "err"))
        self._out.touch()
        self._err.touch()
        self._read = 0
        arguments = (self.args, str(cwd), str(self._out), str(self._err), dict(os.environ))
        self._process = _CONTEXT.Process(target=_run, args=arguments)
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """None while it runs; -N if signal N ended it."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def printed(self) -> str:
        """What is on its stdout so far."""
        return self._out.read_text(errors="replace")

    def line(self, pattern: str, timeout: float = 240) -> re.Match[str]:
        """Waits until a line of its stdout is like the pattern, and reads up to its end.

        Raises:
            AssertionError: it ended without one, or none came in `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            ended = self.returncode is not None
            if match := re.search(f"^{pattern}\n", self.printed(), re.MULTILINE):
                self._read = match.end()
                return match
            if ended:
                break
            time.sleep(0.01)
        raise AssertionError(f"no line is like {pattern}: {self._err.read_text(errors='replace')}")

    def send_signal(self, number: int) -> None:
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits for its end; returns (stdout but what `line` has read, stderr)."""
        self.wait(timeout)
        return self.printed()[self._read :], self._err.read_text(errors="replace")


def _run(line: list[str], cwd: str, out: str, err: str, environment: dict[str, str]) -> None:
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    # As `python -u` opens them.
    raw = [io.FileIO(number, "w", closefd=False) for number in (1, 2)]
    sys.stdout, sys.stderr = (io.TextIOWrapper(each, write_through=True) for each in raw)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    if line[0] == "-m":
        sys.argv = line[1:]
        runpy.run_module(line[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = line
        runpy.run_path(line[0], run_name="__main__")
