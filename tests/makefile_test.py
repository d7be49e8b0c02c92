"""`make` takes the Pythons that the pinned packages have, and says so of every other one."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.support.places import ROOT

REFUSAL = "python3 must be Python 3.11 to 3.13: name one, as in make PYTHON=python3.12"
# Calls itself Python 3.N, and makes no environment.
FAKE = """#!/bin/sh
if [ "$1" = -c ]; then
  exec '{python}' -c 'import sys; sys.version_info = (3, {minor}, 0); exec(sys.argv[1])' "$2"
fi
echo "asked for $1 $2"
exit 1
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make isn't installed")


def make(tmp_path: pathlib.Path, minor: int, target: str) -> subprocess.CompletedProcess[str]:
    """Runs a target where `python3` is Python 3.`minor` and nothing is installed yet."""
    fake = tmp_path / "bin" / "python3"
    fake.parent.mkdir()
    fake.write_text(FAKE.format(python=sys.executable, minor=minor))
    fake.chmod(0o755)
    folders = [f"{name}={tmp_path / name}" for name in ("VENV", "DOCS_VENV")]
    environment = os.environ | {"PATH": f"{fake.parent}:{os.environ['PATH']}"}
    line = ["make", target, "PYTHON=python3", *folders]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("target", ["lint", "docs"])
@pytest.mark.parametrize("minor", [10, 14, 15])
def test_too_old_and_too_new_are_refused_in_one_sentence(tmp_path, minor, target):
    done = make(tmp_path, minor, target)
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == REFUSAL
    assert "asked for" not in done.stdout


@pytest.mark.parametrize("minor", [11, 12, 13])
def test_those_between_make_an_environment(tmp_path, minor):
    done = make(tmp_path, minor, "lint")
    assert REFUSAL not in done.stderr
    assert "asked for -m venv" in done.stdout
