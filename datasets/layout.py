"""The layout of a re-ID data set, its official counts, and how the counts of a copy differ."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Layout:
    """The files of one data set, and its official counts.

    Attributes:
        archive: file name of the official archive.
        folder: the one folder inside it.
        name_pattern: regular expression of a whole file name, any letter case, with the groups
            `person` and `camera`.
        name_example: a name that fits, for messages.
        train_per_camera: training pictures of camera 1, 2, ...
        train_identities: persons in the training pictures.
        query_pictures: their number.
        gallery_pictures: their number.
    """

    archive: str
    folder: str
    name_pattern: str
    name_example: str
    train_per_camera: tuple[int, ...]
    train_identities: int
    query_pictures: int
    gallery_pictures: int


@dataclasses.dataclass(frozen=True)
class Picture:
    """One usable picture.

    Attributes:
        path: inside the source.
        file_name: without its folder.
        person_id: as in the name; -1 junk, 0 distractor.
        camera_id: as in the name, from 1.
    """

    path: str
    file_name: str
    person_id: int
    camera_id: int


def identities(pictures: Iterable[Picture]) -> set[int]:
    """Returns the persons in `pictures`; junk and distractors (-1 and 0) are no persons."""
    return {picture.person_id for picture in pictures if picture.person_id > 0}


def summary(pictures: list[Picture]) -> dict[str, Any]:
    """Returns counts of one split, by name.

    Camera numbers are text, because TFDS stores metadata as JSON.
    """
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
    """Compares the counts of a copy with the official ones.

    Args:
        splits: {split: its pictures}.
        layout: with the official counts.

    Returns:
        lines of text: how many counts differ, then each count beside the official one.
    """
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
