"""A small strong model with cameras, and runs of the strong recipe that take seconds."""

import contextlib
import io
import os
import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from PIL import Image

from arn_tf.run.folder import RunDir
from arn_tf.strong import train as strong_train
from arn_tf.strong.model import StrongModel
from arn_tf.strong.settings import StrongSettings
from tests.support import small_data, small_export

SIZE = (small_data.HEIGHT, small_data.WIDTH)
DIM = 24
CAMERAS = [4, 1, 2**40]


def model(seed: int = 0, cameras: Sequence[int] = CAMERAS, **options: Any) -> StrongModel:
    """Returns a `StrongModel` of the tiny network, its weights and all statistics random."""
    keras.utils.set_random_seed(seed)
    made = StrongModel(
        **{
            "num_identities": 3,
            "backbone": "Tiny",
            "backbone_weights": "random",
            "input_size": SIZE,
            "cameras": cameras,
            "seed": seed,
            **options,
        }
    )
    rng = np.random.default_rng(seed)
    for weight in [*made.encoder_i.non_trainable_weights, *made.table.weights]:
        low, high = (-1, 1) if "mean" in weight.path else (0.5, 2)
        weight.assign(rng.uniform(low, high, weight.shape))
    return made


def models(runtime=None):
    """A folder with version 1 of `arn`, an export of `model()`; written unless it is there.

    Args:
        runtime: as `publish.export` takes it.
    """
    folder = small_data.folder() / f"strong_models{'_' + runtime.NAME if runtime else ''}"
    if not folder.exists():
        small_export.export_model(model(), folder / "arn", small_export.PICTURES, runtime=runtime)
    return folder


# Three epochs of nine steps, two rounds of four.
TINY = {
    "source": "market",
    "target": "duke",
    "backbone": "Tiny",
    "backbone_weights": "random",
    "input_size": f"{SIZE[0]}x{SIZE[1]}",
    "batch_size": 16,
    "epochs": 3,
    "adam_learning_rate": 3e-3,
    "self_training_rounds": 2,
    "self_training_steps": 4,
    "replicas": 1,
}


def _harder(files: dict[str, bytes]) -> dict[str, bytes]:
    """Returns the same files, but through each to be searched for another of its camera shows.

    So no score is perfect, and a camera looks as it does in training.
    """
    rng = np.random.default_rng(0)
    searched = {
        name: np.asarray(Image.open(io.BytesIO(data)), np.float64)
        for name, data in files.items()
        if not name.startswith("bounding_box_train")
    }
    for name, pixels in searched.items():
        camera = re.search(r"_c\d", name)[0]
        others = [other for other_name, other in searched.items() if camera in other_name]
        mixed = 0.55 * pixels + 0.45 * others[rng.integers(len(others))]
        encoded = io.BytesIO()
        Image.fromarray(mixed.astype(np.uint8)).save(encoded, "JPEG", quality=92)
        files[name] = encoded.getvalue()
    return files


def inputs():
    """Writes both archives unless they are there; returns what `StrongSettings` must know of them.

    72 pictures of each camera are enough for a row.
    """
    folder = small_data.folder() / "small_strong"
    if not (folder / "manual").exists():
        for data_set in small_data.LAYOUTS:
            files = small_data.pictures(data_set, identities=12, shots=6)
            small_data.write_archive(folder / "manual", data_set, _harder(files))
    return {"manual_dir": str(folder / "manual"), "data_dir": str(folder / "prepared")}


def settings(model_dir: str | os.PathLike[str], **changes: Any) -> StrongSettings:
    """Returns settings of a run that takes seconds."""
    return StrongSettings(**TINY | inputs() | {"model_dir": str(model_dir)} | changes)


def trained(settings: StrongSettings) -> tuple[RunDir, str]:
    """Trains a run; returns it, and what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        run = strong_train.train(settings)
    return run, printed.getvalue()


def weights(run, stage):
    """{path: NumPy array} of every weight of a stage's model."""
    model = keras.models.load_model(run.file(f"{stage}.keras"))
    return {variable.path: variable.numpy() for variable in model.weights}
