"""What the subcommands of `serving.gallery` do, given their parsed arguments."""

import argparse
import contextlib
import os
import time
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from serving import client
from serving.client import picture_cameras, picture_files
from serving.client.arguments import camera_pattern
from serving.client.picture_cameras import Known
from serving.client.results import camera_notes
from serving.command import printable, warn
from serving.errors import BadInputError, GalleryError, ServingError
from serving.gallery import (
    approximate_search,
    arguments,
    html_report,
    ingest,
    place,
    same_content,
    text_report,
    tracklet_search,
)
from serving.gallery import check as row_check
from serving.gallery import move as gallery_move
from serving.gallery.approximate_search import Quality
from serving.gallery.gallery import Gallery
from serving.gallery.outcome import Outcome
from serving.gallery.records import Hit, Selection
from serving.gallery.search import Result, by_filter, exact
from serving.gallery.store import GalleryStore
from serving.gallery.tracklet_search import TrackletResult


def build(args: argparse.Namespace) -> None:
    """`build`: makes a gallery."""
    _check_camera(args, "camera")
    place.check_new(args.gallery)
    outcome = Outcome()
    files, known = _found(args, args.paths, args.camera)
    pictures = ingest.read_pictures(files, known, args.skip_bad_images, outcome)
    with client.from_arguments(args) as server, _reporting(args, outcome):
        ingest.build(args.gallery, server, pictures, args.skip_bad_images, outcome)
    print(
        f"{printable(args.gallery)}: {outcome.added} pictures added, {outcome.bad} bad ones skipped"
        f"{text_report.same_content_counts(outcome)}"
    )


def add(args: argparse.Namespace) -> None:
    """`add`: adds pictures, or newer ones under the same names."""
    _check_camera(args, "camera")
    outcome = Outcome()
    with place.open_gallery(args.gallery) as store:
        store.check_writable()
        files, known = _found(args, args.paths, args.camera)
        pictures = ingest.read_pictures(files, known, args.skip_bad_images, outcome)
        with _reporting(args, outcome):
            new = same_content.settle(store, pictures, outcome)
            settled = {*new, *outcome.moved, *outcome.copies}
            if new:
                with client.from_arguments(args) as server:
                    ingest.add(store, server, new, args.skip_bad_images, outcome)
        _note_left(store.finish_erasure())
    print(
        f"{printable(args.gallery)}: {outcome.added} pictures added, "
        f"{len(pictures) - len(settled)} were there already, {outcome.bad} bad ones skipped"
        f"{text_report.same_content_counts(outcome)}"
    )


def fill(args: argparse.Namespace) -> None:
    """`fill`: puts the embeddings of a job into a gallery."""
    try:
        from serving.gallery import fill as filling
    except ImportError as error:
        lacking = {
            "pyarrow": "pyarrow; install the version that requirements.txt names",
            "datasets.embedding_shards": "the folder datasets/embedding_shards/; copy it, too",
        }
        if error.name not in lacking:
            raise
        raise BadInputError(
            f"reading shards needs {lacking[error.name]}", arguments={"shards": args.shards}
        ) from error
    root = None if args.root is None else arguments.storable("root", args.root)
    filled = filling.fill(args.gallery, args.shards, root)
    _note_left(filled.unerased)
    print(
        f"{printable(args.gallery)}: {filled.added} pictures added, {filled.there} were there "
        f"already, {filled.copies} copies"
    )


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
                _note_left(store.finish_erasure())
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
                _note(f"note: {row_check.lost(report)}")
            return
        pictures = row_check.removable(store, report, named=bool(args.folder))
        if args.dry_run:
            print(f"{printable(args.gallery)}: {len(pictures)} pictures would be removed")
            return
        removed = store.remove_rows(pictures)
        _erase(store, removed)
    print(f"{printable(args.gallery)}: {removed} pictures removed")


def search(args: argparse.Namespace) -> None:
    """`search`: prints the nearest pictures, or tracklets, of each query."""
    if args.top < 1:
        raise BadInputError("give a whole number of at least 1", arguments={"top": args.top})
    if args.html is not None:
        html_report.check_destination(args.html)
    _check_camera(args, "query_camera")
    with place.open_gallery(args.gallery) as store:
        if args.by == "tracklet":
            tracklet_search.check(store)
        _check_cameras(store, args.camera)
        files, known = _found(args, args.queries, args.query_camera)
        names = [known.camera(file) for file in files]
        if args.exclude_same_camera:
            _note_unknown(store, names)
        if args.exclude_same_camera and None in names:
            raise BadInputError(
                "its name tells no camera, and --exclude_same_camera needs one; give "
                "--query_camera, --camera_pattern or --names",
                files[names.index(None)],
            )
        vectors = _embed(store, args, files, names)
        results: list[Result] | list[TrackletResult]
        if args.by == "tracklet":
            tracklets = map(known.tracklets.get, files)
            queries = list(zip(files, names, tracklets, strict=True))
            results = tracklet_search.search(
                store, vectors, queries, args.top, args.camera, args.exclude_same_camera
            )
            note = "exact search, as the index is of pictures" if args.approximate else None
            text = text_report.tracklet_results(results)
        else:
            hits, note = _ranked(store, args, vectors, names)
            results = [Result(*row) for row in zip(files, names, hits, strict=True)]
            text = text_report.results(results)
    print(text)
    if note:
        print(note)
    if args.html is not None:
        html_report.write(args.html, results, args.gallery)
        print(f"page: {printable(args.html)}")


def info(args: argparse.Namespace) -> None:
    """`info`: prints what a gallery holds."""
    with place.open_gallery(args.gallery) as store:
        quality = approximate_search.quality(store) if isinstance(store, GalleryStore) else None
        with store.snapshot():
            print(text_report.info(store, _quality_text(quality) if quality else None))


def _erase(store: Gallery, removed: int) -> None:
    try:
        _note_left(store.finish_erasure())
    except GalleryError as error:
        raise GalleryError(
            f"{removed} pictures are removed, but the file still has to be rewritten to erase "
            f"their traces; the next add or remove does it, this one couldn't: {error}",
            store.folder,
        ) from error


def _note_left(what: str | None) -> None:
    if what is not None:
        _note(f"note: {what}")


def _found(
    args: argparse.Namespace, paths: list[str], camera: str | None
) -> tuple[list[str], Known]:
    """Returns the pictures that a command line names, and what is known of them.

    Tells of links to the same ones, and of a guess about cameras.
    """
    links: dict[str, str] = {}
    named_paths, named = picture_cameras.tables(paths, args.names)
    files = arguments.find(named_paths, links)
    if links:
        _note(picture_files.link_note(links))
    known = picture_cameras.known(paths, files, named, camera, args.camera_pattern, args.names)
    for source in {tracklet.source for tracklet in known.tracklets.values()}:
        arguments.check_source(source)
    return files, known


def _check_camera(args: argparse.Namespace, flag: str) -> None:
    """Raises a `BadInputError` where the flags about cameras can't be meant, before any work."""
    if (name := getattr(args, flag)) is not None:
        arguments.storable(flag, name)
    if args.camera_pattern is not None:
        camera_pattern(args.camera_pattern)
    if args.names is not None:
        picture_cameras.check_template(args.names)


@contextlib.contextmanager
def _reporting(args: argparse.Namespace, outcome: Outcome) -> Iterator[None]:
    """A context that prints, at its end, what a user should know of the outcome."""
    try:
        yield
    except (ServingError, KeyboardInterrupt):
        if outcome.added:
            warn(
                f"{printable(args.gallery)}: {outcome.added} pictures were added before this and "
                "are kept; add with the same pictures goes on"
            )
        raise
    finally:
        for line in text_report.same_content(outcome):
            _note(line)
        _note_cameras(outcome.unknown_cameras, args.model, outcome.version, outcome.cameras)


def _note_cameras(
    unknown: Collection[int], model: str, version: int, names: Collection[str | None]
) -> None:
    for line in camera_notes(unknown, model, version, names):
        _note(line)


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


def _known_cameras(store: Gallery) -> list[str]:
    with store.snapshot():
        return [row[0] for row in store.cameras() if row[0] is not None]


def _note_unknown(store: Gallery, names: Collection[str | None]) -> None:
    known = _known_cameras(store)
    unknown = sorted({name for name in names if name is not None and name not in known})
    if unknown:
        _note(
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


def _embed(
    store: Gallery, args: argparse.Namespace, files: list[str], names: list[str | None]
) -> np.ndarray:
    """Returns float32 [Q, dim] of the queries, in the gallery's own space."""
    vectors: list[np.ndarray] = []
    unknown: set[int] = set()
    with client.from_arguments(args) as server:
        model = server.describe()
        ingest.check_model(store, model)
        for part in ingest.stream(server, model, files, names):
            ingest.check_space(store, model, part)
            vectors.append(part.vectors)
            unknown.update(part.unknown_cameras)
    _note_cameras(unknown, model.name, model.version, names)
    return np.concatenate(vectors)


def _ranked(
    store: Gallery, args: argparse.Namespace, vectors: np.ndarray, names: list[str | None]
) -> tuple[list[list[Hit]], str | None]:
    """Returns lists of hits, and a line on how they were found, or None."""
    other_than = names if args.exclude_same_camera else None
    if args.approximate and not isinstance(store, GalleryStore):
        return _nearly(store, args, vectors, other_than)
    filtered = args.camera or args.exclude_same_camera
    if args.approximate and isinstance(store, GalleryStore) and not filtered:
        hits, quality = approximate_search.search(store, vectors, args.top, _note)
        return hits, f"approximate search: {_quality_text(quality)}"
    hits = exact(store, vectors, args.top, args.camera, other_than)
    return hits, "exact search, because of the camera filter" if args.approximate else None


def _nearly(
    store: Gallery,
    args: argparse.Namespace,
    vectors: np.ndarray,
    other_than: Sequence[str | None] | None,
) -> tuple[list[list[Hit]], str]:
    """As `_ranked`, by the index of Milvus."""
    from serving.gallery import milvus_recall

    qualities: list[Quality] = []

    def find(some: np.ndarray, selection: Selection) -> list[list[Hit]]:
        assert isinstance(store, milvus_recall.MilvusGallery)
        hits, quality = milvus_recall.search(store, some, args.top, selection)
        qualities.append(quality)
        return hits

    hits = by_filter(find, vectors, args.camera, other_than)
    queries = sum(each.queries for each in qualities)
    share = sum(each.recall * each.queries for each in qualities) / queries
    return hits, (
        f"approximate search: finds {share:.1%} of the exact {qualities[0].top} nearest, asked "
        f"for {queries} of these queries with their filters"
    )


def _quality_text(quality: Quality) -> str:
    return (
        f"finds {quality.recall:.1%} of the exact {quality.top} nearest (recall@{quality.top} "
        f"of {quality.queries} pictures of the gallery)"
    )


def _note(line: str) -> None:
    warn(printable(line))
