"""A table of pictures, CSV: one line each, what is known of it in columns.

    file       path, relative to the table's folder, or absolute
    camera     name, where it is known
    tracklet   pictures of one person that a tracker held together, in one camera
    time       seconds, or a date and time as ISO 8601 has it
    person_id  whom it shows, where somebody has labelled it

Only `file` must be there. Tables of spreadsheets are taken: any of , ; and tab between columns, a
byte order mark.
"""

import os
import sys
import unicodedata

from datasets.own_cameras import table

COLUMNS = ("file", "camera", "tracklet", "time", "person_id")


ManifestError = table.TableError

# What is known of a picture: the texts of `COLUMNS` after the first, "" where there is none.
Values = tuple[str, str, str, str]


def read(path: str) -> tuple[dict[str, Values], list[str]]:
    """Reads a table.

    Args:
        path: of the CSV file.

    Returns:
        {absolute path of a picture: what is known of it}, and lines for the user on what was passed
        over.

    Raises:
        ManifestError: it can't be read, isn't UTF-8, has no column `file`, two rows disagree, or
            there are no rows.
    """
    lines, notes = table.read(path, COLUMNS, 1)
    rows: dict[str, Values] = {}
    again = 0
    for line, known in lines:
        file, values = _row(path, known, line)
        if file in rows:
            again += 1
            if rows[file] != values:
                raise ManifestError(
                    f"{path}: line {line} says other things of {file} than a line before it; keep "
                    "one of them"
                )
        rows[file] = values
    if again:
        notes.append(f"{path}: {again} rows are there more than once and count once")
    return rows, notes


def _row(path: str, known: dict[str, str], line: int) -> tuple[str, Values]:
    file = known["file"]
    if not file.strip() or "\0" in file:
        raise ManifestError(f"{path}: line {line} names no file")
    # Equal texts are one object: a million lines name few cameras.
    camera, tracklet, time, person_id = (
        sys.intern(unicodedata.normalize("NFC", known.get(column, "").strip()))
        for column in COLUMNS[1:]
    )
    folder = os.path.dirname(os.path.abspath(path))
    return os.path.normpath(os.path.join(folder, file)), (camera, tracklet, time, person_id)
