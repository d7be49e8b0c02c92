"""What the commands tell on stderr beside their results."""

from collections.abc import Collection

from serving.client.results import camera_notes
from serving.command import printable, warn


def note(line: str) -> None:
    """Tells a line, whatever is in its names."""
    warn(printable(line))


def note_cameras(
    unknown: Collection[int], model: str, version: int, names: Collection[str | None]
) -> None:
    """Tells of cameras that the model has no statistics for; see `camera_notes`."""
    for line in camera_notes(unknown, model, version, names):
        note(line)


def note_left(what: str | None) -> None:
    """Tells what `Gallery.finish_erasure` has left to do, if anything."""
    if what is not None:
        note(f"note: {what}")
