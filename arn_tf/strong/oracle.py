"""The target's labels in place of clusters: what self-training would reach if each were a person.

An oracle: the bound that adaptation is measured against, at equal cost and with the same losses,
and no way to adapt. What learns so calls itself an ORACLE wherever it is told of.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from arn_tf.data.own_data import OwnData
from arn_tf.errors import UserError
from arn_tf.run.settings import DATASETS
from arn_tf.strong.settings import StrongSettings
from arn_tf.strong.stage_choice import Choice, left_out

MARK = "ORACLE, by labels"
_UNUSED = -1
# One person alone is told apart from nobody.
_FEWEST_PERSONS = 2


@dataclasses.dataclass(frozen=True)
class PersonCounts:
    """What the labels of a target's training pictures give, for logs and records.

    Attributes:
        images: all pictures.
        used: pictures of the persons that are learnt from.
        persons: whom they show.
        one_camera: persons left out because one camera alone saw them.
        unknown: pictures of no known person, junk and distractors among them.
    """

    images: int
    used: int
    persons: int
    one_camera: int
    unknown: int


def labels(person_id: np.ndarray, camera_id: np.ndarray) -> tuple[np.ndarray, PersonCounts]:
    """Returns persons as `clustering.cluster` returns clusters.

    As of clusters, those that two cameras saw are kept, where there are two.

    Args:
        person_id: int [N]; below 1 is nobody whom to know again.
        camera_id: int [N]; below 0 is unknown, and counts as no camera.

    Returns:
        labels, int64 [N], persons numbered from 0 in the order of their first pictures, -1 for a
        picture that is not used; and `PersonCounts`.
    """
    known = np.flatnonzero(person_id > 0)
    names, first, person = np.unique(person_id[known], return_index=True, return_inverse=True)
    seen = camera_id[known] >= 0
    pairs = np.unique([person[seen], camera_id[known][seen]], axis=1)
    cameras = np.bincount(pairs[0].astype(np.int64), minlength=len(names))
    kept = cameras >= 2
    if np.unique(camera_id[camera_id >= 0]).size < 2:
        kept[:] = True
    number = np.full(len(names), _UNUSED)
    number[kept] = np.argsort(np.argsort(first[kept]))
    result = np.full(len(person_id), _UNUSED)
    result[known] = number[person]
    return result, PersonCounts(
        images=len(person_id),
        used=int(np.count_nonzero(result != _UNUSED)),
        persons=int(kept.sum()),
        one_camera=int((~kept).sum()),
        unknown=len(person_id) - len(known),
    )


def lacking(settings: StrongSettings) -> str | None:
    """Returns why a target's labels can't be learnt from, in words; None where they can.

    Names are read, and no picture is.

    Args:
        settings: of the run.

    Raises:
        UserError: the target can't be listed.
    """
    if settings.target in DATASETS:
        return None
    data = OwnData(
        "target", settings.target, settings.names, settings.skip_bad_images, settings.image_size
    )
    if not data.has_split("train"):
        return "the target has no pictures for train"
    return _lacking(labels(*data.listed("train"))[1])


def check(settings: StrongSettings) -> None:
    """Raises UserError for a target whose labels can't be learnt from; see `lacking`."""
    _raise(lacking(settings))


def check_pictures(person_id: np.ndarray, camera_id: np.ndarray) -> None:
    """Raises UserError, as `check`, of those pictures that could be read; see `labels`."""
    _raise(_lacking(labels(person_id, camera_id)[1]))


def last(alarms: Sequence[str | None]) -> Choice:
    """Returns the last stage that is sound: labels need no choice without them.

    Args:
        alarms: why each stage, in the order of training, is known to be collapsed, or None.
    """
    stages = len(alarms)
    sound = [stage for stage, alarm in enumerate(alarms) if alarm is None]
    reason = f"{MARK}: the last stage that was trained on the target's labels, without a choice"
    if stages == 1:
        reason = f"{MARK}: no round was trained"
    elif not sound:
        reason = f"{MARK}: every stage is collapsed"
    reason = "; ".join([reason, *left_out(alarms)])
    return Choice(sound[-1] if sound else 0, reason, (float("nan"),) * stages)


def title(of_adaptation: str) -> str:
    """Returns the title of a row about the oracle, of the same row's about adaptation."""
    return f"{MARK}: {of_adaptation.replace('self-trained', 'supervised')}"


def _lacking(counts: PersonCounts) -> str | None:
    if counts.persons >= _FEWEST_PERSONS:
        return None
    return (
        f"the target's {counts.images} training pictures show {counts.persons} persons to learn "
        f"from, below the least of {_FEWEST_PERSONS} ({counts.unknown} pictures of no known "
        f"person, {counts.one_camera} persons seen by one camera only)"
    )


def _raise(reason: str | None) -> None:
    if reason:
        raise UserError(
            f"oracle_labels=True: {reason}. Name persons and cameras with "
            "names={person_id}_{camera}_{*}, or in a table's columns; without labels, leave out "
            "oracle_labels",
            ["oracle_labels", "names"],
        )
