"""Whatever terminal, pipe or disk a command prints to: no letter ends it, and no traceback."""

import os
import subprocess
import sys

import pytest

from tests.support.places import ROOT

LETTERS = "é±…•█中🚶"
# {terminal: (its environment, how it shows LETTERS)}
ESCAPED = r"\xe9\xb1\u2026\u2022\u2588\u4e2d\U0001f6b6"
TERMINALS = {
    "latin-1": ({"PYTHONIOENCODING": "latin-1"}, "é±" + ESCAPED[8:]),
    "ascii": ({"PYTHONIOENCODING": "ascii"}, ESCAPED),
    "ascii, strict": ({"PYTHONIOENCODING": "ascii:strict"}, ESCAPED),
    "Windows": ({"PYTHONIOENCODING": "cp1252"}, "é±…•" + ESCAPED[20:]),
    "C": ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, ESCAPED),
    "UTF-8, strict": ({"PYTHONIOENCODING": "utf-8:strict"}, LETTERS),
}
FAMILIES = ("arn_tf.run.command_line", "serving.command")
# As a command: arn_tf imports no TensorFlow then.
PROGRAM = """
import sys
sys.argv, sys.orig_argv = ["-m"], ["python", "-m", "arn_tf.train"]
from {module} import run
sys.argv = ["program"]
def main():
    {body}
run(main)
"""


def start(module, body, environment=(), **streams):
    """Runs a program whose `main` is `body` with `run` of a module."""
    line = [sys.executable, "-c", PROGRAM.format(module=module, body=body)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.run(line, cwd=ROOT, env=os.environ | dict(environment), **streams)


@pytest.mark.parametrize("module", FAMILIES)
@pytest.mark.parametrize("terminal", TERMINALS)
def test_a_letter_that_the_terminal_lacks_is_escaped(module, terminal):
    environment, shown = TERMINALS[terminal]
    encoding = environment.get("PYTHONIOENCODING", "ascii").partition(":")[0]
    text = ascii(LETTERS + " \udcff")
    done = start(module, f"print({text}); print({text}, file=sys.stderr)", environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode(encoding) == done.stderr.decode(encoding) == shown + " \\udcff\n"


@pytest.mark.parametrize("module", FAMILIES)
def test_streams_that_python_code_replaced_are_left(module):
    body = (
        "import io; sys.stdout = io.StringIO(); print('é'); sys.stderr.write(sys.stdout.getvalue())"
    )
    done = start(module, body, {"PYTHONIOENCODING": "utf-8"})
    assert (done.returncode, done.stderr.decode()) == (0, "é\n")


# What a shell puts after a command.
STREAMS = ("<&- >&- 2>&-", ">&-", ">/dev/full", "2>/dev/full", "&>/dev/full")


def in_shell(line, streams, **environment):
    """Runs a line of Python with streams as bash opens them."""
    shell = ["bash", "-c", f'"$0" "$@" {streams}; exit ${{PIPESTATUS[0]}}', sys.executable, *line]
    environment = os.environ | {"PYTHONUNBUFFERED": ""} | environment
    return subprocess.run(shell, cwd=ROOT, env=environment, capture_output=True, text=True)


def program(module, body):
    return ["-c", PROGRAM.format(module=module, body=body)]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("module", FAMILIES)
def test_what_cannot_be_printed_costs_no_work(tmp_path, module, streams, unbuffered):
    """The status is that of the work, or 1 where stdout's disk is full."""
    body = "open('{0}', 'x').close(); print('done'); raise KeyboardInterrupt"
    status = 1 if unbuffered and streams in (">/dev/full", "&>/dev/full") else 130
    for raised in (True, False):
        path = tmp_path / str(raised)
        text = body.format(path) if raised else body.format(path).replace("raise ", "")
        done = in_shell(program(module, text), streams, PYTHONUNBUFFERED=unbuffered)
        assert path.exists() and "Traceback" not in done.stderr
        finished = 1 if streams in (">/dev/full", "&>/dev/full") else 0
        assert done.returncode == (status if raised else finished)
    if streams == ">/dev/full":
        assert "error: stdout can't be written: No space left on device" in done.stderr


DOORS = {
    "arn_tf.evaluate stray": 2,
    "arn_tf.train --no_such_flag": 2,
    "arn_tf.train --help": 0,
    "serving.gallery info --gallery=nowhere": 2,
    "serving.gallery --help": 0,
    "serving.server --model_dir=nowhere": 2,
    "serving.deploy.check_config --port=8500": 0,
}


@pytest.mark.parametrize("streams", [*STREAMS, "| true", "2>&1 | true"])
@pytest.mark.parametrize("door", DOORS)
def test_the_exit_status_says_it_where_nothing_can_be_printed(door, streams):
    done = in_shell(["-m", *door.split()], streams)
    statuses = {DOORS[door]}
    if statuses == {0} and "|" in streams:
        statuses = {0, 1}  # The reader may still have been there.
    elif statuses == {0} and streams in (">/dev/full", "&>/dev/full"):
        statuses = {1}
    assert done.returncode in statuses
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.parametrize("module", FAMILIES)
def test_no_file_takes_the_place_of_a_closed_stream(module):
    body = "import os; os.write(9, b'%d' % os.open(os.curdir, 0))"
    done = in_shell(program(module, body), "9>&1 <&- >&- 2>&-")
    assert done.returncode == 0 and int(done.stdout) > 2


@pytest.mark.parametrize("streams", ["&>/dev/full", ">&- 2>&-"])
def test_a_server_goes_on_where_nobody_reads(streams):
    body = (
        "from serving.command import say, warn; say('a'); say('b'); warn('c'); warn('d'); exit(7)"
    )
    assert in_shell(program("serving.command", body), streams).returncode == 7


@pytest.mark.parametrize("terminal", ["ascii", "C", "UTF-8, strict"])
@pytest.mark.parametrize(
    "line",
    [
        "arn_tf.evaluate ",
        "arn_tf.train --source=",
        "serving.client embed --output=x.npz --timeout=",
        "serving.gallery info --gallery=",
        "serving.deploy.check_config ",
        "serving.deploy.tls_config --certificate=a --output=b --key=",
    ],
)
def test_an_argument_in_any_encoding_is_named_in_its_error(line, terminal):
    *words, last = line.encode().split(b" ")
    command = [sys.executable, "-m", *words, last + LETTERS.encode() + b"\xff"]
    environment = os.environ | TERMINALS[terminal][0]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True)
    assert done.returncode == 2 and b"Traceback" not in done.stderr
    assert b"\\xff" in done.stderr or b"\\udcff" in done.stderr


def test_a_name_that_tensorflow_cannot_take_is_said_to_be_one():
    body = "'a\\udcff.keras'.encode()"
    done = start("arn_tf.run.command_line", body, {"PYTHONIOENCODING": "utf-8"})
    assert done.returncode == 2
    assert done.stderr.decode().startswith("error: a\\udcff.keras: TensorFlow takes only names in")


def test_files_are_in_utf_8_whatever_the_terminal(tmp_path):
    path, text = tmp_path / "table.md", ascii(LETTERS + " \udcff")
    body = f"from datasets.files import atomic_files as a; a.replace_text({str(path)!r}, {text})"
    done = start("arn_tf.run.command_line", body, TERMINALS["C"][0])
    assert done.returncode == 0, done.stderr
    assert path.read_text(encoding="utf-8") == LETTERS + " \\udcff"
