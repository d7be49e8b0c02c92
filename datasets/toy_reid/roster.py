"""The pictures of each split, as a plan: which person, camera and shot, before any is drawn."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from datasets.toy_reid.network import NETWORKS

TRAIN_PERSONS, TEST_PERSONS = 100, 50
SHOTS = 8  # Pictures of a person in train; the same again in the gallery.
QUERIES = 2  # Query cameras of a test person, one picture each.
STRANGERS, JUNK = 40, 20  # Gallery pictures that match no query; duke has no junk labels.
JUNK_ID, DISTRACTOR_ID = -1, 0
_ROSTER = 4  # First number of a seed, see `camera`.


@dataclasses.dataclass(frozen=True)
class Sighting:
    """One picture to take.

    Attributes:
        person_id: label; -1 junk and 0 distractor, as in Market-1501.
        number: of the person drawn, from 1.
        camera: from 1.
        shot: from 0.
        crop: see `camera.take`.
        file_name: as Market-1501 or DukeMTMC-reID would name it.
    """

    person_id: int
    number: int
    camera: int
    shot: int
    crop: str
    file_name: str


def _sighting(
    config: str, label: int, number: int, camera: int, shot: int, crop: str = "good"
) -> Sighting:
    frame = 487 * number + 53 * camera + 7 * shot
    if config == "market":
        label_text = f"{label:04d}" if label >= 0 else "-1"
        name = f"{label_text}_c{camera}s{1 + number % 3}_{frame:06d}_{1 + shot % 4:02d}.jpg"
    else:
        name = f"{label:04d}_c{camera}_f{frame:07d}.jpg"
    return Sighting(label, number, camera, shot, crop, name)


def sightings(config: str, split: str) -> Iterator[Sighting]:
    """Yields the pictures of a split in the order of its persons.

    Args:
        config: "market" or "duke".
        split: "train", "query" or "gallery".
    """
    cameras = len(NETWORKS[config].cameras)
    rng = np.random.default_rng([list(NETWORKS).index(config), _ROSTER])
    persons = TRAIN_PERSONS + TEST_PERSONS
    tested = set((rng.permutation(persons)[:TEST_PERSONS] + 1).tolist())
    for number in range(1, persons + 1):
        # Drawn for everybody, so that every split sees the same plan.
        seen = rng.permutation(cameras)[: rng.integers(3, 6)] + 1
        where = np.sort(np.resize(seen, SHOTS)).tolist()
        if split == "query" and number in tested:
            for camera in seen[:QUERIES].tolist():
                yield _sighting(config, number, number, camera, SHOTS)
        elif (split == "gallery") == (number in tested) and split != "query":
            for shot, camera in enumerate(where):
                yield _sighting(config, number, number, camera, shot)
    if split == "gallery":
        yield from _crowd(config, rng, persons, sorted(tested), cameras)


def _crowd(
    config: str, rng: np.random.Generator, persons: int, tested: list[int], cameras: int
) -> Iterator[Sighting]:
    """Yields gallery pictures that match no query."""
    if config == "duke":  # Other persons under their own numbers, each by one camera.
        for number in range(persons + 1, persons + (STRANGERS + JUNK) // 2 + 1):
            camera = int(rng.integers(1, cameras + 1))
            for shot in range(2):
                yield _sighting(config, number, number, camera, shot)
        return
    for number in range(persons + 1, persons + STRANGERS + 1):
        crop = "empty" if number % 4 == 0 else "good"
        camera = int(rng.integers(1, cameras + 1))
        yield _sighting(config, DISTRACTOR_ID, number, camera, 0, crop)
    for shot, number in enumerate(np.resize(tested, JUNK).tolist(), SHOTS + 1):
        camera = int(rng.integers(1, cameras + 1))
        yield _sighting(config, JUNK_ID, number, camera, shot, "bad")
