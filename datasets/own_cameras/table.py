"""Tables as spreadsheets write them, CSV: any of , ; and tab between columns, a byte order mark.

A first line such as `sep=;` names the separator.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence

_SEPARATORS = ",;\t"
# What Excel takes for the separator; saved again, the line has as many columns as the others.
_SAID = re.compile(rf'"?sep=([{_SEPARATORS}])\1*"?', re.IGNORECASE)
_LONGEST = 400
_ENDINGS = (".csv", ".tsv")


def is_named_so(path: str) -> bool:
    """Whether a path ends as that of a table, whatever is there."""
    return path.lower().endswith(_ENDINGS)


class TableError(ValueError):
    """A table can't be used; the text names it and says what to do."""


def read(
    path: str, columns: Sequence[str], needed: int
) -> tuple[Iterator[tuple[int, dict[str, str]]], list[str]]:
    """Opens a table; its rows are read as they are asked for.

    Args:
        path: of the CSV file.
        columns: names of those that have a use.
        needed: how many of them, from the first on, must be there.

    Returns:
        (number of its line, {column: text}) of each row that isn't empty, columns in lower case;
        and lines for the user on what was passed over.

    Raises:
        TableError: it can't be read, isn't UTF-8, or lacks a column; and, from the rows, they are
            not as long as the first line, or there are none.
    """
    text = _text(path)
    header_line = text.partition("\n")[0].rstrip("\r")
    said = _SAID.fullmatch(header_line)
    separator = said[1] if said else max(_SEPARATORS, key=header_line.count)
    # Quoted names may hold line breaks.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        if said:
            next(reader)
        header = [name.strip().lower() for name in next(reader, [])]
    except csv.Error as error:
        raise _no_table(path, error) from error
    _check_header(path, header, columns, needed)
    unknown = [name for name in header if name and name not in columns]
    notes = [f"{path}: column {', '.join(unknown)} has no use here"] if unknown else []

    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        empty = True
        try:
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                empty = False
                if len(cells) != len(header):
                    raise TableError(
                        f"{path}: line {reader.line_num} has {len(cells)} columns and the first "
                        f"line {len(header)}; a name that holds the separator goes into "
                        '"quotes"'
                    )
                yield reader.line_num, dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise _no_table(path, error) from error
        if empty:
            raise TableError(f"{path}: has no rows below its header")

    return rows(), notes


def shortened(text: str) -> str:
    """Returns a text of a table that fits a message: a file that is no table has long lines."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _no_table(path: str, error: csv.Error) -> TableError:
    return TableError(f"{path}: no table ({error}); save it as CSV")


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise TableError(f"{path}: is not UTF-8 ({error.reason}); save it as such") from error
    except OSError as error:
        raise TableError(f"{path}: can't be read ({error.strerror})") from error


def _check_header(path: str, header: list[str], columns: Sequence[str], needed: int) -> None:
    if not set(columns[:needed]) <= set(header):
        wanted = ", ".join(columns[:needed])
        if columns[needed:]:
            wanted += f" and, where they are known, {', '.join(columns[needed:])}"
        raise TableError(
            f"{path}: its first line is {shortened(', '.join(header[:8])) or 'empty'}, and has to "
            f"name the columns: {wanted}"
        )
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise TableError(f"{path}: column {twice[0]} is there more than once")
