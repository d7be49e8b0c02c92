"""The subcommands that put pictures into a gallery: `build`, `add`, `fill`."""

import argparse
import contextlib
from collections.abc import Iterator

from serving import client
from serving.command import printable, warn
from serving.errors import BadInputError, ServingError
from serving.gallery import arguments, given_pictures, ingest, place, same_content, text_report
from serving.gallery.notes import note, note_cameras, note_left
from serving.gallery.outcome import Outcome


def build(args: argparse.Namespace) -> None:
    """`build`: makes a gallery."""
    given_pictures.check_flags(args, "camera")
    place.check_new(args.gallery)
    outcome = Outcome()
    files, known = given_pictures.found(args, args.paths, args.camera)
    pictures = ingest.read_pictures(files, known, args.skip_bad_images, outcome)
    with client.from_arguments(args) as server, _reporting(args, outcome):
        ingest.build(args.gallery, server, pictures, args.skip_bad_images, outcome)
    print(
        f"{printable(args.gallery)}: {outcome.added} pictures added, {outcome.bad} bad ones skipped"
        f"{text_report.same_content_counts(outcome)}"
    )


def add(args: argparse.Namespace) -> None:
    """`add`: adds pictures, or newer ones under the same names."""
    given_pictures.check_flags(args, "camera")
    outcome = Outcome()
    with place.open_gallery(args.gallery) as store:
        store.check_writable()
        files, known = given_pictures.found(args, args.paths, args.camera)
        pictures = ingest.read_pictures(files, known, args.skip_bad_images, outcome)
        with _reporting(args, outcome):
            new = same_content.settle(store, pictures, outcome)
            settled = {*new, *outcome.moved, *outcome.copies}
            if new:
                with client.from_arguments(args) as server:
                    ingest.add(store, server, new, args.skip_bad_images, outcome)
        note_left(store.finish_erasure())
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
    note_left(filled.unerased)
    print(
        f"{printable(args.gallery)}: {filled.added} pictures added, {filled.there} were there "
        f"already, {filled.copies} copies"
    )


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
            note(line)
        note_cameras(outcome.unknown_cameras, args.model, outcome.version, outcome.cameras)
