"""Small trainers of a round of self-training, with and without a source."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from arn_tf.strong import inter_camera
from arn_tf.strong.model import StrongModel
from arn_tf.strong.self_training import SelfTrainer
from tests.support.small_domains import SIZE

# Of the small network.
WIDTH = 24
# Batches in which no ReLU's input is so near 0 that the order of sums decides its sign: 60 unit
# roundoffs of the largest at least, where `rounding` allows 52.
SEED = 2


def without_source(data: dict[str, Any]) -> dict[str, Any]:
    """Returns what makes batches of the target alone, of what makes them of both domains."""
    return data | {"source_sampler": None, "source": None}


def trainer(identities: int, weight_decay: float = 5e-4, between: bool = True) -> SelfTrainer:
    """Returns a trainer of six clusters, beside so many persons of a source.

    Args:
        identities: persons of the source; 0: there is none.
        weight_decay: see `StrongModel`.
        between: whether the clusters are of two cameras, with a loss between them.
    """
    keras.utils.set_random_seed(0)
    model = StrongModel(identities, "Tiny", "random", SIZE, weight_decay=weight_decay)
    return SelfTrainer(model, centroids(), proxies(WIDTH) if between else None)


def centroids() -> np.ndarray:
    """Returns those that `trainer` begins with."""
    return np.random.default_rng(1).normal(size=(6, WIDTH)).astype("f4")


def proxies(width: int) -> inter_camera.Proxies:
    """Returns one for each of six clusters in two cameras."""
    labels, camera = np.divmod(np.arange(12), 2)
    embeddings = np.random.default_rng(2).normal(size=(12, width))
    return inter_camera.of_clusters(embeddings, labels, camera)


def fit(trained: SelfTrainer, dataset: tf.data.Dataset, steps: int) -> dict[str, float]:
    """Trains for some steps; returns their logged means."""
    history = trained.fit(dataset, steps_per_epoch=steps, shuffle=False, verbose=0).history
    return {name: value[0] for name, value in history.items()}
