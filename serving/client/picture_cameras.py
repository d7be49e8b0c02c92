"""Which camera took each picture: as a flag, the pictures' names or their folders say."""

import os
from collections.abc import Callable, Sequence

from datasets import camera_names
from datasets.own_cameras import cameras, listing
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


def tables(paths: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Returns paths with the pictures of tables in place of these, and the cameras they name.

    Args:
        paths: files, folders and tables (.csv, .tsv).

    Raises:
        BadInputError: a table can't be used.
    """
    found: list[str] = []
    named: dict[str, str] = {}
    for path in paths:
        if not path.lower().endswith((".csv", ".tsv")) or not os.path.isfile(path):
            found.append(path)
            continue
        try:
            told = cameras.of_table(path)
        except listing.ListingError as error:
            raise BadInputError(str(error)) from error
        found += told.cameras
        named |= told.cameras
    return found, named


def function(
    paths: Sequence[str],
    files: Sequence[str],
    named: dict[str, str],
    name: str | None,
    camera_pattern: str | None,
    names: str | None,
) -> Callable[[str], str | None]:
    """Returns a function from a picture to the name of its camera, or None.

    Args:
        paths: files and folders of the command line.
        files: absolute paths of their pictures.
        named: {absolute path: camera} of pictures that tables name.
        name: camera of all pictures.
        camera_pattern: see `arguments.camera_pattern`.
        names: template of paths.

    Raises:
        BadInputError: the pattern or the template is wrong.
    """
    if name is not None:
        return lambda file: name
    if camera_pattern is not None:
        chosen = arguments.camera_pattern(camera_pattern)
        return lambda file: camera_names.name_of(file, chosen)
    usual = camera_names.compile_pattern(camera_names.PATTERN)
    told = {file: camera for file, camera in named.items() if camera}
    others = [file for file in files if file not in named]
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
        if found.note:
            warn(printable(f"note: {found.note}"))
    return told.get
