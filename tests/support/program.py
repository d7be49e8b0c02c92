"""A Python program as a process of its own that finds TensorFlow imported.

That import is more than half of what a short command costs. A fork server (of `multiprocessing`)
does it once for each worker, and every program is a fork of it: a fresh process in which nothing of
TensorFlow has run yet, so that it may still split the CPU.
"""

import io
import multiprocessing
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile

from tests.support.places import ROOT

_CONTEXT = multiprocessing.get_context("forkserver")
# No module of this repository: the program imports those itself.
_CONTEXT.set_forkserver_preload(
    ["keras", "PIL.Image", "scipy.stats", "sklearn.cluster", "tensorflow", "tensorflow_datasets"]
)


class Program:
    """Runs a command line of Python, from the checkout; used as a `subprocess.Popen`.

    Args:
        line: [sys.executable, "-u" or nothing, the program's file, its arguments ...].
    """

    def __init__(self, line):
        python, *line = map(str, line)
        assert python == sys.executable
        self._line = [part for part in line if part != "-u"]
        self._folder = tempfile.TemporaryDirectory(prefix="arn_tf_program_")
        self._texts = [pathlib.Path(self._folder.name, name) for name in ("out", "err")]
        for text in self._texts:
            text.touch()
        arguments = (self._line, list(map(str, self._texts)), dict(os.environ))
        self._process = _CONTEXT.Process(target=_run, args=arguments)
        self._process.start()

    @property
    def returncode(self):
        """None while it runs; -N if signal N ended it."""
        return self._process.exitcode

    def poll(self):
        return self.returncode

    def printed(self):
        """What is on its stdout so far."""
        return self._texts[0].read_text(errors="replace")

    def kill(self):
        self._process.kill()

    def wait(self, timeout=None):
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._line, timeout)
        return self.returncode

    def communicate(self, timeout=None):
        """What it printed until its end: (stdout, stderr)."""
        self.wait(timeout)
        return tuple(text.read_text(errors="replace") for text in self._texts)


def _run(line, texts, environment):
    for number, text in enumerate(texts, start=1):
        file = os.open(text, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    # As `python -u` opens them.
    raw = [io.FileIO(number, "w", closefd=False) for number in (1, 2)]
    sys.stdout, sys.stderr = (io.TextIOWrapper(each, write_through=True) for each in raw)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    sys.argv = line
    runpy.run_path(line[0], run_name="__main__")
