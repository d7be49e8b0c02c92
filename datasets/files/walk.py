"""The one search of a folder for pictures, and the one list of what is litter in it.

Litter is what systems and programs leave beside a user's pictures: thumbnails of a NAS, trash,
checkpoints of a notebook, sidecars of macOS. Often it looks like a picture, and never is one of
those that were meant.
"""

import collections
import dataclasses
import os
from collections.abc import Iterator

from datasets.files import formats
from datasets.files.printable import printable

# Lower case. Besides these, every name that begins with a dot.
_LITTER = frozenset(
    {
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "@__thumb",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "@sharebin",
        "@snapshot",
        "@synoeastream",
        "@synoresource",
        "@tmp",
        "__macosx",
        "__pycache__",
        "aquota.group",
        "aquota.user",
        "desktop.ini",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "icon\r",
        "lost+found",
        "network trash folder",
        "recycled",
        "recycler",
        "system volume information",
        "temporary items",
        "thumbs.db",
        "thumbs.db:encryptable",
        "~snapshot",
    }
)


@dataclasses.dataclass
class Found:
    """What a search of folders came upon.

    Attributes:
        files: paths of the pictures, sorted within each folder that was named.
        litter: {name of a litter folder or file: how often it was passed over}.
        others: paths of files that are no pictures of ours, likewise sorted.
        heic: those of them that are HEIC pictures, which somebody wanted read.
    """

    files: list[str] = dataclasses.field(default_factory=list)
    litter: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    others: list[str] = dataclasses.field(default_factory=list)
    heic: list[str] = dataclasses.field(default_factory=list)
    # Real paths of the folders that were searched.
    _seen: set[str] = dataclasses.field(default_factory=set, repr=False, compare=False)

    def searched(self, folder: str) -> bool:
        """Whether a folder was searched already, by itself or with one above it."""
        return os.path.realpath(folder) in self._seen

    def notes(self) -> list[str]:
        """Returns lines for the user on what was passed over."""
        lines = []
        if self.litter:
            names = [f"{name} ({count})" for name, count in self.litter.most_common()]
            lines.append(f"passed over, as hidden files, thumbnails or trash: {_first(names, 5)}")
        if self.heic:
            lines.append(
                "left out, HEIC pictures, which must be converted to JPEG or PNG: "
                f"{_first(self.heic, 3)}"
            )
        heic = set(self.heic)
        if rest := [path for path in self.others if path not in heic]:
            lines.append(f"left out, no pictures: {_first(rest, 3)}")
        return lines


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name was left by a system or program.

    Args:
        name: last part of a path.
    """
    return (name.startswith(".") and name not in (".", "..")) or name.lower() in _LITTER


def in_litter(path: str) -> bool:
    """Whether a part of a relative path, its last one too, is litter. Parts end in / or \\."""
    return any(is_litter(part) for part in path.replace("\\", "/").split("/") if part)


def is_inside(path: str, folder: str) -> bool:
    """Whether a path, also one of what isn't there yet, is a folder or lies in it; links count."""
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return os.path.join(path, "").startswith(os.path.join(folder, ""))


def pictures(folder: str, found: Found | None = None) -> Found:
    """Searches a folder, to any depth, through links too; each real folder once in `found`.

    What a file's name ends in decides nothing: one that doesn't end as pictures do is opened, and
    its first bytes tell. The folder itself may have any name.

    Args:
        folder: to be searched.
        found: what is added to; a new one if None.

    Returns:
        `found`.

    Raises:
        OSError: a folder can't be read; `filename` says which.
    """
    found = Found() if found is None else found
    files: list[str] = []
    others: list[str] = []
    for path in _files(folder, found.litter, found._seen):
        named = formats.named_as_picture(path)
        # A link to nowhere stays, so that reading it fails; a pipe would make its reader wait.
        if named and (os.path.isfile(path) or not os.path.exists(path)):
            files.append(path)
            continue
        head = formats.head_of(path)
        (others if formats.kind(head) is None else files).append(path)
        if formats.is_heic(head):
            found.heic.append(path)
    found.files += sorted(files)
    found.others += sorted(others)
    found.heic.sort()
    return found


def _files(folder: str, litter: collections.Counter[str], seen: set[str]) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise error

    starts = [folder]
    for start in starts:
        for parent, folders, names in os.walk(start, onerror=refuse):
            real = os.path.realpath(parent)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            if parent != folder and _is_run(folders, names):
                litter[f"{os.path.basename(parent)}, a run of arn_tf"] += 1
                folders.clear()
                continue
            folders[:] = _without_litter(folders, litter)
            # Links wait, so that a picture goes by its own name, and cycles end.
            children = [os.path.join(parent, name) for name in folders]
            starts += sorted(child for child in children if os.path.islink(child))
            for name in _without_litter(names, litter):
                yield os.path.join(parent, name)


def _is_run(folders: list[str], names: list[str]) -> bool:
    """Whether this is what is in the folder of a run, whose charts are PNG files."""
    return "checkpoints" in folders and "settings.json" in names


def _without_litter(names: list[str], litter: collections.Counter[str]) -> list[str]:
    kept = [name for name in names if not is_litter(name)]
    if len(kept) < len(names):
        litter.update(_shown(name) for name in names if is_litter(name))
    return kept


def _shown(name: str) -> str:
    """Sidecars of macOS are one kind, however many."""
    return "._*" if name.startswith("._") else name


def _first(names: list[str], count: int) -> str:
    """Returns the first names, fit to be printed, and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(map(printable, names[:count])) + more
