"""Errors name arguments; the command lines name flags."""

import subprocess
import sys

import pytest

from serving import command
from serving.errors import BadInputError, ServingError, TlsError
from tests.support.doors import answer
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


@pytest.mark.parametrize(
    ("items", "text"),
    [([], ""), (["a"], "a"), (["a", "b", "c"], "a, b, c"), (list("abcde"), "a, b, c, and 2 more")],
)
def test_examples(items, text):
    assert command.examples(items) == text


NOTES = """
import os, sys
# As a command: arn_tf imports no TensorFlow then.
arguments, sys.argv, sys.orig_argv = sys.argv, ["-m"], ["python", "-m", "arn_tf.train"]
from {module} import without_startup_notes
with without_startup_notes():
    os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written\\n")
    os.write(2, b"I0000 00:00:1 1 port.cc:153] oneDNN custom operations are on.\\n")
    os.write(2, b"E0000 00:00:1 1 cuda_platform.cc:51] failed call to cuInit: INTERNAL: no GPU\\n")
    os.write(2, b"To enable the following instructions: FMA, rebuild TensorFlow with flags.\\n")
    os.write(2, b"E0000 00:00:1 1 gpu.cc:1] out of memory\\n")
    os.write(2, b"W0000 00:00:1 1 gpu.cc:1] Cannot dlopen some GPU libraries.\\n")
    print("a line of Python", file=sys.stderr)
    if len(arguments) > 1:
        raise ImportError("no such library")
print("after", file=sys.stderr)
"""


@pytest.mark.parametrize("module", ["serving.command", "arn_tf.run.command_line"])
@pytest.mark.parametrize("arguments", [[], ["fail"]])
def test_startup_notes_are_dropped_and_nothing_else(module, arguments):
    line = [sys.executable, "-c", NOTES.format(module=module), *arguments]
    printed = subprocess.run(line, cwd=ROOT, capture_output=True, text=True).stderr
    lines = printed.splitlines()
    assert lines[:3] == [
        "E0000 00:00:1 1 gpu.cc:1] out of memory",
        "W0000 00:00:1 1 gpu.cc:1] Cannot dlopen some GPU libraries.",
        "a line of Python",
    ]
    assert lines[-1] == ("ImportError: no such library" if arguments else "after")


BREAK = """
import os, signal, sys
from serving import command
signal.SIGBREAK = signal.SIGUSR1  # Windows has a signal of this name
sys.platform = "win32"
command.run(lambda: os.kill(os.getpid(), signal.SIGBREAK))
"""


def test_ctrl_break_ends_a_command_as_sigterm_does():
    done = subprocess.run([sys.executable, "-c", BREAK], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 143 and done.stderr.endswith("stopped\n")


DOORS = ("client", "gallery", "server", "deploy.check_config", "deploy.tls_config")
HEAVY = ("numpy", "tensorflow", "faiss", "grpc", "arn_tf", "keras", "PIL")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("flag", "status"), [("--help", 0), ("--no_such_flag", 2)])
def test_help_and_wrong_flags_load_nothing_heavy(tmp_path, door, flag, status):
    done = answer(tmp_path, f"serving.{door}", flag, refused=HEAVY)
    assert done.returncode == status and "Traceback" not in done.stderr
