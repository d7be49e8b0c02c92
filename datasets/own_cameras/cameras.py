"""Cameras, tracklets and times of pictures that a command line names: files, folders, tables."""

import dataclasses
import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from datasets.own_cameras import guess, listing, times
from datasets.own_cameras.template import Template, TemplateError

_EXAMPLES = 3


class Tracklet(NamedTuple):
    """Pictures that one tracker held together; with another camera it is another tracklet.

    Attributes:
        name: that the tracker gave it.
        source: absolute path of the folder that the template begins at, or of the table. Trackers
            begin anew: the same name below another folder is another tracklet.
    """

    name: str
    source: str


@dataclasses.dataclass(frozen=True)
class Told:
    """What a path of the command line says of its pictures.

    Attributes:
        cameras: {absolute path of a picture: name of its camera}; those without one aren't there.
        note: line for the user on how they were told; empty where there is nothing to say.
        tracklets: {absolute path of a picture: its tracklet}, likewise. They are never guessed.
        times: {absolute path of a picture: seconds}, likewise.
    """

    cameras: dict[str, str]
    note: str = ""
    tracklets: dict[str, Tracklet] = dataclasses.field(default_factory=dict)
    times: dict[str, float] = dataclasses.field(default_factory=dict)


def of(path: str, files: Sequence[str], names: str) -> Told:
    """Returns cameras, tracklets and times of the pictures that one path stands for.

    Args:
        path: of a file or folder.
        files: absolute paths of its pictures.
        names: template of the paths below the folder; a guess if it is empty.

    Raises:
        TemplateError: the template is wrong, no picture of a folder is like it, or a path can be
            read in two ways.
    """
    relative = [_below(path, file, names) for file in files]
    if names:
        template = camera_template(names)
        found = [template.values(file) for file in relative]
        odd = sum(values is None for values in found)
        if relative and odd == len(relative) and os.path.isdir(path):
            shown = ", ".join(relative[:_EXAMPLES])
            raise TemplateError(f"no picture of {path} is like it: {shown}")
        note = (
            f"{odd} of {len(files)} pictures are not like names={names}: no camera" if odd else ""
        )
    elif not os.path.isdir(path) or not relative:
        return Told({})
    else:
        try:
            guessed = guess.guess(relative)
        except guess.UnknownLayoutError as error:
            return Told({}, f"no cameras: {path} {error}")
        found = [guessed.values(file) for file in relative]
        # One folder of pictures of one camera, perhaps, is nothing to tell.
        note = f"{path}: {guessed.title}" if guessed.template or guessed.pattern else ""
    cameras, tracklets = {}, {}
    for file, below, values in zip(files, relative, found, strict=True):
        if values and (camera := values.get("camera")):
            cameras[file] = camera
        if names and values and (tracklet := values.get("tracklet")):
            source = os.path.normpath(file[: len(file) - len(below)])
            tracklets[file] = Tracklet(tracklet, source)
    seconds, odd_times = times.of([values.get("time", "") if values else "" for values in found])
    notes = "; ".join(each for each in (note, odd_times) if each)
    return Told(cameras, notes, tracklets, _known_times(files, seconds))


def camera_template(names: str) -> Template:
    """Returns a template that tells cameras; raises a `TemplateError` where it doesn't."""
    template = Template(names)
    if "camera" not in template.fields:
        raise TemplateError("has no {camera}")
    return template


def _below(path: str, file: str, names: str) -> str:
    """Returns a picture's path below the folder that was named; of one that was named itself, the
    end of it that a template can be about."""
    if os.path.isdir(path):
        return os.path.relpath(file, path).replace(os.sep, "/")
    parts = file.replace(os.sep, "/").split("/")
    return "/".join(parts[-(names.count("/") + 1) :])


def of_table(path: str, names: str = "") -> Told:
    """Returns the pictures of a table, CSV, all of them in `cameras`, "" where there is none.

    Args:
        path: of the table.
        names: template of paths, which a table has no use for.

    Raises:
        ListingError: it can't be used, or there is a template.
    """
    found = listing.read(path, names)
    source = os.path.abspath(path)
    files = [os.path.normpath(found.path(row)) for row in range(len(found))]
    camera = _named(found.camera)
    tracklets = {}
    for file, own, of_camera in zip(files, _named(found.tracklet), camera, strict=True):
        if own:
            # A listing has them as camera/tracklet.
            tracklets[file] = Tracklet(own[len(of_camera) + 1 :], source)
    told_times = _known_times(files, found.time)
    notes = "; ".join(found.notes)
    return Told(dict(zip(files, camera, strict=True)), notes, tracklets, told_times)


def _known_times(files: Sequence[str], seconds: np.ndarray) -> dict[str, float]:
    pairs = zip(files, seconds.tolist(), strict=True)
    return {file: time for file, time in pairs if not math.isnan(time)}


def _named(labels: listing.Labels) -> list[str]:
    names = [*labels.names, ""]
    return [names[code] for code in labels.codes.tolist()]
