"""Which camera took each picture, when, and of which tracklet it is, as flags or tables say."""

import dataclasses
import os
from collections.abc import Callable, Sequence

from datasets import camera_names
from datasets.own_cameras import cameras, listing, table
from datasets.own_cameras.template import TemplateError
from serving.client import arguments
from serving.command import printable, warn
from serving.errors import BadInputError


def check_template(names: str) -> None:
    """Raises a `BadInputError` unless a template of paths tells a camera."""
    try:
        cameras.camera_template(names)
    except TemplateError as error:
        raise BadInputError(str(error), arguments={"names": names}) from error


@dataclasses.dataclass(frozen=True)
class Known:
    """What is known of pictures by their absolute paths.

    Attributes:
        camera: function from a picture to the name of its camera, or None.
        tracklets: {picture: its tracklet} of those that have one.
        times: {picture: when it was taken, in seconds}, likewise.
    """

    camera: Callable[[str], str | None]
    tracklets: dict[str, cameras.Tracklet]
    times: dict[str, float]


def tables(paths: Sequence[str], names: str | None = None) -> tuple[list[str], cameras.Told]:
    """Returns paths with the pictures of tables in place of these, and what the tables say of them.

    Args:
        paths: files, folders and tables (.csv, .tsv).
        names: template of paths, if one was given.

    Raises:
        BadInputError: a table can't be used, or there is a template beside it.
    """
    found: list[str] = []
    named = cameras.Told({})
    for path in paths:
        if not table.is_named_so(path) or not os.path.isfile(path):
            found.append(path)
            continue
        try:
            told = cameras.of_table(path, names or "")
        except listing.ListingError as error:
            raise BadInputError(
                str(error), arguments={"names": names} if names else None
            ) from error
        found += told.cameras
        named.cameras.update(told.cameras)
        named.tracklets.update(told.tracklets)
        named.times.update(told.times)
        if told.note:
            warn(printable(f"note: {told.note}"))
    return found, named


def known(
    paths: Sequence[str],
    files: Sequence[str],
    named: cameras.Told,
    name: str | None,
    camera_pattern: str | None,
    names: str | None,
) -> Known:
    """Returns what is known of pictures.

    Args:
        paths: files and folders of the command line.
        files: absolute paths of their pictures.
        named: what tables say of pictures that they name.
        name: camera of all pictures.
        camera_pattern: see `arguments.camera_pattern`.
        names: template of paths.

    Raises:
        BadInputError: the pattern or the template is wrong.
    """
    tracklets, times = dict(named.tracklets), dict(named.times)
    if name is not None:
        return Known(lambda file: name, tracklets, times)
    if camera_pattern is not None:
        chosen = arguments.camera_pattern(camera_pattern)
        return Known(lambda file: camera_names.name_of(file, chosen), tracklets, times)
    usual = camera_names.compile_pattern(camera_names.PATTERN)
    told = {file: camera for file, camera in named.cameras.items() if camera}
    others = [file for file in files if file not in named.cameras]
    for path in paths:
        below = os.path.join(os.path.abspath(path), "")
        own = [file for file in others if file + os.sep == below or file.startswith(below)]
        try:
            found = cameras.of(path, own, names or "")
        except TemplateError as error:
            raise BadInputError(str(error), arguments={"names": names}) from error
        if names is None and not found.cameras:
            # Files that were named themselves, and folders where only some names tell.
            by_name = {file: camera_names.name_of(file, usual) for file in own}
            if known := {file: name for file, name in by_name.items() if name}:
                found = cameras.Told(known)
        told |= found.cameras
        tracklets |= found.tracklets
        times |= found.times
        if found.note:
            warn(printable(f"note: {found.note}"))
    return Known(told.get, tracklets, times)
