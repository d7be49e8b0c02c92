"""A finished run whose model knows two cameras, and crops of others on disk."""

import os
import pathlib
import shutil
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from arn_tf.run.folder import RunDir
from arn_tf.strong import camera_statistics
from arn_tf.strong.model import StrongModel
from arn_tf.strong.settings import StrongSettings
from tests.support import small_data

SIZE = (small_data.HEIGHT, small_data.WIDTH)
PATTERN = r"_c(\d+)"


def noise(seed: int, count: int, low: int = 0, high: int = 256) -> np.ndarray:
    """Returns pictures of random pixels, uint8 [count, 64, 32, 3]."""
    return np.random.default_rng(seed).integers(low, high, (count, *SIZE, 3)).astype(np.uint8)


def write_crops(
    folder: pathlib.Path, camera: int | str, pictures: Iterable[np.ndarray]
) -> pathlib.Path:
    """Writes pictures of a camera as PNG files; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for shot, picture in enumerate(pictures):
        path = folder / f"{shot:04d}_c{camera}.png"
        path.write_bytes(tf.io.encode_png(picture).numpy())
    return folder


def finished(path):
    """Writes a folder as a run leaves it; its model knows cameras 1 and 2."""
    run = RunDir(str(path))
    os.makedirs(run.path)
    StrongSettings(
        source="market",
        target="duke",
        backbone="Tiny",
        backbone_weights="random",
        input_size=f"{SIZE[0]}x{SIZE[1]}",
        model_dir=run.path,
    ).save(run.file("settings.json"))
    keras.utils.set_random_seed(0)
    model = StrongModel(3, "Tiny", "random", SIZE)
    pictures = np.concatenate([noise(0, 70, 0, 150), noise(1, 70, 100, 256)])
    model, _ = camera_statistics.estimate(model, pictures, np.repeat([1, 2], 70))
    run.save_model(model, "model.keras")
    return run


def copied(run, folder):
    """The `RunDir` of a copy of a run."""
    shutil.copytree(run.path, folder)
    return RunDir(str(folder))


def contents(run: RunDir) -> bytes:
    """Returns the file of the run's model."""
    return pathlib.Path(run.file("model.keras")).read_bytes()
