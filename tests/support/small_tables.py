"""What is in a model's table of statistics, by the names of its columns."""

import keras
import numpy as np

from arn_tf.strong.model import StrongModel


def columns(model: StrongModel) -> dict[str, keras.Variable]:
    """Returns {"mean", "variance", "embedding_mean", "embedding_deviation": [rows, width]}."""
    return {variable.name: variable for variable in model.table.weights}


def rows(model: StrongModel, *places: int) -> dict[str, np.ndarray]:
    """Returns {column: what these rows hold, float32 [len(places), width]}."""
    return {key: variable.numpy()[list(places)] for key, variable in columns(model).items()}


def fill(model: StrongModel, seed: int = 0) -> None:
    """Gives every row random statistics."""
    rng = np.random.default_rng(seed)
    for key, variable in columns(model).items():
        low, high = (-1, 1) if key.endswith("mean") else (0.5, 2)
        variable.assign(rng.uniform(low, high, variable.shape))
