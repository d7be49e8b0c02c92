"""--help and wrong flags are answered at once: before TensorFlow, Keras or NumPy is imported."""

import importlib

import pytest

from tests.support.doors import answer

DOORS = (
    "train",
    "evaluate",
    "ablate",
    "calibrate",
    "export",
    "embed",
    "rank",
    "demo",
    "inspect",
    "weights",
)
HEAVY = ("tensorflow", "keras", "numpy")


@pytest.mark.parametrize("door", DOORS)
def test_help_is_answered_at_once(tmp_path, door):
    done = answer(tmp_path, f"arn_tf.{door}", "--help", refused=HEAVY)
    # absl ends --help with 1.
    assert done.returncode in (0, 1) and done.stderr == ""
    # The module's docstring is what --help begins with; the demo would begin to draw.
    first = importlib.import_module(f"arn_tf.{door}").__doc__.splitlines()[0]
    assert done.stdout.lstrip().startswith(first)


@pytest.mark.parametrize("door", DOORS)
def test_a_wrong_flag_is_answered_at_once(tmp_path, door):
    done = answer(tmp_path, f"arn_tf.{door}", "--no_such_flag=1", refused=HEAVY)
    assert done.returncode == 2 and done.stdout == ""
    assert "no_such_flag" in done.stderr and "Traceback" not in done.stderr


def test_the_refusal_refuses(tmp_path):
    done = answer(tmp_path, "arn_tf.evaluate", "--model_dir=nowhere", refused=HEAVY)
    assert done.returncode == 1
    assert "ImportError: keras is imported before" in done.stderr
