"""OpenVINO tells nobody what it is used for."""

import subprocess
import sys

import pytest

# The conversion in the product makes this object; the stub in its place sends nothing.
PROGRAM = """
{}
from openvino.tools.ovc import telemetry_utils
print(type(telemetry_utils.init_ovc_telemetry()).__module__)
"""


@pytest.mark.parametrize(
    "first", ["from arn_tf.served import openvino_package as p; p.imported()", "import openvino"]
)
def test_nothing_is_sent(first, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(first)],
        check=True,
        capture_output=True,
        text=True,
        # Beside it, what would be sent without: the second case shows that the first could fail.
        env={"HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
    )
    silent = done.stdout.strip() == "openvino.tools.ovc.telemetry_stub"
    assert silent == (first != "import openvino")
    assert silent == (not (tmp_path / "intel").exists())
