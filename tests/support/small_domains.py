"""A small source and a small clustered target, and batches of both as self-training takes them."""

from typing import Any

import numpy as np

from arn_tf.data.sampling import Sampler
from arn_tf.strong.target_batches import PairSampler, batches
from tests.support import small_data

SIZE = (small_data.HEIGHT, small_data.WIDTH)


def both_domains() -> dict[str, Any]:
    """Returns samplers and pictures of a source and a target, as `batches` takes them.

    24 source pictures of 6 identities, 48 target pictures of 6 clusters and 2 cameras.
    """
    rng = np.random.default_rng(0)
    colours = rng.integers(40, 216, (12, 1, 1, 3))

    def pictures(colour: np.ndarray, shift: np.ndarray) -> np.ndarray:
        noise = rng.normal(0, 25, (len(colour), *SIZE, 3))
        return np.clip(colours[colour] + noise + shift[:, None, None, None], 0, 255).astype("u1")

    source_labels = np.repeat(np.arange(6), 4).astype("i4")
    target_labels, camera_id = np.tile(np.arange(6), 8), np.repeat([0, 1], 24)
    source = pictures(source_labels, np.zeros(24))
    target = pictures(6 + target_labels, np.where(camera_id, 30, -30))
    target_labels[[5, 40]] = -1
    return {
        "source_sampler": Sampler(source_labels, 48, 8, 2, 0),
        "source": source,
        "target_sampler": PairSampler(target_labels, camera_id, 8, 0),
        "target": target,
    }


def taken(
    data: dict[str, Any], steps: int, first_step: int, seed: int = 0
) -> list[dict[str, np.ndarray]]:
    """Returns the batches of some steps of `both_domains`."""
    found = batches(**data, steps=steps, first_step=first_step, seed=seed)
    return list(found.as_numpy_iterator())
