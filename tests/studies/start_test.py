"""Studies compute as the commands do that they are compared with."""

import subprocess
import sys

from tests.support.places import ROOT

# As `python -m studies.adaptation` is, while its package is imported.
CODE = """
import sys
sys.argv = ["-m"]
sys.orig_argv.append("studies.adaptation")
from datasets import tensorflow_process
tensorflow_process.prepare = lambda: print("tensorflow" in sys.modules)
import studies
print("tensorflow" in sys.modules)
"""


def test_the_process_is_prepared_before_tensorflow_is_imported():
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "False\nTrue\n"), done.stderr
