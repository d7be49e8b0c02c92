"""What `source` stands for: one labelled data set, several of them separated by commas, or none."""

import os
from collections.abc import Callable, Sequence

from arn_tf.errors import ArgumentError
from datasets.own_cameras import table

NONE = "none"
# Where a run keeps what it makes of a user's pictures.
PICTURES = "pictures"


def parts(given: str, is_there: Callable[[str], bool]) -> list[str]:
    """Returns the data sets that a text names, as they stand in it.

    A folder or table whose path has a comma is taken whole where it is there as written.

    Args:
        given: names and paths, separated by commas; or `NONE`.
        is_there: whether a path is that of a folder or table.

    Raises:
        UserError: nothing stands before, between or after commas; or `NONE` beside others.
    """
    if given == NONE:
        return []
    words, found = given.split(","), list[str]()
    while words:
        counts = range(len(words), 1, -1)
        count = next((n for n in counts if is_there(",".join(words[:n]))), 1)
        found.append(",".join(words[:count]))
        words = words[count:]
    if "" in found:
        raise ArgumentError(
            "source", given, "name data sets, folders or tables, separated by single commas"
        )
    if NONE in found:
        raise ArgumentError(
            "source", given, f"{NONE} stands alone; a folder of that name is ./{NONE}"
        )
    return found


def templates(names: str, sources: Sequence[str], named: Sequence[str]) -> list[str]:
    """Returns the template of each source's paths, "" for a guess.

    Args:
        names: one template for all folders among the sources, or one for each source, separated by
            commas, empty where there is none.
        sources: as `parts` returns them.
        named: data sets that have a name, and names of their own.

    Raises:
        UserError: there are more or fewer than sources, or no folder that one template is for.
    """
    if len(sources) == 1 or not names:
        return [names] * len(sources)
    found = names.split(",")
    if len(found) == len(sources):
        return found
    if len(found) > 1:
        raise ArgumentError(
            "source_names",
            names,
            f"{len(found)} templates, separated by commas, of {len(sources)} sources. Give one for "
            "all folders among them, or one for each source, empty where there is none; a template "
            "with a comma of its own can't stand beside another source",
        )
    found = ["" if each in named or _is_table(each) else names for each in sources]
    if not any(found):
        raise ArgumentError("source_names", names, "is for folders, and no source is one")
    return found


def folder(number: int, count: int) -> str:
    """Returns where a run keeps what it makes of a source's pictures, below its own folder.

    Args:
        number: of the source, from 1.
        count: of the sources; one alone shares the target's folder, as before there were several.
    """
    return PICTURES if count == 1 else os.path.join(PICTURES, f"source_{number}")


def _is_table(path: str) -> bool:
    return table.is_named_so(path) and not os.path.isdir(path)
