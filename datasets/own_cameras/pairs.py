"""A table of pairs of pictures, CSV: do the two show the same person?

    a, b   paths, relative to the table's folder, or absolute
    same   1, true or yes; 0, false or no

Separators and byte order marks are taken as in `table`.
"""

import dataclasses
import os

import numpy as np

from datasets.files import answers
from datasets.own_cameras import table

COLUMNS = ("a", "b", "same")
_SAME = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Pairs:
    """P pairs of N pictures.

    Attributes:
        root: the table's folder.
        files: N paths, relative to `root` where they are in it, sorted; parts end in /.
        a: int64 [P], rows of `files`.
        b: int64 [P], likewise; another row than that of `a`.
        same: bool [P], whether both show one person.
        notes: lines for the user.
    """

    root: str
    files: list[str]
    a: np.ndarray
    b: np.ndarray
    same: np.ndarray
    notes: tuple[str, ...]


def read(path: str) -> Pairs:
    """Reads a table of pairs.

    Raises:
        table.TableError: it can't be read; or rows are wrong, which are named by their lines: a
            file is missing, `same` is none of its words, a picture is paired with itself, or two
            rows contradict each other.
    """
    path = os.path.abspath(os.path.expanduser(path))
    rows, notes = table.read(path, COLUMNS, len(COLUMNS))
    known: dict[tuple[str, str], tuple[bool, int]] = {}
    there: dict[str, bool] = {}
    bad: list[str] = []
    again: list[int] = []
    for line, values in rows:
        a, b = (_file(path, values[name]) for name in ("a", "b"))
        same = _SAME.get(values["same"].strip().lower())
        pair = (min(a, b), max(a, b))
        missing = [file for file in pair if not _is_there(file, there)]
        before = known.get(pair)
        if missing:
            bad.append(f"line {line}: no file {missing[0] or 'is named'}")
        elif same is None:
            bad.append(f"line {line}: same is {values['same']!r}, and neither 1 nor 0")
        elif a == b:
            bad.append(f"line {line}: a and b are one picture")
        elif before is None:
            known[pair] = (same, line)
        elif before[0] != same:
            bad.append(f"line {line} contradicts line {before[1]}")
        else:
            again.append(line)
    if bad:
        more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise table.TableError(
            f"{path}: {'; '.join(bad[:_SHOWN])}{more}. Mend these rows, or remove them; relative "
            "paths begin at the table's folder"
        )
    if again:
        lines = ", ".join(map(str, again[:_SHOWN])) + (", ..." if len(again) > _SHOWN else "")
        notes.append(f"{path}: rows that are there more than once count once: line {lines}")
    return _pairs(os.path.dirname(path), known, notes)


def _pairs(root: str, known: dict[tuple[str, str], tuple[bool, int]], notes: list[str]) -> Pairs:
    files = sorted({file for pair in known for file in pair})
    row_of = {file: row for row, file in enumerate(files)}
    inside = root.rstrip(os.sep) + os.sep
    return Pairs(
        root,
        [file.removeprefix(inside).replace(os.sep, "/") for file in files],
        np.array([row_of[a] for a, _ in known], np.int64),
        np.array([row_of[b] for _, b in known], np.int64),
        np.array([same for same, _ in known.values()], bool),
        tuple(notes),
    )


def _file(path: str, file: str) -> str:
    """Returns the absolute path of a picture, or "" where none is named."""
    if not file.strip() or "\0" in file:
        return ""
    return os.path.normpath(os.path.join(os.path.dirname(path), file))


def _is_there(file: str, there: dict[str, bool]) -> bool:
    if file not in there:
        try:
            there[file] = answers.is_file(file)
        except OSError as error:
            raise table.TableError(
                f"{file}: can't be read ({error.strerror}); {answers.way_out(error)}"
            ) from error
    return there[file]
