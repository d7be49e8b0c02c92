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

from datasets import camera_names
from serving.client import ModelDescription
from serving.gallery.file_state import FileState, state
from serving.gallery.gallery import Gallery
from serving.gallery.outcome import Outcome
from serving.gallery.records import Picture


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


def plan(pictures: Mapping[str, Picture], store: Gallery | None = None) -> Plan:
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


def settle(store: Gallery, pictures: dict[str, Picture], outcome: Outcome) -> dict[str, Picture]:
    """Gives rows of pictures that moved their new names, and returns what is to be added.

    These are new files, and files with other content or of another camera than before. A picture
    that moved to another camera is one of them, and its row keeps the old camera until it is
    embedded anew: what a row says is always what its embedding was made of. A row whose tracklet
    or time alone is another one gets it here.

    Args:
        store: an open gallery.
        pictures: {file: picture}.
        outcome: gets what moved, and what is a copy.

    Returns:
        {file: picture} for `ingest.add`; first those whose content is there.
    """
    found = plan(pictures, store)
    if found.moves or found.stale:
        renamed = [(old, dataclasses.replace(new, camera=old.camera)) for old, new in found.moves]
        for old, new in store.move(renamed, found.stale):
            outcome.moved[new.file] = old.file
            outcome.recameraed += pictures[new.file].camera != old.camera
    rest = without_copies(pictures, found, outcome)
    known = store.by_file(rest)
    changed: list[Picture] = []
    added: list[Picture] = []
    told: list[tuple[Picture, Picture]] = []
    for file, picture in rest.items():
        row = known.get(file)
        if row is None or row.content_hash != picture.content_hash:
            added.append(picture)
        elif row.camera != picture.camera:
            changed.append(picture)
        elif not row.agrees(picture):
            told.append((row, picture))
    if told:
        outcome.told += len(store.move(told))
    return {picture.file: picture for picture in changed + added}


def to_embed(
    store: Gallery,
    model: ModelDescription,
    pictures: dict[str, Picture],
    outcome: Outcome,
) -> dict[str, Picture]:
    """Returns those of `settle` that must be embedded; of the others the camera is changed here.

    Args:
        store: an open gallery.
        model: of the server. Where it takes no cameras, or the camera's number is the same, the
            embedding of a picture that moved stays.
        pictures: {file: picture}, of `settle`.
        outcome: says what moved.
    """
    known = store.by_file([file for file in pictures if file in outcome.moved])
    renamed = [
        (old, pictures[file])
        for file, old in known.items()
        if old.content_hash == pictures[file].content_hash
        and not (
            model.takes_cameras
            and camera_names.number_of(old.camera) != camera_names.number_of(pictures[file].camera)
        )
    ]
    done = {new.file for _, new in store.move(renamed)} if renamed else set()
    return {file: picture for file, picture in pictures.items() if file not in done}


def without_copies(
    pictures: dict[str, Picture], found: Plan, outcome: Outcome
) -> dict[str, Picture]:
    """Returns the pictures without a plan's copies, which `outcome` gets."""
    outcome.copies.update(found.copies)
    outcome.apart.update(found.apart)
    return {file: picture for file, picture in pictures.items() if file not in found.copies}


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
