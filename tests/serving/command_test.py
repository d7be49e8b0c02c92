"""Errors name arguments; the command lines name flags."""

import subprocess
import sys

import pytest

from serving import command
from serving.errors import BadInputError, ServingError, TlsError
from tests.support.places import ROOT


@pytest.mark.parametrize(
    ("error", "text", "flags"),
    [
        (
            BadInputError("give seconds above 0", arguments={"timeout": 0}),
            "timeout=0: give seconds above 0",
            "--timeout=0: give seconds above 0",
        ),
        (
            BadInputError("can't listen there", arguments={"host": "a", "port": 1}),
            "host=a port=1: can't listen there",
            "--host=a --port=1: can't listen there",
        ),
        (
            BadInputError("no such file", arguments={"tls.ca": "ca.pem"}),
            "tls.ca=ca.pem: no such file",
            "--tls_ca=ca.pem: no such file",
        ),
        (
            TlsError("give `tls.certificate` and `tls.key`, or `batch_size`=4"),
            "give `tls.certificate` and `tls.key`, or `batch_size`=4",
            "give --tls_certificate and --tls_key, or --batch_size=4",
        ),
        (
            BadInputError("no number by `camera_pattern`", "`odd`.jpg"),
            "`odd`.jpg: no number by `camera_pattern`",
            "`odd`.jpg: no number by --camera_pattern",
        ),
        (ServingError("gone"), "gone", "gone"),
    ],
)
def test_arguments_become_flags(error, text, flags):
    assert str(error) == text
    with pytest.raises(type(error)) as caught, command.naming_flags():
        raise error
    assert caught.value is error and str(error) == flags


DOORS = ("client", "gallery", "server", "deploy.check_config", "deploy.tls_config")
HEAVY = ("numpy", "tensorflow", "faiss", "grpc", "arn_tf", "keras", "PIL")
LOADED = """
import runpy, sys
sys.argv[0] = sys.argv[1]
module = sys.argv.pop(1)
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as end:
    print("status", end.code)
print("loaded", *sys.modules)
"""


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("flag", "status"), [("--help", "0"), ("--no_such_flag", "2")])
def test_help_and_wrong_flags_load_nothing_heavy(door, flag, status):
    line = [sys.executable, "-c", LOADED, f"serving.{door}", flag]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    *_, end, loaded = done.stdout.splitlines()
    assert end == f"status {status}" and "Traceback" not in done.stderr
    assert not {name.partition(".")[0] for name in loaded.split()} & {*HEAVY}


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
