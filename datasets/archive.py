"""Reads a re-ID data set as its authors packed it: an archive or its extracted folder.

Market-1501 and DukeMTMC-reID share one layout (folders `bounding_box_train`, `query` and
`bounding_box_test`; identity and camera in each file name), so finding, listing, parsing,
checking and counting are written here once; a builder adds only its `Layout`.

Every mistake in the data is a `DataError`. `scan` looks at everything, decoding each picture,
before TFDS has written a record. TFDS passes the exception on unchanged (`download_and_prepare`
raises `DataError` itself) and removes its temporary folder, so no partial data set is left. The
same holds for `read_examples`, which fails only if the source changes after it was scanned.
Nothing is ever extracted, so a hostile path inside an archive leads nowhere.
"""

import collections
import contextlib
import dataclasses
import hashlib
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import tensorflow as tf
from absl import logging
from etils import epath

SPLIT_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
MAX_BYTES = 32 * 2**20  # of one picture file; the real ones have a few kilobytes
MAX_PIXELS = 2**24  # of one picture, so that a small file cannot unpack to gigabytes
_LITTER = {"thumbs.db", "desktop.ini"}  # left by file managers, as are names with a leading dot


class DataError(ValueError):
    """The data on disk cannot be used; the text names the file and the way out."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """What one data set looks like on disk, and its official counts."""

    archive: str  # file name of the official archive
    folder: str  # the one folder inside it
    name_pattern: str  # of a whole file name, any letter case; groups `person` and `camera`
    name_example: str  # a name that fits, for messages
    train_per_camera: tuple[int, ...]  # training pictures of camera 1, 2, ...
    train_identities: int
    query_pictures: int
    gallery_pictures: int


@dataclasses.dataclass(frozen=True)
class Picture:
    """One usable picture: where it is inside the source, and what its name says."""

    path: str
    file_name: str
    person_id: int
    camera_id: int


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
    stamp: str  # CRC in an archive, modification time in a folder
    folder: str  # one of SPLIT_FOLDERS
    name: str  # below that folder


def manual_dir(dl_manager: Any) -> epath.Path:
    """Returns the manual directory of a TFDS download manager, or raises DataError."""
    try:
        return epath.Path(dl_manager.manual_dir)
    except AssertionError as error:  # TFDS: the directory is missing or empty.
        raise DataError(str(error)) from error


def fingerprint(manual_dir: epath.PathLike, layout: Layout) -> str:
    """Returns a short text that changes when the pictures in `manual_dir` are other ones.

    It reads the list of files, not the pictures: name, CRC and size of each picture in an
    archive; name, size and modification time in a folder. An archive and the folder extracted
    from it therefore differ. Equals `metadata["fingerprint"]` of a data set prepared from it.

    Raises:
      DataError: if there is no such source or its list of files cannot be read.
    """
    with _open_source(manual_dir, layout) as (source, files, _):
        return _fingerprint(source, files)


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
    comparison = _compare(splits, layout)
    for line in comparison:
        logging.info("%s: %s", source.name, line)
    metadata = {
        "source": source.name,
        "source_bytes": sum(f.size for f in files) if source.is_dir() else source.stat().length,
        "fingerprint": _fingerprint(source, files),
        "splits": {split: _summary(pictures) for split, pictures in splits.items()},
        "skip_bad_images": skip_bad_images,
        "skipped": bad,
        "official_comparison": comparison,
    }
    return Contents(source, splits, metadata)


def read_examples(
    source: epath.Path, pictures: Iterable[Picture]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (file name, example) of each picture, in the given order, one at a time.

    Raises:
      DataError: if a picture can no longer be read, because the source was changed meanwhile.
    """
    with _reader(source) as (_, read):
        for picture in pictures:
            yield (
                picture.file_name,
                {
                    "image": read(picture.path),
                    "person_id": picture.person_id,
                    "camera_id": picture.camera_id,
                    "file_name": picture.file_name,
                },
            )


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
    """Yields the (path, size, stamp) of each file in a source, and a function path -> bytes."""
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
            listing = [(e.filename, e.file_size, f"{e.CRC:08x}") for e in entries]
            fetch = archive.read

        def read(path: str) -> bytes:
            try:
                return fetch(path)
            except Exception as error:  # As above.
                raise DataError(f"{source}: {path} cannot be read ({error})") from error

        yield listing, read


def _walk(source: epath.Path) -> Iterator[tuple[str, int, str]]:
    """Lists the split folders of `source` and, if it is nested, of the folders inside it."""
    for root in [source, *(path for path in source.iterdir() if path.is_dir())]:
        for folder in SPLIT_FOLDERS.values():
            for path in (root / folder).iterdir() if (root / folder).is_dir() else ():
                try:
                    size, stamp = path.stat().length, str(path.stat().mtime)
                except OSError:  # A dangling link: reading it will report the problem.
                    size, stamp = 0, ""
                yield path.relative_to(source).as_posix(), size, stamp


def _picture_files(source: epath.Path, listing: Iterable[tuple], layout: Layout) -> list[_File]:
    """Returns the files in the three split folders, sorted by folder and base name."""
    by_root = collections.defaultdict(list)
    for path, size, stamp in listing:
        *parents, name = path.replace("\\", "/").split("/")  # Some archivers write backslashes.
        litter = name.startswith(".") or name.lower() in _LITTER or "__MACOSX" in parents
        levels = [i for i, parent in enumerate(parents) if parent in SPLIT_FOLDERS.values()]
        if levels and not litter:
            at = levels[-1]
            name = "/".join([*parents[at + 1 :], name])
            by_root["/".join(parents[:at])].append(_File(path, size, stamp, parents[at], name))

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
    counts = collections.Counter(f"{file.folder}/{file.name}" for file in files)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise DataError(
            f"{source}: {len(twice)} names occur more than once: {_some(twice)}. Leave one of "
            f"each, or put the official {layout.archive} in its place"
        )
    return files


def _fingerprint(source: epath.Path, files: list[_File]) -> str:
    digest = hashlib.sha256()
    for file in files:
        line = f"{file.folder}/{file.name}\0{file.stamp}\0{file.size}\n"
        digest.update(line.encode(errors="surrogateescape"))  # Names need not be valid UTF-8.
    return f"{'folder' if source.is_dir() else 'archive'}:{digest.hexdigest()}"


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
    bad = []
    for file, match in named:
        problem = _picture_problem(file, read) if match else "not such a name"
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


def _identities(pictures: list[Picture]) -> set[int]:
    return {picture.person_id for picture in pictures if picture.person_id > 0}


def _summary(pictures: list[Picture]) -> dict[str, Any]:
    """Counts one split; cameras are text because TFDS stores metadata as JSON."""
    per_camera = collections.Counter(picture.camera_id for picture in pictures)
    return {
        "pictures": len(pictures),
        "identities": len(_identities(pictures)),
        "cameras": len(per_camera),
        "pictures_per_camera": {str(camera): per_camera[camera] for camera in sorted(per_camera)},
        "junk": sum(picture.person_id == -1 for picture in pictures),
        "distractors": sum(picture.person_id == 0 for picture in pictures),
    }


def _compare(splits: dict[str, list[Picture]], layout: Layout) -> list[str]:
    """Returns lines of text: a verdict, then each count beside the official one."""
    found = collections.Counter(picture.camera_id for picture in splits["train"])
    official = dict(enumerate(layout.train_per_camera, start=1))
    trained = _identities(splits["train"])
    tested = _identities(splits["query"] + splits["gallery"])
    counts = [
        ("train pictures", len(splits["train"]), sum(layout.train_per_camera)),
        *(
            (f"train pictures of camera {camera}", found[camera], official.get(camera, 0))
            for camera in sorted({*found, *official})
        ),
        ("train identities", len(trained), layout.train_identities),
        ("train identities also in query or gallery", len(trained & tested), 0),
        ("query pictures", len(splits["query"]), layout.query_pictures),
        ("gallery pictures", len(splits["gallery"]), layout.gallery_pictures),
    ]
    differ = sum(count != expected for _, count, expected in counts)
    verdict = f"{differ} of {len(counts)} counts differ from" if differ else "all counts equal"
    return [f"{verdict} those of the official {layout.archive}"] + [
        f"{what}: {count} (official {expected}{'' if count == expected else ', differs'})"
        for what, count, expected in counts
    ]


def _some(names: list[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
