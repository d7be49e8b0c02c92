"""On other systems than Linux the commands that need it say so, before they import anything."""

import os
import subprocess
import sys

import pytest

from tests.support.places import ROOT

# Python imports a module of this name as it starts.
_SITECUSTOMIZE = """
import sys
sys.platform = {platform!r}
for name in ("absl", "fcntl", "grpc", "keras", "numpy", "tensorflow", "tqdm"):
    sys.modules[name] = None
"""


def run(folder, platform, module, *flags):
    (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE.format(platform=platform))
    line = [sys.executable, "-m", module, *flags]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
@pytest.mark.parametrize("door", ["train", "evaluate", "ablate", "calibrate", "export", "demo"])
def test_training_is_for_linux(tmp_path, platform, door):
    done = run(tmp_path, platform, f"arn_tf.{door}", "--model_dir=runs/none")
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: arn_tf trains") and f"this is {platform}" in line


# Python's own shutil needs more of Windows than its name.
@pytest.mark.parametrize("platform", ["darwin"])
def test_the_server_for_development_is_for_linux(tmp_path, platform):
    done = run(tmp_path, platform, "serving.server", "--model_dir=models/none")
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: the server for development runs on Linux alone")
    assert run(tmp_path, platform, "serving.server", "--help").returncode == 0
