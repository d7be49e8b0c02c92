"""A small strong model with cameras, and a whole run of the strong recipe that takes seconds."""

import contextlib
import functools
import io

import keras
import numpy as np
import small_data
import small_export
from PIL import Image

from arn_tf import export, strong_train
from arn_tf.strong_config import StrongSettings
from arn_tf.strong_model import StrongModel

SIZE = (small_data.HEIGHT, small_data.WIDTH)
DIM = 24
CAMERAS = [4, 1, 2**40]


def model(seed=0, cameras=CAMERAS, **options):
    """A `StrongModel` of the tiny network whose weights, statistics and table are random."""
    keras.utils.set_random_seed(seed)
    made = StrongModel(**{
        "num_identities": 3, "backbone": "Tiny", "backbone_weights": "random",
        "input_size": SIZE, "cameras": cameras, "seed": seed, **options,
    })  # fmt: skip
    rng = np.random.default_rng(seed)
    for weight in [*made.encoder_i.non_trainable_weights, *made.table.values()]:
        low, high = (-1, 1) if "mean" in weight.path else (0.5, 2)
        weight.assign(rng.uniform(low, high, weight.shape))
    return made


def inputs():
    """Where the data of `finished_run` is: 72 pictures of each camera, enough for a row."""
    folder = small_data.folder() / "small_strong"
    return {"manual_dir": str(folder / "manual"), "data_dir": str(folder / "prepared")}


def _harder(files):
    """The same files with queries and gallery in so much noise that some are lost."""
    rng = np.random.default_rng(0)
    for name, data in files.items():
        if name.startswith("bounding_box_train"):
            continue
        pixels = np.asarray(Image.open(io.BytesIO(data)), np.float64)
        encoded = io.BytesIO()
        noisy = 0.2 * pixels + 0.8 * rng.uniform(0, 255, pixels.shape)
        Image.fromarray(noisy.astype(np.uint8)).save(encoded, "JPEG", quality=92)
        files[name] = encoded.getvalue()
    return files


@functools.cache
def finished_run():
    """The `RunDir` of a whole run with a round of self-training, trained once."""
    for data_set in small_data.LAYOUTS:
        files = small_data.pictures(data_set, identities=12, shots=6)
        small_data.write_archive(inputs()["manual_dir"], data_set, _harder(files))
    settings = StrongSettings(
        source="market", target="duke", backbone="Tiny", backbone_weights="random",
        input_size=f"{SIZE[0]}x{SIZE[1]}", batch_size=16, epochs=1, adam_learning_rate=3e-3,
        self_training_rounds=1, self_training_steps=2, replicas=1,
        model_dir=str(small_data.folder() / "small_strong" / "run"), **inputs(),
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        return strong_train.train(settings)


@functools.cache
def models():
    """A folder with version 1 of `arn`, an export of `model()`; written once."""
    folder = small_data.folder() / "strong_models"
    export.export(model(), folder / "arn", small_export.PICTURES)
    return folder
