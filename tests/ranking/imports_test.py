"""Ranking needs no TensorFlow: it starts at once, wherever it is used."""

import subprocess
import sys

from tests.support.places import ROOT

CODE = """
import importlib, pathlib, sys, types

# The modules alone, without arn_tf/__init__.py, which is about networks.
package = types.ModuleType("arn_tf")
package.__path__ = ["arn_tf"]
sys.modules["arn_tf"] = package
for path in pathlib.Path("arn_tf/ranking").glob("*.py"):
    importlib.import_module(f"arn_tf.ranking.{path.stem}")
sys.exit(", ".join({"tensorflow", "keras"} & set(sys.modules)) or 0)
"""


def test_no_module_imports_tensorflow():
    found = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
