"""What processes of a node there are, and what they have taken."""

import os
import subprocess
import sys

from benchmarks import ray_nodes

# Its child ends after some work, and another stays.
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "sum(range(20_000_000))"])
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()  # (a) b"])
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_tree_of_processes_and_the_time_of_those_that_ended():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", PARENT], **pipes) as parent:
        child = int(parent.stdout.readline())
        found = ray_nodes._tree(parent.pid)
        assert found.keys() == {parent.pid, child} and "(a) b" in found[child]
        taken = ray_nodes._ticks(parent.pid) / os.sysconf("SC_CLK_TCK")
        parent.stdin.close()
    assert 0.1 < taken < 60
    assert ray_nodes._ticks(parent.pid) == 0
