"""What processes of a node there are, and what they have taken."""

import os
import subprocess
import sys
import threading
import types

from benchmarks import ray_nodes

# Its child works, and both stay.
CHILD = "import sys; sum(range(20_000_000)); print(1, flush=True); sys.stdin.read()  # (a) b"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_tree_of_processes_and_what_each_took():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", PARENT], **pipes) as parent:
        child = int(parent.stdout.readline())
        found = ray_nodes._tree(parent.pid)
        assert found.keys() == {parent.pid, child} and "(a) b" in found[child]
        taken = ray_nodes._ticks(child) / os.sysconf("SC_CLK_TCK")
        parent.stdin.close()
    assert 0.1 < taken < 60
    assert ray_nodes._ticks(parent.pid) == 0


def test_what_processes_took_is_kept_when_they_have_ended(monkeypatch):
    nodes = object.__new__(ray_nodes.Nodes)
    nodes._nodes, nodes._taken = [types.SimpleNamespace(pid=1)], {}
    nodes._closed = threading.Event()
    trees = iter([{1: "", 2: "actor"}, {1: ""}])
    ticks = iter([100, 200, 300])
    monkeypatch.setattr(ray_nodes, "_tree", lambda root: next(trees))
    monkeypatch.setattr(ray_nodes, "_ticks", lambda pid: next(ticks))
    second = os.sysconf("SC_CLK_TCK")
    assert nodes.cpu_seconds() == 300 / second
    assert nodes.cpu_seconds() == 500 / second
