"""What a folder of crops most likely is, where nobody said: an official data set, or cameras.

A guess is said to the user before anything is made of it. Tracklets and persons of folders are
never guessed: a wrong one would bind different persons in silence.
"""

import collections
import dataclasses
import re
from collections.abc import Sequence

# {data set: the beginning of its pictures' names}; what both forms share comes last.
_OFFICIAL = {
    "MSMT17": re.compile(r"(?P<person_id>\d{4})_\d{3}_(?P<camera>\d{2})_"),
    "VeRi": re.compile(r"(?P<person_id>\d{4})_c(?P<camera>\d{3})_\d{8}_"),
    "Market-1501": re.compile(r"(?P<person_id>-1|\d{4})_c(?P<camera>\d)s\d_\d{6}_"),
    "DukeMTMC-reID": re.compile(r"(?P<person_id>\d{4})_c(?P<camera>\d)_f\d{7}"),
    "CUHK03-np": re.compile(r"(?P<person_id>\d{4})_c(?P<camera>\d)_\d+"),
}
SPLIT_FOLDERS = {
    "bounding_box_train": "train",
    "image_train": "train",
    "query": "query",
    "image_query": "query",
    "bounding_box_test": "gallery",
    "image_test": "gallery",
}
# Of the names of an official data set; the rest is what people lay beside it.
_MOST = 0.95
_MANY_FOLDERS = 100
_SHOWN = 3


class UnknownLayoutError(ValueError):
    """Nothing can be guessed safely; the text says what to give."""


@dataclasses.dataclass(frozen=True)
class Guess:
    """How paths are read.

    Attributes:
        title: for the user: what was found, and by what.
        official: name of the official data set, or "".
        template: of `template.Template`, or "" where the names of an official data set are read,
            or nothing.
    """

    title: str
    official: str = ""
    template: str = ""

    def official_values(self, name: str) -> dict[str, str] | None:
        """Returns camera and person of a file's name by the official data set's rule, or None."""
        match = _OFFICIAL[self.official].match(name)
        return match.groupdict() if match else None


def guess(paths: Sequence[str]) -> Guess:
    """Guesses what the pictures of a folder are.

    Args:
        paths: relative to the folder; parts end in /. At least one.

    Raises:
        UnknownLayoutError: the folders in it may be cameras or persons.
    """
    names = [path.rpartition("/")[2] for path in paths]
    for official, pattern in _OFFICIAL.items():
        matches = [match for name in names if (match := pattern.match(name))]
        if len(matches) >= _MOST * len(names):
            cameras = len({match["camera"] for match in matches})
            return Guess(f"{cameras} cameras, from names as {official} has them", official)
    return _by_folders(paths)


def _by_folders(paths: Sequence[str]) -> Guess:
    parents = [path.split("/")[:-1] for path in paths]
    # Folders that all pictures lie in tell nothing.
    above = 0
    while all(len(parent) > above for parent in parents):
        firsts = collections.Counter(parent[above] for parent in parents)
        if len(firsts) > 1:
            return _cameras(firsts, paths, above)
        above += 1
    direct = sum(len(parent) == above for parent in parents)
    if direct < len(paths):
        raise UnknownLayoutError(
            f"{direct} of its pictures lie beside folders that hold the others: put each camera's "
            "pictures into a folder of its own, or say what the paths mean with names, such as "
            "names={camera}/{*}"
        )
    return Guess(
        "no cameras: all pictures lie in one folder and are taken as one camera's, without a name"
    )


def _cameras(firsts: collections.Counter[str], paths: Sequence[str], above: int) -> Guess:
    if len(firsts) > _MANY_FOLDERS:
        raise UnknownLayoutError(
            f"holds {len(firsts)} folders, which may be cameras or persons: say which with "
            "names={camera}/{*} or names={person_id}/{*}"
        )
    place = "the first folder" if above == 0 else f"the folder at depth {above + 1}"
    shown = ", ".join(sorted(firsts)[:_SHOWN]) + (", ..." if len(firsts) > _SHOWN else "")
    template = "{*}/" * above + "{camera}/" + "{**}"
    return Guess(f"{len(firsts)} cameras from {place}: {shown}", template=template)
