"""Rows of pictures in a gallery's file, read as a selection has them: counted, in pages, whole."""

from collections.abc import Iterable, Iterator

import numpy as np

from serving.gallery import rows, sqlite_schema
from serving.gallery.open_file import OpenFile
from serving.gallery.records import Picture, Selection
from serving.gallery.unit_vectors import not_unit


def count(file: OpenFile, selection: Selection) -> int:
    """Returns how many pictures are selected."""
    where, parameters = condition(file, selection)
    return file.one(f"SELECT count(*) FROM pictures WHERE {where}", parameters)[0]


def ids(file: OpenFile) -> np.ndarray:
    """Returns int64 [N], the rows of all pictures in ascending order."""
    return np.array([row[0] for row in file.all("SELECT id FROM pictures ORDER BY id")], "i8")


def by_name(file: OpenFile, selection: Selection) -> list[Picture]:
    """Returns the selected pictures, in the order of their files."""
    where, parameters = condition(file, selection)
    query = f"SELECT {_columns(file)} FROM pictures WHERE {where} ORDER BY file"
    return [rows.picture(row) for row in file.all(query, parameters)]


def by_id(file: OpenFile, wanted: Iterable[int]) -> dict[int, Picture]:
    """Returns {id: picture} of these rows."""
    query = f"SELECT {_columns(file)} FROM pictures WHERE id = ?"
    return {int(row): rows.picture(file.one(query, (int(row),))) for row in set(wanted)}


def pages(file: OpenFile, selection: Selection, most: int) -> Iterator[list[Picture]]:
    """Yields the selected pictures by row, in lists of at most `most`, each of one moment."""
    where, parameters = condition(file, selection)
    query = f"SELECT {_columns(file)} FROM pictures WHERE {where} AND id > ? ORDER BY id"
    after = 0
    while found := file.all(f"{query} LIMIT ?", [*parameters, after, most]):
        pictures = [rows.picture(row) for row in found]
        yield pictures
        after = pictures[-1].id


def cameras(file: OpenFile) -> list[tuple[str | None, int, int, int]]:
    """Returns [(camera or None, pictures, first, last inserted_at)] by camera."""
    columns = "camera, count(*), min(inserted_at), max(inserted_at)"
    return file.all(f"SELECT {columns} FROM pictures GROUP BY camera ORDER BY camera")


def tracklets(file: OpenFile) -> tuple[int, int]:
    """Returns how many tracklets there are, and how many pictures have one."""
    if _lacks(file, "tracklet_source"):
        return 0, 0
    query = "SELECT count(*) AS n FROM pictures WHERE tracklet IS NOT NULL"
    groups = f"{query} GROUP BY tracklet_source, camera, tracklet"
    return file.one(f"SELECT count(*), coalesce(sum(n), 0) FROM ({groups})")


def timed(file: OpenFile) -> int:
    """Returns how many pictures have a time."""
    if _lacks(file, "taken_at"):
        return 0
    return file.one("SELECT count(*) FROM pictures WHERE taken_at IS NOT NULL")[0]


def load(file: OpenFile, selection: Selection, dim: int) -> tuple[list[Picture], np.ndarray]:
    """Returns pictures by ascending id, and float32 [N, dim] of unit length. Needs `reading`."""
    where, parameters = condition(file, selection)
    pictures = []
    vectors = np.empty((count(file, selection), dim), np.float32)
    query = f"SELECT {_columns(file)}, embedding FROM pictures WHERE {where} ORDER BY id"
    for row, (*columns, blob) in enumerate(file.connection.execute(query, parameters)):
        if not isinstance(blob, bytes) or len(blob) != 4 * dim:
            raise file.damaged(f"the embedding of row {columns[0]} has a wrong size")
        pictures.append(rows.picture(columns))
        vectors[row] = np.frombuffer(blob, "<f4")
    wrong = not_unit(vectors)
    if wrong.size:
        row = pictures[wrong[0]].id
        raise file.damaged(f"the embedding of row {row} is not of unit length")
    return pictures, vectors


def condition(file: OpenFile, selection: Selection) -> tuple[str, list[str | int | float]]:
    """Returns a condition of SQL and its parameters; no time passes where there is none."""
    if selection.by_time and _lacks(file, "taken_at"):
        return "0", []
    return selection.sql()


def _lacks(file: OpenFile, column: str) -> bool:
    with file.errors():
        return column in sqlite_schema.lacking(file.connection)


def _columns(file: OpenFile) -> str:
    with file.errors():
        return rows.columns(file.connection)
