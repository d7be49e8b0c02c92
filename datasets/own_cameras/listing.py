"""All pictures of a user's folder or table, and what is known of each: camera, tracklet, person."""

import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from datasets import camera_names
from datasets.files import answers, walk
from datasets.files.printable import printable, told
from datasets.own_cameras import guess, manifest, table, times
from datasets.own_cameras.template import FIELDS, Template, TemplateError

UNKNOWN = -1
_EXAMPLES = 3
# What is known of a picture, by name of the field; and its split, where the folder has splits.
_Values = dict[str, str]
_COLUMNS = (*FIELDS, "split")


class ListingError(ValueError):
    """Pictures can't be used as a data set; the text names the file or folder and the way out."""


@dataclasses.dataclass(frozen=True)
class Labels:
    """A name for each picture, or none.

    Attributes:
        codes: int32 [N], places in `names`; `UNKNOWN` where there is none.
        names: distinct, digits in the order of numbers, then the others.
    """

    codes: np.ndarray
    names: list[str]

    def counts(self) -> np.ndarray:
        """Returns the number of pictures of each name, int64."""
        return np.bincount(self.codes[self.codes != UNKNOWN], minlength=len(self.names))


@dataclasses.dataclass(frozen=True)
class Listing:
    """The pictures of a folder or table.

    Attributes:
        root: the folder, or the table's folder.
        files: N paths, relative to `root` where they are in it, sorted; parts end in /.
        told_by: how cameras and persons were told, for the user.
        camera: their names.
        tracklet: their names; one of two cameras is two.
        person_id: their names.
        time: float64 [N], seconds; NaN where it is unknown.
        split: train, query or gallery, by the folders of an official data set; else none.
        official: name of the official data set whose names these are, or "".
        table: name of the table, in `root`; "" of a folder.
        notes: lines for the user.
    """

    root: str
    files: list[str]
    told_by: str
    camera: Labels
    tracklet: Labels
    person_id: Labels
    time: np.ndarray
    split: Labels
    official: str = ""
    table: str = ""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    def path(self, row: int) -> str:
        """Returns the path of a picture, to open it."""
        return os.path.join(self.root, self.files[row])

    def examples(self) -> list[str]:
        """Returns a line for each camera: its name, how many pictures, and three of their paths."""
        lines = []
        for code, name in enumerate(self.camera.names):
            rows = np.flatnonzero(self.camera.codes == code)
            shown = ", ".join(self.files[row] for row in rows[:_EXAMPLES])
            lines.append(f"{told(name)}: {len(rows)} pictures, such as {printable(shown)}")
        return lines


def read(path: str, names: str = "", skip_bad: bool = False) -> Listing:
    """Lists the pictures of a folder or table; none is opened.

    Args:
        path: of a folder, or of a table, CSV.
        names: template of the paths in a folder; a guess if it is empty.
        skip_bad: leave out what is not like the template, and rows whose file is missing.

    Raises:
        ListingError: there are no pictures, or it can't be told what they are.
    """
    path = os.path.abspath(os.path.expanduser(path))
    try:
        if answers.is_folder(path):
            return _of_folder(path, names, skip_bad)
        if answers.is_file(path) and table.is_named_so(path):
            if names:
                raise ListingError(f"{path}: a table says itself what its pictures are: no names")
            return _of_table(path, skip_bad)
    except (manifest.ManifestError, guess.UnknownLayoutError) as error:
        text = str(error)
        raise ListingError(text if text.startswith(path) else f"{path}: {text}") from error
    except OSError as error:
        raise ListingError(
            f"{error.filename or path}: can't be read ({error.strerror}); {answers.way_out(error)}"
        ) from error
    raise ListingError(f"{path}: neither a folder of pictures nor a table of them, .csv")


def _of_folder(root: str, names: str, skip_bad: bool) -> Listing:
    found = walk.pictures(root)
    if not found.files:
        raise ListingError("; ".join([f"{root}: no pictures there", *found.notes()]))
    above, notes = len(os.path.join(root, "")), found.notes()
    files = sorted(file[above:].replace(os.sep, "/") for file in found.files)
    del found  # whole paths of a million pictures
    return of_files(root, files, names, skip_bad, notes)


def of_files(
    root: str, files: Sequence[str], names: str, skip_bad: bool, notes: list[str]
) -> Listing:
    """Lists pictures whose paths tell what is known of them.

    Args:
        root: the folder that paths begin at.
        files: at least one path; parts end in /.
        names: template of them; a guess if it is empty.
        skip_bad: leave out what is not like the template.
        notes: lines for the user so far.

    Raises:
        ListingError: they are not like the template.
        guess.UnknownLayoutError: nothing can be guessed.
    """
    official = ""
    if names:
        told_by = f"the template {names}"
        try:
            kept, columns, odd = _columns(files, Template(names).values)
        except TemplateError as error:
            raise ListingError(f"{root}: names={names}: {error}") from error
        if odd:
            notes.append(_left_out(root, len(files), odd, names, skip_bad))
    else:
        guessed = guess.guess(files)
        told_by, official = guessed.title, guessed.official
        kept, columns, _ = _columns(files, guessed.values)
    return _listing(root, kept, columns, told_by, official, notes)


def _columns(
    files: Iterable[str], values_of: Callable[[str], _Values | None]
) -> tuple[list[str], dict[str, list[str]], list[str]]:
    """Returns the files that something is known of, what it is by field, and the other files."""
    kept, odd = list[str](), list[str]()
    columns: dict[str, list[str]] = {field: [] for field in _COLUMNS}
    for file in files:
        values = values_of(file)
        if values is None:
            odd.append(file)
            continue
        kept.append(file)
        for field, column in columns.items():
            # Equal texts are one object: a million pictures are of few cameras.
            column.append(sys.intern(values.get(field, "")))
    return kept, columns, odd


def _left_out(root: str, count: int, odd: Sequence[str], text: str, skip_bad: bool) -> str:
    """Returns the line on paths that are not like a template, or raises a `ListingError`."""
    shown = ", ".join(odd[:_EXAMPLES])
    problem = f"{len(odd)} of {count} pictures are not like names={text}: {shown}"
    if len(odd) == count or not skip_bad:
        raise ListingError(
            f"{root}: {problem}. Paths are taken below that folder; {{*}} stands for any text, "
            "{**} for any folders"
        )
    return f"left out: {problem}"


def _of_table(path: str, skip_bad: bool) -> Listing:
    rows, notes = manifest.read(path)
    root = os.path.dirname(path)
    missing = [file for file in rows if not answers.is_file(file)]
    if missing:
        shown = ", ".join(table.shortened(file) for file in missing[:_EXAMPLES])
        problem = f"{len(missing)} of {len(rows)} files are missing: {shown}"
        if len(missing) == len(rows) or not skip_bad:
            way_out = "Relative paths begin at the table's folder"
            if os.sep == "/" and any("\\" in file for file in missing):
                way_out += ", and parts of paths end in /, not in \\"
            raise ListingError(f"{path}: {problem}. {way_out}")
        notes.append(f"left out: {problem}")
        for file in missing:
            del rows[file]
    inside = root + os.sep
    paths = {
        file[len(inside) :].replace(os.sep, "/") if file.startswith(inside) else file: file
        for file in rows
    }
    files, columns, _ = _columns(
        sorted(paths), lambda file: dict(zip(manifest.COLUMNS[1:], rows[paths[file]], strict=True))
    )
    name = os.path.basename(path)
    found = _listing(root, files, columns, f"the table {name}", "", notes)
    return dataclasses.replace(found, table=name)


def _listing(
    root: str,
    files: list[str],
    columns: dict[str, list[str]],
    told_by: str,
    official: str,
    notes: list[str],
) -> Listing:
    unknown = str(camera_names.UNKNOWN_CAMERA)
    if count := columns["camera"].count(unknown):
        columns["camera"] = ["" if name == unknown else name for name in columns["camera"]]
        notes.append(
            f"camera {unknown} stands for an unknown one, so {count} pictures have no camera; if "
            "it is one, rename it"
        )
    time, odd_times = times.of(columns["time"])
    if odd_times:
        notes.append(odd_times)
    tracklets = [
        f"{camera}/{tracklet}" if tracklet else ""
        for camera, tracklet in zip(columns["camera"], columns["tracklet"], strict=True)
    ]
    return Listing(
        root,
        files,
        told_by,
        _labels(columns["camera"]),
        _labels(tracklets),
        _labels(columns["person_id"]),
        time,
        _labels(columns["split"]),
        official,
        notes=tuple(notes),
    )


def _labels(texts: Sequence[str]) -> Labels:
    names = in_order({text for text in texts if text})
    code_of = {name: code for code, name in enumerate(names)} | {"": UNKNOWN}
    return Labels(np.array([code_of[text] for text in texts], np.int32), names)


def in_order(names: Iterable[str]) -> list[str]:
    """Returns names sorted: those that are numbers by their value, before the others."""
    return sorted(names, key=lambda name: (not _is_number(name), _number(name), name))


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _number(name: str) -> int:
    return int(name) if _is_number(name) and len(name) < 256 else 0
