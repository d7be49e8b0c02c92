"""What a whole run prints on stderr: no line of TensorFlow's start that a user can't act on."""

import dataclasses
import re
import subprocess
import sys

from tests.support import small_data
from tests.support.places import ROOT

# Of C++ (I0000 00:00:1795638775.264160) and of Python (W1125 20:32:59.698194), but errors.
NOTE = re.compile(r"[IW]\d{4} |WARNING: All log|.*(cuInit|oneDNN|cuda drivers|rebuild TensorFlow)")


def test_training_prints_no_startup_notes(tmp_path):
    """The program itself, in a process that has imported nothing before."""
    changes = {"backbone": "MobileNetV2", "feature_cache": "none", "epochs": 1}
    # A folder of its own: the data sets are prepared, too.
    changes |= {"data_dir": str(tmp_path / "prepared")}
    settings = small_data.settings(tmp_path / "run", **small_data.SHORT | changes)
    flags = [f"--{name}={value}" for name, value in dataclasses.asdict(settings).items()]
    line = [sys.executable, "-m", "arn_tf.train", *flags]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    notes = [each for each in re.split(r"[\r\n]+", done.stderr) if NOTE.match(each)]
    assert not notes
