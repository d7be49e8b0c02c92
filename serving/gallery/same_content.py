"""Which files are pictures that a gallery holds already under other names.

One rule, for `build` and `add`: the same bytes of the same camera are one picture. A file with the
bytes of a picture

- whose own file no longer holds them is that picture, MOVED, whatever camera its new name says.
  Where several moved, each takes the row of its own camera first;
- of the same camera whose file holds them is a COPY: the row that is there stays the only one;
- of another camera whose file holds them is a picture of its own. Two cameras can send the same
  blank frame, and what is removed or left out by camera must find each camera's. No camera
  counts as a camera.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from serving.gallery.file_state import FileState, state
from serving.gallery.records import Picture
from serving.gallery.store import GalleryStore


@dataclasses.dataclass
class Plan:
    """What is to become of files.

    Attributes:
        moves: (the picture as it is in the gallery, as it was read now).
        copies: {file: the file whose row stands for it}.
        apart: {file: a file of another camera with the same bytes}; both are pictures.
        stale: rows of `copies`, whose files held other pictures before.
    """

    moves: list[tuple[Picture, Picture]] = dataclasses.field(default_factory=list)
    copies: dict[str, str] = dataclasses.field(default_factory=dict)
    apart: dict[str, str] = dataclasses.field(default_factory=dict)
    stale: list[Picture] = dataclasses.field(default_factory=list)


def plan(pictures: Mapping[str, Picture], store: GalleryStore | None = None) -> Plan:
    """Returns what is to become of pictures, by the rule above.

    Args:
        pictures: {file: picture}, as just read.
        store: the gallery; None while there is none. Only rows of these files and contents are
            read, and of other files only those that hold such content.
    """
    known = store.by_file(pictures) if store else {}
    unknown: dict[bytes, list[Picture]] = {}
    here: dict[bytes, list[Picture]] = {}
    for each in pictures.values():
        old = known.get(each.file)
        same = old is not None and old.content_hash == each.content_hash
        (here if same else unknown).setdefault(each.content_hash, []).append(each)
    rows = store.by_content(unknown) if store and unknown else {}
    result = Plan()
    for content_hash, files in unknown.items():
        homes = {each.camera: each.file for each in reversed(here.get(content_hash, []))}
        lost = []
        for row in rows.get(content_hash, []):
            if row.file not in pictures:
                if state(row.file, content_hash) in (FileState.THERE, FileState.UNREADABLE):
                    homes.setdefault(row.camera, row.file)
                else:
                    lost.append(row)
            elif pictures[row.file].content_hash != content_hash:
                lost.append(row)
        _place(result, files, homes, lost)
    moved = {old.id for old, _ in result.moves}
    stale = [known[file] for file in result.copies if file in known]
    result.stale = [row for row in stale if row.id not in moved]
    return result


def _place(
    result: Plan, files: Sequence[Picture], homes: dict[str | None, str], lost: Sequence[Picture]
) -> None:
    """Adds to a plan what becomes of files of one content.

    Args:
        result: the plan.
        files: not in the gallery with this content.
        homes: {camera: file} of those that are, and hold it.
        lost: rows with this content whose files don't hold it.
    """
    # Popped from their ends, so oldest last.
    by_camera: dict[str | None, list[Picture]] = {}
    for row in reversed(lost):
        by_camera.setdefault(row.camera, []).append(row)
    waiting = []
    for each in files:
        if by_camera.get(each.camera):
            result.moves.append((by_camera[each.camera].pop(), each))
            homes.setdefault(each.camera, each.file)
        else:
            waiting.append(each)
    left = sorted((row for some in by_camera.values() for row in some), key=lambda row: -row.id)
    for each in waiting:
        if each.camera in homes:
            result.copies[each.file] = homes[each.camera]
            continue
        if left:
            result.moves.append((left.pop(), each))
        elif homes:
            result.apart[each.file] = next(iter(homes.values()))
        homes[each.camera] = each.file
