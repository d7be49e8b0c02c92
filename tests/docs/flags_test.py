"""The command lines of README and docs name programs that are there, and flags that they take."""

import concurrent.futures
import os
import re
import sys

import pytest

from tests.support import documentation
from tests.support.places import ROOT
from tests.support.program import Program

# Takes another program's flags, which its --help doesn't list; tests/docs/run_test.py runs it.
PASSES_ON = "serving.deploy.check_config"
# Flags in the text that are other programs': of docker compose and TensorFlow Serving.
OTHERS = {"profile", "enable_batching", "batching_parameters_file"}


def programs() -> dict[tuple[str, ...], set[str]]:
    """{(module,) or (module, subcommand): flags} of every `python -m` line."""
    found: dict[tuple[str, ...], set[str]] = {}
    for line in documentation.command_lines():
        if line[:2] == ["python", "-m"]:
            words = 4 if line[2] in ("serving.client", "serving.gallery") else 3
            flags = {word[2:].partition("=")[0] for word in line if word.startswith("--")}
            found.setdefault(tuple(line[2:words]), set()).update(flags)
    return found


PROGRAMS = programs()


def flags_of(program: tuple[str, ...]) -> set[str]:
    """The flags that --help of a program lists, absl's or argparse's."""
    line = [sys.executable, "-m", *program, "--help"]
    out, _ = Program(line).communicate(timeout=120)
    return set(re.findall(r"^ +(?:-\w, )?--(?:\[no\])?(\w+)", out, re.MULTILINE))


@pytest.fixture(scope="module")
def known():
    """{program: its flags} of the programs that are documented with flags; each is asked once."""
    asked = [program for program, flags in PROGRAMS.items() if flags and program[0] != PASSES_ON]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        return dict(zip(asked, threads.map(flags_of, asked), strict=True))


@pytest.mark.parametrize("program", PROGRAMS, ids=" ".join)
def test_every_program_is_there(program):
    path = ROOT.joinpath(*program[0].split("."))
    assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def test_the_main_programs_are_documented():
    assert {program[0] for program in PROGRAMS} >= {
        *(
            f"arn_tf.{name}"
            for name in ("train", "evaluate", "ablate", "calibrate", "export", "embed")
        ),
        *(f"serving.{name}" for name in ("server", "client", "gallery")),
        *(f"studies.{name}" for name in ("joint_training", "model_choice", "labelled_choice")),
    }


@pytest.mark.parametrize("program", PROGRAMS, ids=" ".join)
def test_every_flag_of_a_command_is_in_its_help(program, known):
    if program in known:
        assert PROGRAMS[program] <= known[program]


def test_every_flag_in_the_text_is_some_command_s(known):
    everything = set().union(*known.values(), OTHERS, {"help"})
    for name, page in documentation.pages().items():
        assert set(re.findall(r"`--(\w+)", page)) <= everything, name
