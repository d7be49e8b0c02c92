"""A command line's answer where heavy packages can't be imported.

A process of its own, not a fork of one that has imported them.
"""

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterable

from tests.support.places import ROOT

# Python imports a module of this name as it starts.
_SITECUSTOMIZE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused}:
            raise ImportError(f"{{name}} is imported before the flags are read")

sys.meta_path.insert(0, Refuse())
"""


def answer(
    folder: pathlib.Path, module: str, *arguments: str, refused: Iterable[str]
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m module` where importing the packages `refused` raises ImportError.

    Args:
        folder: an empty one, for what makes it so.
    """
    (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE.format(refused=set(refused)))
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    line = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        line, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
