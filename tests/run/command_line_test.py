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
    "an empty value": (
        ArgumentError("model_dir", "", "no settings there"),
        "model_dir=: no settings there",
        "--model_dir=: no settings there",
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
        ArgumentError("b", 1, "a=2, a, data, x=a, /tmp/a/a and ./a/b; a.", also=["a"]),
        "b=1: a=2, a, data, x=a, /tmp/a/a and ./a/b; a.",
        "--b=1: --a=2, --a, data, x=a, /tmp/a/a and ./a/b; --a.",
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
