"""What programs set before TensorFlow: freed memory is kept, and what the user has set stays."""

import os
import platform
import resource
import subprocess
import sys

import pytest

from datasets import tensorflow_process
from tests.support.places import ROOT

# In a thread's heap, too, which holds 64 MiB at most.
FAULTS = """
import ctypes, resource, sys, threading
from datasets import tensorflow_process

# PR_SET_THP_DISABLE: no huge pages, of which there would be few.
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def allocate():
    for size in (1, 30, 100):
        bytearray(size << 20)

def work():
    allocate()
    before = faults()
    for _ in range(4):
        allocate()
    print(faults() - before)

print(tensorflow_process.keep_freed_memory())
work()
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
# Of 4 x 131 MiB where every page is cleared anew each time; where it isn't, a few.
ALL, FEW = 4 * (131 << 20) // resource.getpagesize(), 200


def python(program: str, **variables: str) -> list[str]:
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MALLOC_", "GLIBC_", "TF_ENABLE", "LD_PRELOAD"))
    }
    line = [sys.executable, "-c", program]
    done = subprocess.run(line, cwd=ROOT, env=ours | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_used_again():
    kept, *found = python(FAULTS)
    assert kept == "True" and max(map(int, found)) < FEW


@pytest.mark.parametrize(
    "variables",
    [
        {"MALLOC_ARENA_MAX": "2"},
        {"MALLOC_TRIM_THRESHOLD_": "131072"},
        {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=7"},
    ],
    ids=str,
)
def test_what_the_user_has_set_stays(variables):
    kept, *found = python(FAULTS, **variables)
    assert kept == "False" and min(map(int, found)) > ALL / 3


def test_another_allocator_is_left_alone(tmp_path):
    """One that is loaded before the C library, and has a malloc of its own."""
    source, library = tmp_path / "own.c", tmp_path / "own.so"
    source.write_text(
        "#include <stddef.h>\n"
        "extern void *__libc_malloc(size_t);\n"
        "void *malloc(size_t size) { return __libc_malloc(size); }\n"
    )
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    except FileNotFoundError:
        pytest.skip("no C compiler")
    assert python(FAULTS, LD_PRELOAD=str(library))[0] == "False"


def test_another_c_library_is_left_alone(monkeypatch):
    def none(name: str | None) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(tensorflow_process.ctypes, "CDLL", none)
    assert not tensorflow_process.keep_freed_memory()


@pytest.mark.parametrize(("machine", "expected"), [("x86_64", "1"), ("aarch64", None)])
def test_one_dnn_is_on_where_it_is_faster(monkeypatch, machine, expected):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.setattr(tensorflow_process, "keep_freed_memory", lambda: False)
    monkeypatch.setattr(tensorflow_process.platform, "machine", lambda: machine)
    tensorflow_process.prepare()
    assert os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None) == expected


def test_one_dnn_stays_as_the_user_has_set_it(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setattr(tensorflow_process, "keep_freed_memory", lambda: False)
    tensorflow_process.prepare()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"


# A command, whose TensorFlow isn't imported with the package.
COMMAND = """
import sys
sys.argv, sys.orig_argv = ["-m"], ["python", "-m", "arn_tf.train"]
from arn_tf.run import command_line
from datasets import tensorflow_process

def prepare():
    print("tensorflow" in sys.modules)
    raise SystemExit

tensorflow_process.prepare = prepare
command_line.call(command_line.start_tensorflow)
"""


def test_commands_set_it_before_tensorflow():
    assert python(COMMAND) == ["False"]


SERVER = """
import sys
from datasets import tensorflow_process
from serving.server import __main__

def prepare():
    print("tensorflow" in sys.modules)
    raise SystemExit

tensorflow_process.prepare = prepare
__main__.arguments.check = lambda *_: None
__main__.main(["--model_dir=none"])
"""


def test_the_server_sets_it_before_tensorflow():
    assert python(SERVER) == ["False"]
