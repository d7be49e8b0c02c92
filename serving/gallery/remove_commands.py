"""The subcommands that take pictures out of a gallery: `remove`, `check`, `move`."""

import argparse
import os
import time

from serving.command import printable
from serving.errors import BadInputError, GalleryError
from serving.gallery import arguments, place, text_report
from serving.gallery import check as row_check
from serving.gallery import move as gallery_move
from serving.gallery.gallery import Gallery
from serving.gallery.notes import note, note_left
from serving.gallery.records import Selection


def remove(args: argparse.Namespace) -> None:
    """`remove`: removes pictures, with all traces."""
    if not (args.file or args.camera or args.older_than is not None):
        raise BadInputError("say which pictures: --file, --camera, --older_than, or several")
    before = None
    if args.older_than is not None:
        before = int(time.time()) - arguments.age(args.older_than)
    for flag in ("file", "camera"):
        for text in getattr(args, flag):
            arguments.storable(flag, text)
    with place.open_gallery(args.gallery) as store:
        if not args.dry_run:
            store.check_writable()
        with store.snapshot():
            selection, unmatched = _selected(store, args, before)
            found = store.pictures(selection) if args.dry_run else []
        if unmatched and before is None:
            if not args.dry_run:
                # Given again after it was killed, it matches nothing.
                note_left(store.finish_erasure())
            raise GalleryError(
                f"no picture matches {', '.join(unmatched)}; nothing was removed", args.gallery
            )
        if args.dry_run:
            for picture in found:
                print(text_report.picture_line(picture))
            print(f"{printable(args.gallery)}: {len(found)} pictures would be removed")
            return
        removed = store.remove(selection)
        _erase(store, removed)
    if not removed and args.older_than is None:
        raise GalleryError("no picture matches all of it; nothing was removed", args.gallery)
    print(f"{printable(args.gallery)}: {removed} pictures removed")


def check(args: argparse.Namespace) -> None:
    """`check`: lists rows whose files are gone or changed, and removes the first."""
    patterns = [arguments.below(text) for text in args.folder]
    with place.open_gallery(args.gallery) as store:
        for text, pattern in zip(args.folder, patterns, strict=True):
            if not store.count(Selection(patterns=(pattern,))):
                raise GalleryError(f"no picture is below --folder={text}", args.gallery)
        report = row_check.compare(store, Selection(patterns=tuple(patterns)))
        for state, picture in report.wrong:
            print(f"{state.value:<10}  {text_report.picture_line(picture)}")
        print(f"{printable(args.gallery)}: {text_report.check_counts(report)}")
        if not args.remove:
            if report.lost_folders:
                note(f"note: {row_check.lost(report)}")
            return
        pictures = row_check.removable(store, report, named=bool(args.folder))
        if args.dry_run:
            print(f"{printable(args.gallery)}: {len(pictures)} pictures would be removed")
            return
        removed = store.remove_rows(pictures)
        _erase(store, removed)
    print(f"{printable(args.gallery)}: {removed} pictures removed")


def move(args: argparse.Namespace) -> None:
    """`move`: moves a gallery's pictures to another place, verified."""
    arguments.storable("to", args.to)
    if os.path.realpath(args.to) == os.path.realpath(args.gallery):
        raise BadInputError("is where the gallery is", arguments={"to": args.to})
    with place.open_gallery(args.gallery) as store:
        store.check_writable()
        moved = gallery_move.move(store, args.to)
        _erase(store, moved)
    print(
        f"{printable(args.to)}: {moved} pictures moved and verified; {printable(args.gallery)} "
        "has none of them left"
    )


def _selected(
    store: Gallery, args: argparse.Namespace, before: int | None
) -> tuple[Selection, list[str]]:
    """Returns the selection that the flags of `remove` mean, and those that match no picture."""
    files: list[str] = []
    patterns: list[str] = []
    unmatched: list[str] = []
    for text in args.file:
        path = arguments.storable("file", os.path.abspath(text))
        if store.count(Selection(files=(path,))):
            files.append(path)
            continue
        patterns.append(arguments.file_pattern(text))
        if not store.count(Selection(patterns=(patterns[-1],))):
            unmatched.append(f"--file={text}")
    for camera in args.camera:
        if not store.count(Selection(cameras=(camera,))):
            unmatched.append(f"--camera={camera}")
    selection = Selection(tuple(files), tuple(patterns), tuple(args.camera), None, before)
    return selection, unmatched


def _erase(store: Gallery, removed: int) -> None:
    try:
        note_left(store.finish_erasure())
    except GalleryError as error:
        raise GalleryError(
            f"{removed} pictures are removed, but the file still has to be rewritten to erase "
            f"their traces; the next add or remove does it, this one couldn't: {error}",
            store.folder,
        ) from error
