"""Clusters of persons that several cameras see."""

import numpy as np
from sklearn.preprocessing import normalize


def seen(
    persons: int, cameras: int, seed: int, noise: float = 0.05, shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a unit centroid of each person in each camera, its camera and its person.

    Persons of a camera move together: by `shift` along a direction of the camera's.
    """
    rng = np.random.default_rng(seed)
    look = normalize(rng.normal(size=(persons, 32)))
    moved = normalize(rng.normal(size=(cameras, 32))) * shift
    camera, person = np.divmod(np.arange(persons * cameras), persons)
    centroids = look[person] + moved[camera] + noise * rng.normal(size=(len(person), 32))
    return normalize(centroids), camera, person
