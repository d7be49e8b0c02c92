"""A small model to export, and pictures to compare on."""

import keras
import numpy as np

from arn_tf import ARN, recipes
from arn_tf.served import publish
from tests.support import small_data

SIZE = (small_data.HEIGHT, small_data.WIDTH)
# Of several sizes: the graph resizes.
PICTURES = [
    small_data.picture(person, camera, 1, size)
    for person, (camera, size) in enumerate(
        [(1, SIZE), (2, (128, 64)), (1, (30, 90)), (2, (300, 77)), (1, SIZE)], start=1
    )
]


def model(seed=0):
    """An `ARN` that is built in a moment, with batch statistics that aren't those of its birth."""
    keras.utils.set_random_seed(seed)
    made = ARN(
        6,
        backbone="Tiny",
        backbone_weights="random",
        input_size=SIZE,
        embedding_dim=64,
        hidden_width=32,
        seed=seed,
    )
    rng = np.random.default_rng(seed)
    for network in (made.encoder_i, made.encoder_c):
        for weight in network.non_trainable_weights:
            spread = rng.uniform(0.5, 1.5, weight.shape)
            weight.assign(spread if "variance" in weight.path else 0.1 * (spread - 1))
    return made


def served(model, precision=None):
    """What is served of an `ARN` or a `StrongModel`."""
    recipe = recipes.RECIPES["paper" if isinstance(model, ARN) else "strong"]
    return recipe.served_model(model, precision)


def export_model(model, export_dir, pictures, precision=None, facts=None, runtime=None):
    """Publishes the next version of a model: its folder, and its sidecar."""
    return publish.export(served(model, precision), export_dir, pictures, facts, runtime)
