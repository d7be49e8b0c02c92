"""The documentation's way to prepare a data set from Python, without Apache Beam."""

import os
import subprocess
import sys

import pytest

from tests.support import documentation, small_data
from tests.support.places import ROOT

[BLOCK] = {
    block
    for page in documentation.pages().values()
    for block in documentation.blocks(page, "python")
    if "tfds.builder" in block
}


@pytest.mark.parametrize(
    ("data_set", "name", "pictures"), [("market", "market1501", 11), ("duke", "dukemtmc_reid", 10)]
)
def test_a_data_set_is_prepared(tmp_path, data_set, name, pictures):
    """In a process that has imported nothing yet."""
    small_data.write_archive(tmp_path / "archives", data_set)
    code = BLOCK.replace("market1501", name) + "print('pictures:', len(gallery))\n"
    code += "import sys; print('beam:', 'apache_beam' in sys.modules)\n"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    assert found.stdout.endswith(f"pictures: {pictures}\nbeam: False\n")
    assert (tmp_path / "prepared" / name / "1.0.0" / "dataset_info.json").exists()
