"""The pictures that a run is scored on: query and gallery, whose persons somebody has labelled."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from arn_tf.data.own_data import OwnData
from arn_tf.data.reid_data import ReidData
from arn_tf.data.split import Split
from arn_tf.errors import ArgumentError, UserError
from arn_tf.run.data import opened, tell_changes
from arn_tf.run.folder import RunDir
from arn_tf.run.labelled import Labelled
from arn_tf.run.settings import DATASETS, RunSettings
from datasets.files.printable import printable


def splits(
    settings: RunSettings,
    run: RunDir,
    labelled: Labelled,
    target: Callable[[], ReidData | OwnData] | None = None,
) -> tuple[Split, Split] | None:
    """Returns query and gallery, or None where no person of the target is known.

    Those that `labelled` names; else those of the target: its query and gallery, or all of its
    pictures against each other where their persons are known.

    Args:
        settings: of the run.
        run: its folder.
        labelled: the user's own pictures, if any.
        target: opens the target, for a caller that needs it too.

    Raises:
        UserError: they can't be read, or persons aren't known.
    """
    if labelled.query:
        query, gallery = _own(settings, labelled)
    elif labelled.gallery:
        raise _gallery_alone()
    else:
        data = target() if target else opened(settings, "target", run)
        tell_changes(data)
        if data.has_split("query") and data.has_split("gallery"):
            query, gallery = data.split("query"), data.split("gallery")
            digests = {"target query": query.digest, "target gallery": gallery.digest}
            run.keep_data(digests)
        else:
            gallery = data.split("train")
            if not (gallery.person_id > 0).any():
                return None
            query = _whose_person_is_known(gallery)
    if labelled.same_camera:
        return _views_are_pictures(query, gallery)
    _check_cameras([query.camera_id, gallery.camera_id])
    return query, gallery


def check(settings: RunSettings, labelled: Labelled) -> None:
    """Checks, before training, that a run can be scored; nothing is decoded.

    Args:
        settings: of the run.
        labelled: the user's own pictures to score on, if any; else the target's are.

    Raises:
        UserError: no person is known, none was seen by two cameras, or they can't be read.
    """
    if labelled.query:
        persons: dict[str, int] = {}
        listed = []
        for argument, path in (("query", labelled.query), ("gallery", labelled.gallery)):
            if path:
                data = _opened(settings, argument, path, labelled.names, persons)
                if not data.has_split("train"):
                    raise _nobody_known(argument, path)
                listed.append(data.listed("train"))
                if not (listed[-1][0] > 0).any():
                    raise _nobody_known(argument, path)
        if not labelled.same_camera:
            _check_matches(listed[0], listed[-1])
        return
    if labelled.gallery:
        raise _gallery_alone()
    if settings.target in DATASETS:
        return
    data = OwnData(
        "target", settings.target, settings.names, settings.skip_bad_images, settings.image_size
    )
    if not data.listing.person_id.names:
        raise ArgumentError(
            "target",
            settings.target,
            "no picture's person is known, and a table of scores needs them. Name them with "
            "names={person_id}_{camera}_{*}, or in a table's column person_id; without labels, "
            "train with arn_tf.train and look with arn_tf.evaluate",
            also=["names"],
        )
    scored_on = [name for name in ("query", "gallery") if data.has_split(name)]
    names = scored_on if len(scored_on) == 2 else ["train"]
    listed = [data.listed(name) for name in names]
    _check_matches(listed[0], listed[-1])


def _own(settings: RunSettings, labelled: Labelled) -> tuple[Split, Split]:
    persons: dict[str, int] = {}
    found: list[Split] = []
    for argument in ("query", "gallery"):
        path = getattr(labelled, argument)
        if not path:
            found.append(found[0])
            continue
        data = _opened(settings, argument, path, labelled.names, persons)
        for line in data.told():
            print(printable(line))
        split = data.split("train")
        for line in data.notes:  # Reading them tells which can't be used.
            print(printable(line))
        if not (split.person_id > 0).any():
            raise _nobody_known(argument, path)
        found.append(split)
    return _whose_person_is_known(found[0]), found[1]


def _opened(
    settings: RunSettings,
    argument: str,
    path: str,
    names: str,
    persons: dict[str, int] | None = None,
) -> OwnData:
    skip_bad_images, size = settings.skip_bad_images, settings.image_size
    return OwnData(argument, path, names, skip_bad_images, size, persons=persons)


def _check_cameras(of_pictures: Sequence[np.ndarray]) -> None:
    """Raises UserError where no picture is of another camera than the others."""
    if np.unique(np.concatenate(of_pictures)).size == 1:
        raise UserError(
            "the pictures can't be scored: all are of one camera, or no camera is known, and a "
            "match is a picture of another one. Name the cameras with names={person_id}_{camera}"
            "_{*}; or pass same_camera to arn_tf.evaluate, which lets pictures of one camera match",
            ["names", "same_camera"],
        )


def _check_matches(
    query: tuple[np.ndarray, np.ndarray], gallery: tuple[np.ndarray, np.ndarray]
) -> None:
    """Raises UserError where no person of the query was seen by another camera of the gallery.

    Args:
        query: person_id and camera_id, int64 [Q] each.
        gallery: likewise, [G].
    """
    _check_cameras([query[1], gallery[1]])
    asked, there = (
        set(zip(*map(np.ndarray.tolist, each), strict=True)) for each in (query, gallery)
    )
    seen_by: dict[int, set[int]] = {}
    for person, camera in there:
        if person > 0:
            seen_by.setdefault(person, set()).add(camera)
    if any(seen_by.get(person, set()) - {camera} for person, camera in asked):
        return
    problem = "no person of the query is in the gallery"
    if any(person in seen_by for person, _ in asked):
        problem = "every person in both was seen by one camera, and a match is of another one"
    raise UserError(
        f"the pictures can't be scored: {problem}. Give pictures of persons whom two cameras saw, "
        "or tell persons and cameras with names={person_id}_{camera}_{*}",
        ["names"],
    )


def _nobody_known(argument: str, path: str) -> UserError:
    return UserError(
        f"{argument}={path}: no picture's person is known. Name them with "
        "names={person_id}_{camera}_{*}, or in a table's column person_id",
        [argument, "names"],
    )


def _gallery_alone() -> UserError:
    return UserError("gallery needs query: name both, or query alone", ["query", "gallery"])


def _whose_person_is_known(split: Split) -> Split:
    known = np.flatnonzero(split.person_id > 0)
    if len(known) < len(split):
        print(f"{len(split) - len(known)} of {len(split)} pictures have no known person")
    return split.subset(known)


def _views_are_pictures(query: Split, gallery: Split) -> tuple[Split, Split]:
    """Returns the same, so that all but the query's own picture may be a match."""
    numbers: dict[bytes, int] = {}
    views = [
        np.array([numbers.setdefault(each, len(numbers)) for each in split.content_hashes()])
        for split in (query, gallery)
    ]
    return dataclasses.replace(query, views=views[0]), dataclasses.replace(gallery, views=views[1])
