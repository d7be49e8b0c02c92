"""A table of pictures, CSV: one line each, what is known of it in columns.

    file       path, relative to the table's folder, or absolute
    camera     name, where it is known
    tracklet   pictures of one person that a tracker held together, in one camera
    time       seconds, or a date and time as ISO 8601 has it
    person_id  whom it shows, where somebody has labelled it

Only `file` must be there. Tables of spreadsheets are taken: any of , ; and tab between columns, a
byte order mark.
"""

import csv
import io
import os
import sys
import unicodedata

COLUMNS = ("file", "camera", "tracklet", "time", "person_id")
_SEPARATORS = ",;\t"


class ManifestError(ValueError):
    """A table can't be used; the text names it and says what to do."""


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
    text = _text(path)
    header_line = text.partition("\n")[0].rstrip("\r")
    separator = max(_SEPARATORS, key=header_line.count)
    try:
        # Quoted names may hold line breaks.
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        header = [name.strip().lower() for name in next(reader, [])]
        notes = _check_header(path, header)
        rows: dict[str, Values] = {}
        again = 0
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            file, values = _row(path, header, cells, reader.line_num)
            if file in rows:
                again += 1
                if rows[file] != values:
                    raise ManifestError(
                        f"{path}: line {reader.line_num} says other things of {file} than a line "
                        "before it; keep one of them"
                    )
            rows[file] = values
    except csv.Error as error:
        raise ManifestError(f"{path}: no table ({error}); save it as CSV") from error
    if not rows:
        raise ManifestError(f"{path}: has no rows below its header")
    if again:
        notes.append(f"{path}: {again} rows are there more than once and count once")
    return rows, notes


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: is not UTF-8 ({error.reason}); save it as such") from error
    except OSError as error:
        raise ManifestError(f"{path}: can't be read ({error.strerror})") from error


def _check_header(path: str, header: list[str]) -> list[str]:
    if "file" not in header:
        raise ManifestError(
            f"{path}: its first line is {', '.join(header[:8]) or 'empty'}, and has to name the "
            f"columns: file and, where they are known, {', '.join(COLUMNS[1:])}"
        )
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise ManifestError(f"{path}: column {twice[0]} is there more than once")
    unknown = [name for name in header if name and name not in COLUMNS]
    return [f"{path}: column {', '.join(unknown)} has no use here"] if unknown else []


def _row(path: str, header: list[str], cells: list[str], line: int) -> tuple[str, Values]:
    if len(cells) != len(header):
        raise ManifestError(
            f"{path}: line {line} has {len(cells)} columns and the first line {len(header)}; a "
            'name that holds the separator goes into "quotes"'
        )
    known = dict(zip(header, cells, strict=True))
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
