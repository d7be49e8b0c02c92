"""What the filters of a search mean, checked against what the gallery holds."""

import argparse
from collections.abc import Collection

from serving.errors import BadInputError, GalleryError
from serving.gallery import arguments
from serving.gallery.gallery import Gallery
from serving.gallery.notes import note
from serving.gallery.records import Selection


def within(store: Gallery, args: argparse.Namespace) -> Selection:
    """Returns what passes for all queries; tells how many pictures have no time to pass by.

    Args:
        store: the gallery.
        args: with `camera`, `after` and `before`.

    Raises:
        BadInputError: a flag is not what it must be, or names a camera that there isn't.
        GalleryError: times are asked for, and no picture has one.
    """
    after, before = (
        None if text is None else arguments.moment(name, text)
        for name, text in (("after", args.after), ("before", args.before))
    )
    if after is not None and before is not None and after >= before:
        raise BadInputError(
            f"is not earlier than {args.before}; no picture is taken at or after the one and "
            "before the other",
            arguments={"after": args.after},
        )
    _check_cameras(store, args.camera)
    found = Selection(cameras=tuple(args.camera), taken_after=after, taken_before=before)
    if found.by_time:
        _note_without_time(store)
    return found


def reasons(selection: Selection, exclude_same_camera: bool) -> str:
    """Returns which filters there are, for a line of text; empty where there are none."""
    camera = "camera" if selection.cameras or exclude_same_camera else ""
    return " and ".join(each for each in (camera, "time" if selection.by_time else "") if each)


def _known_cameras(store: Gallery) -> list[str]:
    with store.snapshot():
        return [row[0] for row in store.cameras() if row[0] is not None]


def note_unknown(store: Gallery, names: Collection[str | None]) -> None:
    """Tells which cameras of queries, to be left out, the gallery has no picture of."""
    known = _known_cameras(store)
    unknown = sorted({name for name in names if name is not None and name not in known})
    if unknown:
        note(
            f"note: the gallery has no picture of camera {', '.join(unknown)}, so "
            "--exclude_same_camera leaves out nothing for it"
        )


def _check_cameras(store: Gallery, names: Collection[str]) -> None:
    known = _known_cameras(store)
    for camera in names:
        if camera not in known:
            raise BadInputError(
                f"the gallery has no such camera, it has {', '.join(known) or 'none at all'}",
                arguments={"camera": camera},
            )


def _note_without_time(store: Gallery) -> None:
    timed = store.timed()
    if not timed:
        raise GalleryError(
            "holds no picture with a time. Give add the same pictures again, with `names` such as "
            "'{camera}/{time}_{*}' or as a table with a column time: what is there gets its time "
            "and isn't embedded again. Or leave `after` and `before` out",
            store.folder,
        )
    if without := store.count() - timed:
        note(f"note: {without} pictures of the gallery have no time, and are left out")
