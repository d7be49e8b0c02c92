"""Settings of Keras for other programs: ours work all the same, and the library says what to do."""

import json
import os
import subprocess
import sys

import keras
import pytest

from arn_tf.errors import UserError
from arn_tf.layers import keras_settings
from tests.support.places import ROOT

FOREIGN = {"floatx": "float16", "epsilon": 1e-3, "image_data_format": "channels_first"}
# As a command: arn_tf imports no TensorFlow then.
COMMAND = """
import sys
sys.argv, sys.orig_argv = ["-m"], ["python", "-m", "arn_tf.train"]
from arn_tf.run import command_line
command_line.call(command_line.start_tensorflow)
from keras import config
print(config.backend(), config.image_data_format(), config.floatx(), config.epsilon())
print(config.dtype_policy().name, config.max_epochs(), config.max_steps_per_epoch())
"""


def python(folder, *line, settings=None, **environment):
    """Runs Python where Keras's file holds `settings`, bytes or what becomes JSON."""
    folder.mkdir(exist_ok=True)
    content = settings if isinstance(settings, bytes) else json.dumps(settings or {}).encode()
    (folder / "keras.json").write_bytes(content)
    # A command that ran in this process has set its own.
    ours = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_")}
    environment = ours | {"KERAS_HOME": str(folder)} | environment
    line = [sys.executable, *map(str, line)]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_a_command_computes_by_its_own(tmp_path):
    variables = {"KERAS_BACKEND": "jax", "KERAS_NNX_ENABLED": "1"}
    variables |= {"KERAS_MAX_EPOCHS": "x", "KERAS_MAX_STEPS_PER_EPOCH": "1"}
    settings = FOREIGN | {"backend": "torch", "nnx_enabled": True}
    done = python(tmp_path, "-c", COMMAND, settings=settings, **variables)
    assert done.stdout.splitlines() == [
        "tensorflow channels_last float32 1e-07",
        "float32 None None",
    ], done.stderr


# {what Keras's file holds: what is wrong with it, as Keras says it}
UNREADABLE = {
    b"[1]": "no attribute 'get'",
    b'{"floatx": "bfloat16"}': "Invalid `floatx` configuration",
    b'{"epsilon": "small"}': "Invalid `epsilon` configuration",
}


@pytest.mark.parametrize("content", UNREADABLE)
@pytest.mark.parametrize(
    ("program", "status"),
    [("-m arn_tf.evaluate --model_dir=x", 2), ("-m studies.labelled_choice x", 2), ("-c", 1)],
)
def test_a_file_that_keras_cannot_read_is_named(tmp_path, content, program, status):
    line = program.split() if status == 2 else ["-c", "import arn_tf"]
    done = python(tmp_path, *line, settings=content)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == status
    assert str(tmp_path / "keras.json") in last and UNREADABLE[content] in last
    assert ("Traceback" in done.stderr) == (status == 1)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (["-m", "studies.labelled_choice", "nowhere"], 2),
        (["-m", "benchmarks.camera_batches", "--help"], 0),
    ],
)
def test_what_measures_starts(tmp_path, line, status):
    settings = FOREIGN | {"backend": "torch"}
    done = python(tmp_path, *line, settings=settings, KERAS_BACKEND="jax", KERAS_MAX_EPOCHS="x")
    assert done.returncode == status and "Traceback" not in done.stderr, done.stderr


def test_a_server_starts(tmp_path):
    """It gets as far as a model that is none."""
    version = tmp_path / "model" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"none")
    line = ["-m", "serving.server", "--port=0", f"--model_dir={tmp_path / 'model'}"]
    done = python(tmp_path, *line, settings=b"[1]", KERAS_BACKEND="nonsense")
    assert done.returncode == 2 and done.stderr.startswith(f"error: {version}"), done.stderr


@pytest.mark.parametrize(
    ("settings", "variables"),
    [({"backend": "jax"}, {}), ({}, {"KERAS_BACKEND": "torch"}), ({}, {"KERAS_BACKEND": "none"})],
)
def test_the_library_says_what_keras_runs_on(tmp_path, settings, variables):
    # TensorFlow's C++ prints notes after it, or into the middle.
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"} | variables
    done = python(tmp_path, "-c", "import arn_tf", settings=settings, **quiet)
    error = "arn_tf.errors.UserError: Keras can't be imported"
    assert error in done.stderr
    last = done.stderr[done.stderr.index(error) :]
    assert "arn_tf needs KERAS_BACKEND=tensorflow" in last and str(tmp_path / "keras.json") in last
    assert all(f"{name}={value}" in last for name, value in variables.items())


@pytest.mark.parametrize(
    ("name", "other"),
    [("image_data_format", "channels_first"), ("floatx", "float16"), ("floatx", "bfloat16")],
)
def test_the_library_refuses_what_a_program_has_chosen(name, other):
    before, choose = getattr(keras.config, name)(), getattr(keras.config, f"set_{name}")
    keras_settings.require()
    choose(other)
    try:
        with pytest.raises(UserError) as error:
            keras_settings.require()
    finally:
        choose(before)
    assert f"{name} is {other} here, and arn_tf needs {before}: call " in str(error.value)
    assert f"keras.config.set_{name}({before!r}) before" in str(error.value)


def test_the_library_refuses_another_backend_that_is_there(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(UserError, match=r"Keras runs on jax.*set KERAS_BACKEND=tensorflow before"):
        keras_settings.require()
