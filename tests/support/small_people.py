"""Embeddings of a few people who are easily told apart."""

from collections.abc import Sequence

import numpy as np
from sklearn.preprocessing import normalize


def people(
    sizes: Sequence[int], width: int = 64, noise: float = 0.02, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns one tight cloud of embeddings per size, far from the others; and whose each is."""
    random = np.random.default_rng(seed)
    person = np.repeat(np.arange(len(sizes)), sizes)
    embeddings = np.eye(width)[person] + noise * random.standard_normal((len(person), width))
    return embeddings, person


def filmed(
    persons: int,
    pictures: int = 4,
    cameras: int = 2,
    look: float = 0.0,
    seed: int = 0,
    noise: float = 0.12,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns embeddings, persons and cameras: what is alike in a camera grows with `look`.

    Each camera shows all persons through a distortion of its own.
    """
    rng = np.random.default_rng(seed)
    width = 48
    of_person = normalize(rng.normal(size=(persons, width)))
    distortion = np.eye(width) + look * rng.normal(size=(cameras, width, width)) / np.sqrt(width)
    person, camera, _ = np.indices((persons, cameras, pictures)).reshape(3, -1)
    seen = normalize(np.einsum("nd,nde->ne", of_person[person], distortion[camera]))
    return seen + noise * rng.normal(size=seen.shape) / np.sqrt(width) * 4, person, camera
