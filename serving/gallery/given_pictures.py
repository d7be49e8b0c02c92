"""The pictures that a command line names, and what its flags say of their cameras."""

import argparse

from serving.client import picture_cameras, picture_files
from serving.client.arguments import camera_pattern
from serving.client.picture_cameras import Known
from serving.gallery import arguments
from serving.gallery.notes import note


def found(
    args: argparse.Namespace, paths: list[str], camera: str | None
) -> tuple[list[str], Known]:
    """Returns the pictures that a command line names, and what is known of them.

    Tells of links to the same ones, and of a guess about cameras.

    Args:
        args: with `names` and `camera_pattern`.
        paths: files, folders and tables.
        camera: of all of them, or None.
    """
    links: dict[str, str] = {}
    named_paths, named = picture_cameras.tables(paths, args.names)
    files = arguments.find(named_paths, links)
    if links:
        note(picture_files.link_note(links))
    known = picture_cameras.known(paths, files, named, camera, args.camera_pattern, args.names)
    for source in {tracklet.source for tracklet in known.tracklets.values()}:
        arguments.check_source(source)
    return files, known


def check_flags(args: argparse.Namespace, flag: str) -> None:
    """Raises a `BadInputError` where the flags about cameras can't be meant, before any work."""
    if (name := getattr(args, flag)) is not None:
        arguments.storable(flag, name)
    if args.camera_pattern is not None:
        camera_pattern(args.camera_pattern)
    if args.names is not None:
        picture_cameras.check_template(args.names)
