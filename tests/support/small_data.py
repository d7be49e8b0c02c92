"""Tiny archives in the layouts of Market-1501 and DukeMTMC-reID, and settings to train on them.

Every person has two colours, every camera a tint, and every picture its noise and a person who
stands anywhere but in the middle: pictures differ from each other and from their mirror images.
"""

import atexit
import dataclasses
import functools
import io
import os
import pathlib
import runpy
import shutil
import signal
import sys
import tempfile
import types
import unittest.mock
import zipfile

import keras
import numpy as np
from PIL import Image

from arn_tf.paper import train
from arn_tf.paper.settings import Settings
from datasets.dukemtmc_reid.dukemtmc_reid_dataset_builder import LAYOUT as DUKE
from datasets.market1501.market1501_dataset_builder import LAYOUT as MARKET
from tests.support.places import ROOT
from tests.support.program import Program

LAYOUTS = {"market": MARKET, "duke": DUKE}
# Variable of a process that `killed_at` starts.
_DEATH = "ARN_TF_TEST_DEATH"
HEIGHT, WIDTH = 64, 32


def picture(person, camera, shot, size=(HEIGHT, WIDTH)):
    """One JPEG, as bytes: the same for the same numbers."""
    rng = np.random.default_rng([person + 1, camera, shot])
    height, width = size
    top, bottom = np.random.default_rng(person + 100).integers(30, 226, (2, 3))
    pixels = np.full((height, width, 3), 70 + 30 * camera, np.float64)
    left = int(rng.integers(0, width // 3))
    pixels[: height // 2, left : left + width // 2] = top
    pixels[height // 2 :, left : left + width // 2] = bottom
    pixels += rng.normal(0, 12, pixels.shape) + np.array([10, -10, 5]) * (camera - 2)
    encoded = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(encoded, "JPEG", quality=92)
    return encoded.getvalue()


def file_name(data_set, person, camera, shot):
    if data_set == "market":
        name = "-1" if person == -1 else f"{person:04d}"
        return f"{name}_c{camera}s1_{shot:06d}_00.jpg"
    return f"{person:04d}_c{camera}_f{shot:07d}.jpg"


def pictures(data_set, identities=6, shots=2, cameras=2):
    """{path below the data set's folder: JPEG}: people 1.. train, 101.. are searched for."""
    offset = 0 if data_set == "market" else 20
    found = {}

    def add(folder, person, camera, shot):
        name = file_name(data_set, person, camera, shot)
        found[f"{folder}/{name}"] = picture(person + offset, camera, shot)

    for camera in range(1, cameras + 1):
        for shot in range(1, shots + 1):
            for person in range(1, identities + 1):
                add("bounding_box_train", person, camera, shot)
            for person in range(101, 105):
                add("query" if shot == 1 else "bounding_box_test", person, camera, shot)
        add("bounding_box_test", 0, camera, 7)
    if data_set == "market":
        add("bounding_box_test", -1, 1, 8)
    return found


def write_archive(manual_dir, data_set, files=None, **sizes):
    """Writes the archive of `market` or `duke` into `manual_dir` and returns its path."""
    manual_dir = pathlib.Path(manual_dir)
    manual_dir.mkdir(parents=True, exist_ok=True)
    layout = LAYOUTS[data_set]
    path = manual_dir / layout.archive
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (files or pictures(data_set, **sizes)).items():
            # A fixed date: equal archives are equal files.
            archive.writestr(zipfile.ZipInfo(f"{layout.folder}/{name}"), data)
    return path


def tiny_network(include_top, weights, input_shape):
    """What a network of `keras.applications` is, but built in a moment; Keras names its layers."""
    assert not include_top and weights is None
    picture = keras.Input(input_shape)
    x = keras.layers.Conv2D(12, 5, 4, "same", use_bias=False)(picture)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(24, 5, 4, "same")(x)
    return keras.Model(picture, keras.layers.ReLU()(x), name="tiny")


def register_network(name, build):
    """Makes --backbone=`name` a network of `keras.applications`, in this process."""
    module = types.ModuleType(name.lower())
    for place in (module, keras.applications):
        setattr(place, name, build)
    module.preprocess_input = lambda images: images / 127.5 - 1.0
    build.__module__ = module.__name__
    sys.modules[module.__name__] = module


@functools.cache
def folder():
    """A folder for this process, removed at its end."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="arn_tf_test_"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def inputs():
    """Writes both archives unless they are there; returns what `Settings` must know of them."""
    manual = folder() / "manual"
    if not manual.exists():
        for data_set in LAYOUTS:
            write_archive(manual, data_set)
    return {"manual_dir": str(manual), "data_dir": str(folder() / "prepared")}


# Three branches in three epochs of three steps: E_I is tuned in the first epoch, and the joint
# objective comes in the last.
TINY = {
    "source": "market",
    "target": "duke",
    "backbone": "Tiny",
    "backbone_weights": "random",
    "input_size": f"{HEIGHT}x{WIDTH}",
    "embedding_dim": 64,
    "hidden_width": 32,
    "batch_size": 8,
    "images_per_identity": 2,
    "epochs": 3,
    "source_only_epochs": 2,
    "encoder_i_epochs": 1,
    "encoder_i_learning_rate": 1e-4,
    "learning_rate_scale": 3.0,
    "replicas": 1,
}
# The arn branch alone, E_I frozen, and nobody looking.
SHORT = {
    "epochs": 1,
    "source_only_epochs": 0,
    "encoder_i_epochs": 0,
    "source_only_baseline": False,
    "monitor_every": 0,
}


def settings(model_dir, **changes):
    """`Settings` of a run that takes seconds."""
    return Settings(**TINY | inputs() | {"model_dir": str(model_dir)} | changes)


def short_run(model_dir, **changes):
    """{variable: NumPy array} after a run with the settings of `SHORT`."""
    return weights(train.train(settings(model_dir, **SHORT | changes)).file("model.keras"))


def weights(path):
    """{name: NumPy array} of every variable of a saved model; its optimizers' are optimizer/..."""
    model = keras.models.load_model(path)
    found = {variable.path: variable.numpy() for variable in model.variables}
    found["optimizer/iterations"] = model.optimizer.iterations.numpy()
    for inner in model.optimizer.optimizers:
        for i, variable in enumerate(inner.variables):
            found[f"optimizer/{inner.name}/{i}/{variable.path}"] = variable.numpy()
    return found


def distance(a, b):
    """Euclidean distance of what was learnt, of two results of `weights`."""
    assert a.keys() == b.keys()
    learnt = [name for name in a if not name.startswith("optimizer/") and "moving" not in name]
    return float(np.sqrt(sum(np.sum((a[k].astype("f8") - b[k]) ** 2) for k in learnt)))


def assert_equal(a, b):
    """Every variable of two results of `weights`, bit for bit."""
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def command(module, settings=None, **flags):
    """The command line of `python -m module`, in a process that knows the tiny network."""
    flags = (dataclasses.asdict(settings) if settings else {}) | flags
    script = [sys.executable, "-u", str(ROOT / "tests" / "support" / "small_data.py"), module]
    return script + [f"--{name}={value}" for name, value in flags.items()]


def start(line):
    """Starts a command line of Python."""
    return Program(line)


def finish(line):
    """Runs a command line to its end: (status, stdout, stderr)."""
    process = start(line)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def killed_at(line, when, path):
    """Runs a command line that dies, as by kill -9, as a file gets its name.

    Args:
        line: see `command`.
        when: "before" it has it, while it lies beside under another one; or "after".
        path: of the file.

    Returns:
        what it had printed.
    """
    environment = {_DEATH: f"{when} {path}"}
    with unittest.mock.patch.dict(os.environ, environment):
        process = start(line)
    try:
        _, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == -signal.SIGKILL, err[-3000:]
    return process.printed()


def _die_as_told():
    """Ends this process where `killed_at` says: what is kept gets its name by `os.replace`."""
    when, _, path = os.environ[_DEATH].partition(" ")
    replace = os.replace

    def dying(source, target, **named):
        dies = os.path.abspath(target) == os.path.abspath(path)
        if not (dies and when == "before"):
            replace(source, target, **named)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = dying


def run_again(test_file, *arguments):
    """Runs a test file as a program of its own; fails with the end of what it says."""
    status, _, err = finish([sys.executable, test_file, *arguments])
    assert status == 0, err[-3000:]


register_network("Tiny", tiny_network)

if __name__ == "__main__":
    del sys.argv[0]
    if _DEATH in os.environ:
        _die_as_told()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
