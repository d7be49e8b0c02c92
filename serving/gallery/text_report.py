"""The gallery's answers as text for a terminal."""

import contextlib
import datetime
import os
from collections.abc import Iterable

from serving.command import examples, printable
from serving.gallery import sqlite_file
from serving.gallery.check import Report
from serving.gallery.file_state import FileState, gone
from serving.gallery.gallery import Gallery
from serving.gallery.outcome import Outcome
from serving.gallery.quality import Quality
from serving.gallery.records import Picture
from serving.gallery.search import Result
from serving.gallery.store import GalleryStore
from serving.gallery.tracklet_search import TrackletResult

_COLUMNS = "{:>4}  {:>7}  {:<8}  {:<20}  {}"
_TRACKLET_COLUMNS = "{:>4}  {:>7}  {:<8}  {:<20}  {:>8}  {}"


def results(found: Iterable[Result]) -> str:
    """Returns a table for each query's result."""
    lines = []
    for result in found:
        camera = f" (camera {printable(result.camera)})" if result.camera is not None else ""
        lines.append(f"{printable(result.file)}{camera}")
        if not result.hits:
            lines.append("  no picture of the gallery passes the filter")
            continue
        lines.append(_COLUMNS.format("rank", "score", "camera", "inserted", "file"))
        for rank, hit in enumerate(result.hits, 1):
            mark = "  (file is gone)" if gone(hit.picture.file) else ""
            line = _COLUMNS.format(rank, f"{hit.score:.4f}", *_cells(hit.picture))
            lines.append(line + mark)
        lines.append("")
    return "\n".join(lines).rstrip()


def tracklet_results(found: Iterable[TrackletResult]) -> str:
    """Returns a table for each query's tracklets: each, and its nearest pictures below."""
    lines = []
    for result in found:
        lines.append(_query_title(result))
        if not result.hits:
            lines.append("  no tracklet of the gallery passes the filter")
            continue
        header = "rank", "score", "camera", "tracklet", "pictures", "the nearest of them"
        lines.append(_TRACKLET_COLUMNS.format(*header))
        for rank, hit in enumerate(result.hits, 1):
            cells = (
                f"{rank}",
                f"{hit.score:.4f}",
                _name(hit.camera),
                _name(hit.name),
                f"{hit.count}",
            )
            for each in hit.best:
                file = printable(each.picture.file)
                mark = "  (file is gone)" if gone(each.picture.file) else ""
                lines.append(_TRACKLET_COLUMNS.format(*cells, f"{each.score:.4f}  {file}{mark}"))
                cells = "", "", "", "", ""
        lines.append("")
    return "\n".join(lines).rstrip()


def _query_title(result: TrackletResult) -> str:
    """Returns the first file of a query, and what else there is to say of it."""
    known = [("camera", result.camera), ("tracklet", result.name)]
    told = ", ".join(f"{what} {printable(name)}" for what, name in known if name is not None)
    more = f" and {len(result.files) - 1} more" if len(result.files) > 1 else ""
    return f"{printable(result.files[0])}{more}" + (f" ({told})" if told else "")


def same_content(outcome: Outcome) -> list[str]:
    """Returns lines on files that are pictures of the gallery under other names."""
    lines = []
    if outcome.moved:
        cameras = f", {outcome.recameraed} with another camera" if outcome.recameraed else ""
        names = examples([f"{old} is now {new}" for new, old in outcome.moved.items()])
        lines.append(
            f"note: {len(outcome.moved)} pictures moved: their rows have the new names{cameras}: "
            f"{names}"
        )
    if outcome.copies:
        names = examples([f"{file} is {there}" for file, there in outcome.copies.items()])
        lines.append(
            f"note: {len(outcome.copies)} files are copies of pictures of the same camera, and "
            f"each picture is kept once, under the second name: {names}"
        )
    if outcome.apart:
        names = examples([f"{file} and {there}" for file, there in outcome.apart.items()])
        lines.append(
            f"note: {len(outcome.apart)} files have the bytes of a picture of another camera, and "
            f"both are kept: {names}"
        )
    return lines


def same_content_counts(outcome: Outcome) -> str:
    """Returns the counts of `same_content` as the end of a line; empty where all are 0."""
    moved = f", {len(outcome.moved)} moved" if outcome.moved else ""
    moved += f", {outcome.told} of another tracklet or time now" if outcome.told else ""
    return moved + (f", {len(outcome.copies)} copies" if outcome.copies else "")


def check_counts(report: Report) -> str:
    """Returns how many rows were compared with their files, and what was found."""
    gone, changed, unreadable = (
        len(report.of(state)) for state in (FileState.GONE, FileState.CHANGED, FileState.UNREADABLE)
    )
    more = " (add embeds them again)" if changed else ""
    return (
        f"{report.count} pictures checked; {gone} files are gone, {changed} changed{more}, "
        f"{unreadable} can't be read"
    )


def picture_line(picture: Picture) -> str:
    """Returns one line on one picture."""
    return "{:<8}  {:<20}  {}".format(*_cells(picture))


def info(store: Gallery, quality: str | None) -> str:
    """Returns what a gallery holds. Needs a snapshot.

    Args:
        store: the gallery.
        quality: words on the approximate index, or None if there is none.
    """
    cameras = store.cameras()
    tracklets, tracked = store.tracklets()
    binding = store.binding
    lines = [
        f"gallery             {printable(store.folder)}",
        f"pictures            {sum(row[1] for row in cameras)}",
        *(f"  camera {_name(row[0]):<11}{row[1]}" for row in cameras),
    ]
    if tracklets:
        lines.append(f"tracklets           {tracklets}, of {tracked} pictures")
    if timed := store.timed():
        lines.append(f"times               of {timed} pictures")
    if cameras:
        lines += [
            f"oldest              {moment(min(row[2] for row in cameras))}",
            f"newest              {moment(max(row[3] for row in cameras))}",
        ]
    lines += [
        f"embedding space     {printable(binding.embedding_space)}",
        f"model               {printable(binding.name)} version {binding.version}",
        f"embedding length    {binding.dim}",
        f"created             {moment(store.created_at)}",
    ]
    if not isinstance(store, GalleryStore):
        return "\n".join([*lines, *_in_milvus(store)])
    lines += [
        f"size on disk        {_size(store.folder) / 1e6:.1f} MB",
        f"approximate index   {quality or 'none for the gallery as it is now'}",
    ]
    if store.unerased():
        lines.append(
            f"traces              {sqlite_file.FILE} may still hold traces of removed "
            "pictures: a process was stopped before it had erased them. The next add or remove "
            "does it"
        )
    return "\n".join(lines)


def quality(found: Quality) -> str:
    """Returns how good an approximate index is."""
    return (
        f"finds {found.recall:.1%} of the exact {found.top} nearest (recall@{found.top} "
        f"of {found.queries} pictures of the gallery)"
    )


def _in_milvus(store: Gallery) -> list[str]:
    lines = ["approximate index   the collection's; search --approximate prints what it finds"]
    if store.unerased():
        lines.append(
            "traces              the server's files may still hold removed pictures; the next "
            "remove asks for their erasure again"
        )
    return lines


def moment(seconds: int) -> str:
    """Returns seconds since 1970 as text, UTC."""
    time = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return time.strftime("%Y-%m-%d %H:%M:%SZ")


def _size(folder: str) -> int:
    size = 0
    for entry in os.scandir(folder):
        # A journal may go at any moment.
        with contextlib.suppress(FileNotFoundError):
            size += entry.stat().st_size
    return size


def _cells(picture: Picture) -> tuple[str, str, str]:
    return _name(picture.camera), moment(picture.inserted_at), printable(picture.file)


def _name(camera: str | None) -> str:
    return "-" if camera is None else printable(camera)
