"""Counts of a re-ID data set, and how they differ from the official ones."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Layout:
    """What one data set looks like on disk, and its official counts."""

    archive: str  # file name of the official archive
    folder: str  # the one folder inside it
    name_pattern: str  # of a whole file name, any letter case; groups `person` and `camera`
    name_example: str  # a name that fits, for messages
    train_per_camera: tuple[int, ...]  # training pictures of camera 1, 2, ...
    train_identities: int
    query_pictures: int
    gallery_pictures: int


@dataclasses.dataclass(frozen=True)
class Picture:
    """One usable picture: where it is inside the source, and what its name says."""

    path: str
    file_name: str
    person_id: int
    camera_id: int


def identities(pictures: Iterable[Picture]) -> set[int]:
    """Returns the persons in `pictures`; junk and distractors (-1 and 0) are no persons."""
    return {picture.person_id for picture in pictures if picture.person_id > 0}


def summary(pictures: list[Picture]) -> dict[str, Any]:
    """Counts one split; cameras are text because TFDS stores metadata as JSON."""
    per_camera = collections.Counter(picture.camera_id for picture in pictures)
    return {
        "pictures": len(pictures),
        "identities": len(identities(pictures)),
        "cameras": len(per_camera),
        "pictures_per_camera": {str(camera): per_camera[camera] for camera in sorted(per_camera)},
        "junk": sum(picture.person_id == -1 for picture in pictures),
        "distractors": sum(picture.person_id == 0 for picture in pictures),
    }


def compare(splits: Mapping[str, list[Picture]], layout: Layout) -> list[str]:
    """Returns lines of text: a verdict, then each count beside the official one."""
    found = collections.Counter(picture.camera_id for picture in splits["train"])
    official = dict(enumerate(layout.train_per_camera, start=1))
    trained = identities(splits["train"])
    tested = identities(splits["query"] + splits["gallery"])
    counts = [
        ("train pictures", len(splits["train"]), sum(layout.train_per_camera)),
        *(
            (f"train pictures of camera {camera}", found[camera], official.get(camera, 0))
            for camera in sorted({*found, *official})
        ),
        ("train identities", len(trained), layout.train_identities),
        ("train identities also in query or gallery", len(trained & tested), 0),
        ("query pictures", len(splits["query"]), layout.query_pictures),
        ("gallery pictures", len(splits["gallery"]), layout.gallery_pictures),
    ]
    differ = sum(count != expected for _, count, expected in counts)
    verdict = f"{differ} of {len(counts)} counts differ from" if differ else "all counts equal"
    return [f"{verdict} those of the official {layout.archive}"] + [
        f"{what}: {count} (official {expected}{'' if count == expected else ', differs'})"
        for what, count, expected in counts
    ]
