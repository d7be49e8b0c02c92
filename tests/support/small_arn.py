"""A small ARN of the tiny network, batches for it, and what a step changes in it."""

import keras
import numpy as np
import tensorflow as tf

from arn_tf.paper.model import ARN, PAPER_WEIGHTS
from tests.support import small_data

SIZE = (small_data.HEIGHT, small_data.WIDTH)
MAP = (4, 2, 24)
LABELS = np.array([2, 0, 1, 1, 2, 0], np.int32)
# No weight but the ones given.
NONE = dict.fromkeys(PAPER_WEIGHTS, 0.0)


def small_arn(**options):
    """An `ARN`; the same for the same options."""
    keras.utils.set_random_seed(0)
    return ARN(
        **{
            "num_identities": 3,
            "backbone": "Tiny",
            "backbone_weights": "random",
            "input_size": SIZE,
            "embedding_dim": 16,
            "hidden_width": 8,
            **options,
        }
    )


def random_maps(seed, count=6):
    return np.random.default_rng(seed).exponential(size=(count, *MAP)).astype("f4")


def random_images(seed, count=6):
    return np.random.default_rng(seed).integers(0, 256, (count, *SIZE, 3), np.uint8)


def maps_batch():
    return {"source_maps": random_maps(0), "target_maps": random_maps(50), "source_labels": LABELS}


def images_batch():
    return {
        "source_images": random_images(0),
        "target_images": random_images(50),
        "source_labels": LABELS,
    }


def fit(model, batch, steps=1):
    """The logs of an epoch of that many steps, {name: value}."""
    data = tf.data.Dataset.from_tensors(batch).repeat(steps)
    history = model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0).history
    return {name: value[0] for name, value in history.items()}


def group_values(model):
    """{sub-network: copies of its trainable weights}."""
    return {
        name: [variable.numpy().copy() for variable in owned]
        for name, owned in model.variable_groups().items()
    }


def moved(model, before):
    """Names of the sub-networks whose weights changed since a result of `group_values`."""
    return {
        name
        for name, values in group_values(model).items()
        if any(np.any(a != b) for a, b in zip(values, before[name], strict=True))
    }
