"""What a folder of crops most likely is, where nobody said: an official data set, or cameras.

A guess is said to the user before anything is made of it. Tracklets and persons of folders are
never guessed: a wrong one would bind different persons in silence.
"""

import collections
import dataclasses
import re
from collections.abc import Sequence

from datasets import camera_names
from datasets.files.printable import told
from datasets.own_cameras.template import Template

# {data set: the beginning of its pictures' names}; what both forms share comes last.
_OFFICIAL = {
    "MSMT17": re.compile(r"^(?P<person_id>\d{4})_\d{3}_(?P<camera>\d{2})_"),
    "VeRi": re.compile(r"^(?P<person_id>\d{4})_c(?P<camera>\d{3})_\d{8}_"),
    "Market-1501": re.compile(r"^(?P<person_id>-1|\d{4})_c(?P<camera>\d)s\d_\d{6}_"),
    "DukeMTMC-reID": re.compile(r"^(?P<person_id>\d{4})_c(?P<camera>\d)_f\d{7}"),
    "CUHK03-np": re.compile(r"^(?P<person_id>\d{4})_c(?P<camera>\d)_\d+"),
}
_NUMBER = re.compile(camera_names.PATTERN.replace("(", "(?P<camera>", 1))
SPLIT_FOLDERS = {
    "train": "train",
    "query": "query",
    "gallery": "gallery",
    "test": "gallery",
    "bounding_box_train": "train",
    "image_train": "train",
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
        official: name of the official data set whose names these are, or "".
        pattern: of the names, where they tell; its groups are fields.
        template: of the paths, where folders tell.
    """

    title: str
    official: str = ""
    pattern: re.Pattern[str] | None = None
    template: Template | None = None

    def values(self, path: str) -> dict[str, str] | None:
        """Returns what is known of a picture, or None if its path is not like the others.

        Args:
            path: relative to the folder; parts end in /.
        """
        if self.template is not None:
            return self.template.values(path)
        if self.pattern is None:
            return {}
        folders, _, name = path.rpartition("/")
        match = self.pattern.search(name)
        splits = [SPLIT_FOLDERS[part] for part in folders.split("/") if part in SPLIT_FOLDERS]
        if match is None:
            return None
        return match.groupdict() | ({"split": splits[-1]} if splits and self.official else {})


def guess(paths: Sequence[str]) -> Guess:
    """Guesses what the pictures of a folder are.

    Args:
        paths: relative to the folder; parts end in /. At least one.

    Raises:
        UnknownLayoutError: the folders in it may be cameras or persons.
    """
    for official, pattern in (*_OFFICIAL.items(), ("", _NUMBER)):
        # Counted, not kept: there may be a million.
        found = collections.Counter(
            match["camera"] for path in paths if (match := pattern.search(path.rpartition("/")[2]))
        )
        if found.total() >= _MOST * len(paths):
            cameras = len(found)
            how = f"names as {official} has them" if official else "_c and a number in their names"
            return Guess(f"{cameras} cameras, from {how}", official, pattern)
    return _by_folders(paths)


def _by_folders(paths: Sequence[str]) -> Guess:
    # Of each folder, how many pictures lie in it.
    counts = collections.Counter(path.rpartition("/")[0] for path in paths)
    parents = {folder: folder.split("/") if folder else [] for folder in counts}
    # Folders that all pictures lie in tell nothing.
    above = 0
    while all(len(parent) > above for parent in parents.values()):
        firsts = {parent[above] for parent in parents.values()}
        if len(firsts) > 1:
            return _cameras(firsts, above)
        above += 1
    direct = sum(counts[folder] for folder, parent in parents.items() if len(parent) == above)
    if direct < len(paths):
        raise UnknownLayoutError(
            f"{direct} of its pictures lie beside folders that hold the others: put each camera's "
            "pictures into a folder of its own, or say what the paths mean with names, such as "
            "names={camera}/{*}"
        )
    return Guess(
        "no cameras: all pictures lie in one folder and are taken as one camera's, without a name"
    )


def _cameras(firsts: set[str], above: int) -> Guess:
    if len(firsts) > _MANY_FOLDERS:
        raise UnknownLayoutError(
            f"holds {len(firsts)} folders, which may be cameras or persons: say which with "
            "names={camera}/{*} or names={person_id}/{*}"
        )
    place = "the first folder" if above == 0 else f"the folder at depth {above + 1}"
    shown = ", ".join(map(told, sorted(firsts)[:_SHOWN])) + (
        ", ..." if len(firsts) > _SHOWN else ""
    )
    template = "{*}/" * above + "{camera}/" + "{**}"
    return Guess(f"{len(firsts)} cameras from {place}: {shown}", template=Template(template))
