"""The benchmark of runtimes gives every export its turns."""

import subprocess
import sys

import pytest

from arn_tf.served import to_openvino
from tests.support import small_export, small_strong
from tests.support.places import ROOT


def test_the_table(tmp_path):
    pytest.importorskip("openvino")
    for place, picture in enumerate(small_export.PICTURES):
        (tmp_path / f"{place}.jpg").write_bytes(picture)
    folders = [str(small_strong.models(each) / "arn" / "1") for each in (None, to_openvino)]
    line = [sys.executable, "-m", "benchmarks.runtimes", "--exports", *folders]
    line += [f"--pictures={tmp_path}", "--by_camera", "--batch_size=2"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "\n5 pictures of 64x32, each by a camera, batches of 2" in done.stdout
    assert "| OpenVINO, float32, to the SavedModel | at least 1.60 |" in lines[-1]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:4]]
    assert [row[0] for row in rows] == folders
    assert rows[0][1] == rows[0][2] == "1.00" and float(rows[1][4].replace(",", "")) > 0
