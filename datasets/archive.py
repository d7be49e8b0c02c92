"""Reads a re-ID data set as its authors packed it: an archive or its extracted folder.

Market-1501 and DukeMTMC-reID share one layout (folders `bounding_box_train`, `query` and
`bounding_box_test`; identity and camera in each file name), so finding, listing, parsing
and checking are written here once; a builder adds only its `Layout`.

Every mistake in the data is a `DataError`. `scan` checks every name and decodes every picture
before TFDS has written a record. TFDS passes the exception on unchanged and removes its temporary
folder, so no partial data set is left. The same holds for `read_examples`, which fails only if the
source changes after the scan. Nothing is extracted, so no path inside an archive can do harm.
"""

import collections
import contextlib
import dataclasses
import hashlib
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import tensorflow as tf
from absl import logging
from etils import epath

from datasets.layout import Layout, Picture, compare, summary

SPLIT_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
MAX_BYTES = 32 * 2**20  # of one picture file; the real ones have a few kilobytes
MAX_PIXELS = 2**24  # of one picture, so that a small file cannot unpack to gigabytes
_LITTER = {"thumbs.db", "desktop.ini"}  # left by file managers, as are names with a leading dot


class DataError(ValueError):
    """The data on disk cannot be used; the text names the file and the way out."""


@dataclasses.dataclass(frozen=True)
class Contents:
    """A checked source: pictures of each split by name, and what DatasetInfo should record."""

    source: epath.Path
    splits: dict[str, list[Picture]]
    metadata: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class _File:
    path: str
    size: int
    folder: str  # one of SPLIT_FOLDERS
    name: str  # below that folder


def manual_dir(dl_manager: Any) -> epath.Path:
    """Returns the manual directory of a TFDS download manager, or raises DataError."""
    try:
        return epath.Path(dl_manager.manual_dir)
    except AssertionError as error:  # TFDS: the directory is missing or empty.
        raise DataError(str(error)) from error


def fingerprint(manual_dir: epath.PathLike, layout: Layout) -> str:
    """Returns a short text that tells whether the pictures in `manual_dir` are still the same.

    It detects pictures that are added, missing, renamed, moved to another split or of another
    size. It does not detect other content of the same size, because it reads the list of files
    and not the pictures. An archive, the folder extracted from it and any copy of them have the
    same fingerprint, which equals `metadata["fingerprint"]` of a data set prepared from them.

    Raises:
        DataError: if there is no such source or its list of files cannot be read.
    """
    with _open_source(manual_dir, layout) as (_, files, _):
        return _fingerprint(files)


def scan(manual_dir: epath.PathLike, layout: Layout, skip_bad_images: bool = False) -> Contents:
    """Finds the source in `manual_dir` and checks every name and every picture in it.

    Args:
        manual_dir: folder with the archive or with the extracted folder (the archive wins).
        layout: which data set to look for.
        skip_bad_images: leave out, count and list what cannot be used, instead of raising.

    Raises:
        DataError: if there is no source, it cannot be read, holds another data set, has duplicate
            names or an empty split; or, unless `skip_bad_images`, one unusable name or picture.
    """
    splits = {split: [] for split in SPLIT_FOLDERS}
    with _open_source(manual_dir, layout) as (source, files, read):
        logging.info("Checking %d pictures in %s", len(files), source)
        bad = _check(source, files, read, layout, splits)
    if bad:
        complaint = (
            f"{source}: {len(bad)} of {len(files)} files cannot be used (names should look like "
            f"{layout.name_example}): {_some(bad)}."
        )
        if not skip_bad_images:
            raise DataError(f"{complaint} Replace them, or go on with skip_bad_images=True")
        logging.warning("%s They are left out", complaint)
    empty = [SPLIT_FOLDERS[split] for split, pictures in splits.items() if not pictures]
    if empty:
        raise DataError(
            f"{source}: no usable picture is left in {', '.join(empty)} ({_some(bad)}); put an "
            "intact copy in its place"
        )
    metadata = {
        "source": source.name,
        "source_bytes": sum(f.size for f in files) if source.is_dir() else source.stat().length,
        "fingerprint": _fingerprint(files),
        "splits": {split: summary(pictures) for split, pictures in splits.items()},
        "skip_bad_images": skip_bad_images,
        "skipped": bad,
        "official_comparison": compare(splits, layout),
    }
    logging.info("%s: %s", source.name, "; ".join(metadata["official_comparison"]))
    return Contents(source, splits, metadata)


def read_examples(source: epath.Path, pictures: Iterable[Picture]) -> Iterator[tuple[str, dict]]:
    """Yields (file name, example) of each picture, in the given order, one at a time.

    Raises:
        DataError: if a picture can no longer be read, because the source was changed meanwhile.
    """
    with _reader(source) as (_, read):
        for picture in pictures:
            example = dataclasses.asdict(picture)
            yield picture.file_name, {"image": read(example.pop("path")), **example}


@contextlib.contextmanager
def _open_source(manual_dir: epath.PathLike, layout: Layout) -> Iterator[tuple]:
    """Yields the source in `manual_dir`, its _File list sorted by name, and its read function."""
    manual_dir = epath.Path(manual_dir).expanduser()
    with contextlib.ExitStack() as stack:
        try:
            source = _find(manual_dir, layout)
            listing, read = stack.enter_context(_reader(source))
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
        f"{_some(present) or 'nothing'}). Put the official archive here, under exactly this name, "
        "or the folder extracted from it; it is not downloaded for you"
    )


@contextlib.contextmanager
def _reader(source: epath.Path) -> Iterator[tuple]:
    """Yields the (path, size) of each file in a source, and a function path -> bytes."""
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
    nested = [path for path in source.iterdir() if path.is_dir() and path.name not in splits]
    folders = [root / split for root in [source, *nested] for split in splits]
    for folder in folders:
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_dir() and not os.path.islink(path):
                folders.append(path)  # What it holds is unusable, but an archive lists it too.
            else:
                size = path.stat().length if path.exists() else 0  # A dangling link has none.
                yield path.relative_to(source).as_posix(), size


def _picture_files(source: epath.Path, listing: Iterable[tuple], layout: Layout) -> list[_File]:
    """Returns the files in the three split folders, sorted by folder and base name."""
    by_root = collections.defaultdict(list)
    for path, size in listing:
        *parents, name = path.replace("\\", "/").split("/")  # Some archivers write backslashes.
        litter = name.startswith(".") or name.lower() in _LITTER or "__MACOSX" in parents
        levels = [i for i, parent in enumerate(parents) if parent in SPLIT_FOLDERS.values()]
        if levels and not litter:
            at = levels[-1]
            name = "/".join([*parents[at + 1 :], name])
            by_root["/".join(parents[:at])].append(_File(path, size, parents[at], name))
    folders = {root: {file.folder for file in files} for root, files in by_root.items()}
    complete = [root for root in folders if len(folders[root]) == len(SPLIT_FOLDERS)]
    if len(complete) != 1:
        found = sorted(f"{root}/{name}".lstrip("/") for root in folders for name in folders[root])
        problem = "more than one folder holds" if complete else "no folder holds all of"
        raise DataError(
            f"{source}: {problem} {', '.join(SPLIT_FOLDERS.values())} with files in them (found: "
            f"{_some(found) or 'none of them'}). Put the official {layout.archive} in its place"
        )
    if complete[0] != ("" if source.is_dir() else layout.folder):
        logging.info("%s: its pictures are not where they should be but in %r", source, complete[0])
    files = sorted(by_root[complete[0]], key=lambda file: (file.folder, file.name))
    names = collections.Counter(f"{file.folder}/{file.name}" for file in files)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise DataError(
            f"{source}: {len(twice)} names occur more than once: {_some(twice)}. Leave one of "
            f"each, or put the official {layout.archive} in its place"
        )
    return files


def _fingerprint(files: list[_File]) -> str:
    lines = "".join(f"{file.folder}/{file.name}\0{file.size}\n" for file in files)
    data = lines.encode(errors="surrogateescape")  # Names need not be valid UTF-8.
    return hashlib.sha256(data).hexdigest()


def _check(source, files, read, layout, splits) -> list[str]:
    """Adds each usable file to its split and returns one line for each unusable one."""
    pattern = re.compile(layout.name_pattern, re.IGNORECASE | re.ASCII)
    named = [(file, pattern.fullmatch(file.name)) for file in files]
    if not any(match for _, match in named):
        raise DataError(
            f"{source}: none of its {len(files)} file names looks like {layout.name_example} "
            f"(the first is {files[0].name}), so this is another data set. Put the official "
            f"{layout.archive} in its place"
        )
    split_of = {folder: split for split, folder in SPLIT_FOLDERS.items()}
    gallery = SPLIT_FOLDERS["gallery"]
    bad = []
    for file, match in named:
        if not match:
            problem = "not such a name"
        elif int(match["person"]) <= 0 and file.folder != gallery:
            problem = f"person {match['person']}: only {gallery} may hold junk or distractors"
        else:
            problem = _picture_problem(file, read)
        if problem:
            bad.append(f"{file.folder}/{file.name}: {problem}")
        else:
            picture = Picture(file.path, file.name, int(match["person"]), int(match["camera"]))
            splits[split_of[file.folder]].append(picture)
    return bad


def _picture_problem(file: _File, read: Callable[[str], bytes]) -> str | None:
    """Returns what is wrong with a picture, or None if all of it decodes."""
    if file.size > MAX_BYTES:
        return f"{file.size} bytes, more than the {MAX_BYTES} allowed"
    try:
        data = read(file.path)
    except DataError as error:
        return f"unreadable ({error.__cause__})"
    if not data:
        return "empty"
    if not data.startswith(b"\xff\xd8\xff"):  # decode_jpeg would accept PNG and GIF too.
        return "not a JPEG"
    try:
        with tf.device("CPU"):
            height, width, _ = tf.io.extract_jpeg_shape(data).numpy().tolist()
            if height * width > MAX_PIXELS:
                return f"{height} x {width} pixels, more than the {MAX_PIXELS} allowed"
            tf.io.decode_jpeg(data, channels=3)  # Fails on a cut or zero-filled end.
    except tf.errors.InvalidArgumentError:
        return "a truncated or broken JPEG"
    return None


def _some(names: list[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
