"""Finds the archive of a re-ID data set, or its extracted folder, and lists its picture files.

Market-1501 and DukeMTMC-reID share one layout: the folders `bounding_box_train`, `query` and
`bounding_box_test`. Nothing is extracted, so no path inside an archive can do harm.
"""

import collections
import contextlib
import dataclasses
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator

from absl import logging
from etils import epath

from datasets.files import walk
from datasets.layout import Layout

SPLIT_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}

# Path -> bytes of a file in a source.
Read = Callable[[str], bytes]


class DataError(ValueError):
    """The data on disk cannot be used; the text names the file and says what to do next."""


@dataclasses.dataclass(frozen=True)
class File:
    """A file in a split folder.

    Attributes:
        path: inside the source.
        size: bytes.
        folder: one of the values of `SPLIT_FOLDERS`.
        name: below that folder.
    """

    path: str
    size: int
    folder: str
    name: str


@contextlib.contextmanager
def opened(
    manual_dir: epath.PathLike, layout: Layout
) -> Iterator[tuple[epath.Path, list[File], Read]]:
    """Opens the source in a folder.

    Args:
        manual_dir: folder with the archive or with the extracted folder (the archive wins).
        layout: which data set to look for.

    Yields:
        the source, the files of its three split folders sorted by folder and name, and a function
        that reads one.

    Raises:
        DataError: there is no source, its list of files cannot be read, it lacks a split folder,
            or a name occurs twice.
    """
    manual_dir = epath.Path(manual_dir).expanduser()
    with contextlib.ExitStack() as stack:
        try:
            source = _find(manual_dir, layout)
            listing, read = stack.enter_context(reader(source))
            files = _picture_files(source, listing, layout)
        except OSError as error:
            raise DataError(f"{manual_dir}: cannot be read ({error}); check its rights") from error
        yield source, files, read


def _find(manual_dir: epath.Path, layout: Layout) -> epath.Path:
    archive, folder = manual_dir / layout.archive, manual_dir / layout.folder
    if archive.exists() and not archive.is_dir():
        if folder.exists():
            logging.info("%s is used, not the extracted folder beside it", archive)
        return archive
    if folder.is_dir():
        return folder
    present = sorted(path.name for path in manual_dir.iterdir()) if manual_dir.is_dir() else []
    raise DataError(
        f"{manual_dir}: neither {layout.archive} nor the folder {layout.folder} is here (found: "
        f"{first_names(present) or 'nothing'}). Put the official archive here, under exactly this "
        "name, or the folder extracted from it; it is not downloaded for you"
    )


@contextlib.contextmanager
def reader(source: epath.Path) -> Iterator[tuple[Iterable[tuple[str, int]], Read]]:
    """Opens an archive or an extracted folder.

    Yields:
        the (path, size in bytes) of each of its files, and a function that reads one.

    Raises:
        DataError: it is no zip archive, damaged or encrypted; or, from the function, a file cannot
            be read.
    """
    listing: Iterable[tuple[str, int]]
    fetch: Read
    with contextlib.ExitStack() as stack:
        if source.is_dir():
            listing, fetch = _walk(source), lambda path: (source / path).read_bytes()
        else:
            try:
                stream = stack.enter_context(source.open("rb"))
                archive = stack.enter_context(zipfile.ZipFile(stream))
            except Exception as error:  # Damage shows up as many types, struct.error among them.
                raise DataError(
                    f"{source}: not a readable zip archive ({error}). Its {source.stat().length} "
                    "bytes may be an interrupted download: put an intact copy in its place"
                ) from error
            # Not is_dir(), which fails on the empty name that a damaged directory may hold.
            entries = [e for e in archive.infolist() if not e.filename.endswith("/")]
            if any(e.flag_bits & 1 for e in entries):
                raise DataError(f"{source}: encrypted; put an unencrypted copy in its place")
            listing, fetch = [(e.filename, e.file_size) for e in entries], archive.read

        def read(path: str) -> bytes:
            try:
                return fetch(path)
            except Exception as error:  # As above.
                raise DataError(f"{source}: {path} cannot be read ({error})") from error

        yield listing, read


def _walk(source: epath.Path) -> Iterator[tuple[str, int]]:
    """Lists the split folders of `source` and, if it is nested, of the folders inside it."""
    splits = SPLIT_FOLDERS.values()
    inside = [path for path in source.iterdir() if not walk.is_litter(path.name)]
    nested = [path for path in inside if path.name not in splits and path.is_dir()]
    folders = [root / split for root in [source, *nested] for split in splits]
    for folder in folders:
        for path in folder.iterdir() if folder.is_dir() else ():
            if walk.is_litter(path.name):
                continue  # Perhaps its owner alone may read it.
            if path.is_dir() and not os.path.islink(path):
                folders.append(path)  # What it holds is unusable, but an archive lists it too.
            else:
                size = path.stat().length if path.exists() else 0  # A dangling link has none.
                yield path.relative_to(source).as_posix(), size


def _picture_files(
    source: epath.Path, listing: Iterable[tuple[str, int]], layout: Layout
) -> list[File]:
    """Returns the files in the three split folders, sorted by folder and base name."""
    by_root = collections.defaultdict(list)
    for path, size in listing:
        *parents, name = path.replace("\\", "/").split("/")  # Some archivers write backslashes.
        levels = [i for i, parent in enumerate(parents) if parent in SPLIT_FOLDERS.values()]
        if not levels:
            continue
        at = levels[-1]
        name = "/".join([*parents[at + 1 :], name])
        if not walk.in_litter(name):
            by_root["/".join(parents[:at])].append(File(path, size, parents[at], name))
    folders = {root: {file.folder for file in files} for root, files in by_root.items()}
    complete = [root for root in folders if len(folders[root]) == len(SPLIT_FOLDERS)]
    # What was thrown away is no second copy; but an archive may keep the path of a hidden folder.
    complete = [root for root in complete if not walk.in_litter(root)] or complete
    if len(complete) != 1:
        found = sorted(f"{root}/{name}".lstrip("/") for root in folders for name in folders[root])
        problem = "more than one folder holds" if complete else "no folder holds all of"
        raise DataError(
            f"{source}: {problem} {', '.join(SPLIT_FOLDERS.values())} with files in them (found: "
            f"{first_names(found) or 'none of them'}). Put the official {layout.archive} in its "
            "place"
        )
    if complete[0] != ("" if source.is_dir() else layout.folder):
        logging.info("%s: its pictures are not where they should be but in %r", source, complete[0])
    files = sorted(by_root[complete[0]], key=lambda file: (file.folder, file.name))
    names = collections.Counter(f"{file.folder}/{file.name}" for file in files)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise DataError(
            f"{source}: {len(twice)} names occur more than once: {first_names(twice)}. Leave one "
            f"of each, or put the official {layout.archive} in its place"
        )
    return files


def first_names(names: list[str], shown: int = 5) -> str:
    """Returns the first names of a list, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
