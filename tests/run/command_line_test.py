"""The texts of errors: arguments below the commands, flags on the command line."""

import pytest

from arn_tf.errors import ArgumentError, UserError
from arn_tf.run.command_line import message

# (the error, its text, what a command prints)
ERRORS = {
    "value": (
        ArgumentError("replicas", 2, "there is one GPU"),
        "replicas=2: there is one GPU",
        "--replicas=2: there is one GPU",
    ),
    "no value": (
        ArgumentError("export_dir", None, "name a folder"),
        "export_dir: name a folder",
        "--export_dir: name a folder",
    ),
    "an empty value": (
        ArgumentError("model_dir", "", "no settings there"),
        "model_dir=: no settings there",
        "--model_dir=: no settings there",
    ),
    "a sentence with other arguments": (
        ArgumentError(
            "cache_dir", "d", "is full. Pass feature_cache=none or cache_dir=FOLDER",
            also=["feature_cache", "cache_dir"], joint=" ",
        ),
        "cache_dir=d is full. Pass feature_cache=none or cache_dir=FOLDER",
        "--cache_dir=d is full. Pass --feature_cache=none or --cache_dir=FOLDER",
    ),
    "names inside of others": (
        ArgumentError("b", 1, "a=2, a, data, /tmp/a/a and ./a/b; a.", also=["a"]),
        "b=1: a=2, a, data, /tmp/a/a and ./a/b; a.",
        "--b=1: --a=2, --a, data, /tmp/a/a and ./a/b; --a.",
    ),
    "one or the other": (
        ArgumentError("source/target", None, "market: no archive", joint=" "),
        "source/target market: no archive",
        "--source/--target market: no archive",
    ),
    "another mistake": (UserError("file.h5: broken"), "file.h5: broken", "file.h5: broken"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_arguments_are_named_in_texts_and_flags_on_the_command_line(case):
    error, text, printed = ERRORS[case]
    assert str(error) == text
    assert message(error) == printed


def test_an_argument_error_is_a_user_error_that_says_which():
    error = ArgumentError("replicas", 2, "there is one GPU")
    assert isinstance(error, UserError)
    assert (error.argument, error.value, error.problem) == ("replicas", 2, "there is one GPU")
