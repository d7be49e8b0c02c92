"""A cluster of Ray: nodes of one CPU, each started by `ray start`, all on this machine."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

_START = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
_SIZES = ["--num-cpus=1", "--object-store-memory=100000000", "--include-log-monitor=false"]


class Cluster:
    """Three nodes.

    Attributes:
        address: of the head, for RAY_ADDRESS.
    """

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("", 0))
            port = probe.getsockname()[1]
        # The path of a socket, which is in there, has at most 107 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="ray_")
        self._log = pathlib.Path(folder, "ray.log").open("ab")  # noqa: SIM115 - till the end
        head = ["--head", f"--port={port}", "--include-dashboard=false", "--no-monitor"]
        self._nodes = []
        self._start(*head, f"--temp-dir={self._folder.name}")
        [address] = re.findall(r"ray start --address='(\S+)'", self._printed())
        self.address = address
        for _ in range(2):
            self._start(f"--address={address}")

    def _start(self, *flags, timeout=300):
        """Starts a node, and waits until it has joined."""
        there = len(self._nodes)
        node = subprocess.Popen(
            [*_START, *_SIZES, *flags],
            start_new_session=True,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._nodes.append(node)
        deadline = time.monotonic() + timeout
        while self._printed().count("Ray runtime started") <= there:
            assert node.poll() is None and time.monotonic() < deadline, self._printed()
            time.sleep(0.1)

    def _printed(self):
        return pathlib.Path(self._log.name).read_text()

    def kill_one_with_an_actor(self):
        """Kills a node, not the head, that holds a model; returns how many processes it had."""
        for node in self._nodes[1:]:
            found = _processes(node.pid)
            if any("Embedder" in command for command in found.values()):
                _kill(node)
                return len(found)
        raise AssertionError("no node holds an actor")

    def close(self):
        """Kills all nodes."""
        for node in reversed(self._nodes):
            _kill(node)
        self._log.close()
        self._folder.cleanup()


def _processes(root):
    """{pid: command line} of a process and all below it."""
    line = ["ps", "-eo", "pid=,ppid=,args="]
    text = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    rows = [row.split(None, 2) for row in text.splitlines()]
    found = {root: ""}
    for _ in rows:
        more = {int(pid): args for pid, parent, args in rows if int(parent) in found}
        if more.keys() <= found.keys():
            break
        found |= more
    return found


def _kill(node):
    if node.poll() is None:
        for pid in _processes(node.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    node.wait()
