"""Embeddings of a few people who are easily told apart."""

from collections.abc import Sequence

import numpy as np


def people(
    sizes: Sequence[int], width: int = 64, noise: float = 0.02, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns one tight cloud of embeddings per size, far from the others; and whose each is."""
    random = np.random.default_rng(seed)
    person = np.repeat(np.arange(len(sizes)), sizes)
    embeddings = np.eye(width)[person] + noise * random.standard_normal((len(person), width))
    return embeddings, person
