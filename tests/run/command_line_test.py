"""The texts of errors: arguments below the commands, flags on the command line."""

import os
import pickle
import subprocess
import sys

import pytest

from arn_tf.errors import ArgumentError, UserError
from arn_tf.run.callbacks import NonFiniteError
from arn_tf.run.command_line import message
from tests.support.places import ROOT

# (the error, its text, what a command prints)
ERRORS = {
    "value": (
        ArgumentError("replicas", 2, "there is one GPU"),
        "replicas=2: there is one GPU",
        "--replicas=2: there is one GPU",
    ),
    "an empty value": (
        ArgumentError("model_dir", "", "no settings there"),
        "model_dir=: no settings there",
        "--model_dir=: no settings there",
    ),
    "a file of the same name": (
        UserError("pairs pairs.csv: no pairs. Name others with pairs=TABLE", ["pairs"]),
        "pairs pairs.csv: no pairs. Name others with pairs=TABLE",
        "--pairs pairs.csv: no pairs. Name others with --pairs=TABLE",
    ),
    "a sentence with other arguments": (
        UserError(
            "cache_dir=d is full. Pass feature_cache=none or cache_dir=FOLDER",
            ["cache_dir", "feature_cache"],
        ),
        "cache_dir=d is full. Pass feature_cache=none or cache_dir=FOLDER",
        "--cache_dir=d is full. Pass --feature_cache=none or --cache_dir=FOLDER",
    ),
    "names inside of others": (
        ArgumentError("b", 1, "a_b=2, a_b, ba_b, x=a_b, /tmp/a_b/a_b and ./a_b/b; a_b.", ["a_b"]),
        "b=1: a_b=2, a_b, ba_b, x=a_b, /tmp/a_b/a_b and ./a_b/b; a_b.",
        "--b=1: --a_b=2, --a_b, ba_b, x=a_b, /tmp/a_b/a_b and ./a_b/b; --a_b.",
    ),
    "plain words": (
        UserError("images=my images: images in source; pass source=a", ["images", "source"]),
        "images=my images: images in source; pass source=a",
        "--images=my images: images in source; pass --source=a",
    ),
    "lines": (
        UserError("a_b=x has others:\n  seed: 0 there, 1 here, seed 1 counts", ["a_b", "seed"]),
        "a_b=x has others:\n  seed: 0 there, 1 here, seed 1 counts",
        "--a_b=x has others:\n  --seed: 0 there, 1 here, seed 1 counts",
    ),
    "two plain words": (
        UserError("source or target market: no target there", ["source", "target"]),
        "source or target market: no target there",
        "--source or --target market: no target there",
    ),
    "no argument": (UserError("file.h5: broken"), "file.h5: broken", "file.h5: broken"),
    "another exception": (ValueError("a=1"), "a=1", "a=1"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_arguments_are_named_in_texts_and_flags_on_the_command_line(case):
    error, text, printed = ERRORS[case]
    assert str(error) == text
    assert message(error) == printed


def test_an_argument_error_is_a_user_error_that_says_which():
    error = ArgumentError("replicas", 2, "there is one GPU", also=["seed"])
    assert isinstance(error, UserError)
    assert error.arguments == ("replicas", "seed")


@pytest.mark.parametrize("error", [ArgumentError("a_b", 1, "c"), NonFiniteError("x", "y", ["z"])])
def test_errors_cross_to_another_process(error):
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, UserError)
    assert (str(again), again.arguments) == (str(error), error.arguments)


@pytest.mark.parametrize(("flag", "status"), [("--help", 0), ("--helpfull", 0), ("--halp", 2)])
def test_help_is_no_failure_and_a_wrong_flag_is_one(flag, status):
    line = [sys.executable, "-m", "arn_tf.evaluate", flag]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == status
    assert "--help" in (done.stderr if status else done.stdout)


def test_help_may_be_read_in_part():
    line = [sys.executable, "-m", "arn_tf.train", "--help"]
    reader, writer = os.pipe()
    os.close(reader)  # As of `--help | head`, which has ended.
    done = subprocess.run(line, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.stderr == ""
