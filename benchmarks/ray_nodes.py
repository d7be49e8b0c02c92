"""Nodes of Ray on this machine, each of one CPU, as `ray start` makes them, and what they cost."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import Self

_START = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
_SIZES = ["--num-cpus=1", "--object-store-memory=100000000", "--include-log-monitor=false"]
_PATIENCE = 300.0  # seconds for a node to join
_TICKS = os.sysconf("SC_CLK_TCK")
_LOOKS = 0.5  # seconds between looks at what processes have taken


class Nodes:
    """A cluster of this machine alone; a context manager that ends it.

    Args:
        count: how many nodes.

    Attributes:
        address: for RAY_ADDRESS.
    """

    def __init__(self, count: int) -> None:
        with socket.socket() as probe:
            probe.bind(("", 0))
            port = probe.getsockname()[1]
        # The path of a socket, which is in there, has at most 107 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="ray_")
        self._log = pathlib.Path(self._folder.name, "printed")
        self._nodes: list[subprocess.Popen[bytes]] = []
        # {process: ticks when it was last seen}; Ray's nodes keep no count of those that ended.
        self._taken: dict[int, int] = {}
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._look_on, daemon=True)
        self._watch.start()
        try:
            head = ["--head", f"--port={port}", "--include-dashboard=false", "--no-monitor"]
            self._start(*head, f"--temp-dir={self._folder.name}")
            [self.address] = re.findall(r"ray start --address='(\S+)'", self._log.read_text())
            for _ in range(count - 1):
                self._start(f"--address={self.address}")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cpu_seconds(self) -> float:
        """Returns what all processes of the nodes, ended ones too, have taken so far.

        Of a process that ended, its last half second is missing.
        """
        if not self._closed.is_set():
            self._look()
        return sum(self._taken.values()) / _TICKS

    def commands(self, number: int) -> list[str]:
        """Returns the command lines of a node's processes; node 0 is the head."""
        return list(_tree(self._nodes[number].pid).values())

    def kill(self, number: int) -> None:
        """Kills all processes of a node, as a machine that goes away does."""
        node = self._nodes[number]
        if node.poll() is None:
            for pid in _tree(node.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        node.wait()

    def close(self) -> None:
        """Kills all nodes."""
        self._look()
        self._closed.set()
        self._watch.join()
        for number in reversed(range(len(self._nodes))):
            self.kill(number)
        self._folder.cleanup()

    def _look_on(self) -> None:
        while not self._closed.wait(_LOOKS):
            self._look()

    def _look(self) -> None:
        for node in list(self._nodes):
            for pid in _tree(node.pid):
                if ticks := _ticks(pid):
                    self._taken[pid] = ticks

    def _start(self, *flags: str) -> None:
        """Starts a node, and waits until it has joined."""
        there = len(self._nodes)
        with self._log.open("ab") as log:
            self._nodes.append(
                subprocess.Popen(
                    [*_START, *_SIZES, *flags],
                    start_new_session=True,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
        end = time.monotonic() + _PATIENCE
        while (printed := self._log.read_text()).count("Ray runtime started") <= there:
            if self._nodes[-1].poll() is not None or time.monotonic() > end:
                raise ChildProcessError(f"a node of Ray doesn't start:\n{printed}")
            time.sleep(0.1)


def _tree(root: int) -> dict[int, str]:
    """Returns {id: command line} of a process and of all below it."""
    line = ["ps", "-ww", "-eo", "pid=,ppid=,args="]
    text = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    rows = [row.split(None, 2) for row in text.splitlines()]
    found, last = {root: ""}, dict[int, str]()
    while found.keys() != last.keys():
        last = found
        found = last | {int(pid): args for pid, parent, args in rows if int(parent) in last}
    return found


def _ticks(pid: int) -> int:
    """Returns the ticks of a process alone; 0 if it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0
    # The name, in brackets, may hold spaces; utime and stime are 14 and 15 of all.
    return sum(map(int, text.rpartition(")")[2].split()[11:13]))
