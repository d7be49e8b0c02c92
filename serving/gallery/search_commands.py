"""The subcommands that only read a gallery: `search` and `info`."""

import argparse
from collections.abc import Sequence

import numpy as np

from serving import client
from serving.command import printable
from serving.errors import BadInputError
from serving.gallery import (
    approximate_search,
    given_pictures,
    html_report,
    ingest,
    place,
    search_filter,
    text_report,
    tracklet_search,
)
from serving.gallery.gallery import Gallery
from serving.gallery.notes import note, note_cameras
from serving.gallery.quality import Quality
from serving.gallery.records import Hit, Selection
from serving.gallery.search import Result, by_filter, exact
from serving.gallery.store import GalleryStore
from serving.gallery.tracklet_search import TrackletResult


def search(args: argparse.Namespace) -> None:
    """`search`: prints the nearest pictures, or tracklets, of each query."""
    if args.top < 1:
        raise BadInputError("give a whole number of at least 1", arguments={"top": args.top})
    if args.html is not None:
        html_report.check_destination(args.html)
    given_pictures.check_flags(args, "query_camera")
    with place.open_gallery(args.gallery) as store:
        if args.by == "tracklet":
            tracklet_search.check(store)
        within = search_filter.within(store, args)
        files, known = given_pictures.found(args, args.queries, args.query_camera)
        names = [known.camera(file) for file in files]
        if args.exclude_same_camera:
            search_filter.note_unknown(store, names)
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
                store, vectors, queries, args.top, within, args.exclude_same_camera
            )
            how = "exact search, as the index is of pictures" if args.approximate else None
            text = text_report.tracklet_results(results)
        else:
            hits, how = _ranked(store, args, vectors, within, names)
            results = [Result(*row) for row in zip(files, names, hits, strict=True)]
            text = text_report.results(results)
    print(text)
    if how:
        print(how)
    if args.html is not None:
        html_report.write(args.html, results, args.gallery)
        print(f"page: {printable(args.html)}")


def info(args: argparse.Namespace) -> None:
    """`info`: prints what a gallery holds."""
    with place.open_gallery(args.gallery) as store:
        quality = approximate_search.quality(store) if isinstance(store, GalleryStore) else None
        with store.snapshot():
            print(text_report.info(store, text_report.quality(quality) if quality else None))


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
    note_cameras(unknown, model.name, model.version, names)
    return np.concatenate(vectors)


def _ranked(
    store: Gallery,
    args: argparse.Namespace,
    vectors: np.ndarray,
    within: Selection,
    names: list[str | None],
) -> tuple[list[list[Hit]], str | None]:
    """Returns lists of hits, and a line on how they were found, or None."""
    other_than = names if args.exclude_same_camera else None
    if args.approximate and not isinstance(store, GalleryStore):
        return _nearly(store, args, vectors, within, other_than)
    filters = search_filter.reasons(within, args.exclude_same_camera)
    if args.approximate and isinstance(store, GalleryStore) and not filters:
        hits, quality = approximate_search.search(store, vectors, args.top, note)
        return hits, f"approximate search: {text_report.quality(quality)}"
    hits = exact(store, vectors, args.top, within, other_than)
    return hits, f"exact search, because of the {filters} filter" if args.approximate else None


def _nearly(
    store: Gallery,
    args: argparse.Namespace,
    vectors: np.ndarray,
    within: Selection,
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

    hits = by_filter(find, vectors, within, other_than)
    queries = sum(each.queries for each in qualities)
    share = sum(each.recall * each.queries for each in qualities) / queries
    return hits, (
        f"approximate search: finds {share:.1%} of the exact {qualities[0].top} nearest, asked "
        f"for {queries} of these queries with their filters"
    )
