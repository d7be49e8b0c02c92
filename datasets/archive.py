"""Reads a re-ID data set as its authors packed it: an archive or its extracted folder.

Market-1501 and DukeMTMC-reID share one layout (see `archive_source`; identity and camera in each
file name), so finding, listing, parsing and checking are written here once; a builder adds only its
`Layout`.

Every mistake in the data is a `DataError`. `scan` checks every name and decodes every picture
before TFDS has written a record. TFDS passes the exception on unchanged and removes its temporary
folder, so no partial data set is left. The same holds for `read_examples`, which fails only if the
source changes after the scan.
"""

import dataclasses
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf
from absl import logging
from etils import epath

from datasets import archive_source
from datasets.archive_source import SPLIT_FOLDERS, DataError, File, Read, first_names
from datasets.files import formats, pictures
from datasets.layout import Layout, Picture, compare, summary

__all__ = [
    "Contents",
    "DataError",
    "Layout",
    "Picture",
    "fingerprint",
    "manual_dir",
    "read_examples",
    "scan",
]


@dataclasses.dataclass(frozen=True)
class Contents:
    """A checked source.

    Attributes:
        source: the archive, or the extracted folder.
        splits: {split: its pictures sorted by name}.
        metadata: what `DatasetInfo` should record.
    """

    source: epath.Path
    splits: dict[str, list[Picture]]
    metadata: dict[str, Any]


def manual_dir(dl_manager: Any) -> epath.Path:
    """Returns the manual directory of a TFDS download manager.

    Raises:
        DataError: it is missing or empty.
    """
    try:
        return epath.Path(dl_manager.manual_dir)
    except AssertionError as error:  # TFDS: the directory is missing or empty.
        raise DataError(str(error)) from error


def fingerprint(manual_dir: epath.PathLike, layout: Layout) -> str:
    """Returns a hash that changes when other pictures are in `manual_dir`.

    It detects pictures that are added, missing, renamed, moved to another split or of another
    size. It does not detect other content of the same size, because it reads the list of files
    and not the pictures. An archive, the folder extracted from it and any copy of them have the
    same fingerprint, which equals `metadata["fingerprint"]` of a data set prepared from them.

    Args:
        manual_dir: folder with the archive or with the extracted folder (the archive wins).
        layout: which data set to look for.

    Returns:
        SHA-256, hexadecimal.

    Raises:
        DataError: there is no such source, or its list of files cannot be read.
    """
    with archive_source.opened(manual_dir, layout) as (_, files, _):
        return _fingerprint(files)


def scan(manual_dir: epath.PathLike, layout: Layout, skip_bad_images: bool = False) -> Contents:
    """Finds the source in `manual_dir` and checks every name and every picture in it.

    Args:
        manual_dir: folder with the archive or with the extracted folder (the archive wins).
        layout: which data set to look for.
        skip_bad_images: leave out, count and list what cannot be used, instead of raising.

    Raises:
        DataError: there is no source, it cannot be read, holds another data set, has duplicate
            names or an empty split; or, unless `skip_bad_images`, one unusable name or picture.
    """
    splits: dict[str, list[Picture]] = {split: [] for split in SPLIT_FOLDERS}
    with archive_source.opened(manual_dir, layout) as (source, files, read):
        logging.info("Checking %d pictures in %s", len(files), source)
        bad = _check(source, files, read, layout, splits)
    if bad:
        complaint = (
            f"{source}: {len(bad)} of {len(files)} files cannot be used (names should look like "
            f"{layout.name_example}): {first_names(bad)}."
        )
        if not skip_bad_images:
            raise DataError(f"{complaint} Replace them, or go on with skip_bad_images=True")
        logging.warning("%s They are left out", complaint)
    empty = [SPLIT_FOLDERS[split] for split, pictures in splits.items() if not pictures]
    if empty:
        raise DataError(
            f"{source}: no usable picture is left in {', '.join(empty)} ({first_names(bad)}); put "
            "an intact copy in its place"
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


def read_examples(
    source: epath.Path, chosen: Iterable[Picture]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (file name, example) of each picture, in the given order, one at a time.

    The bytes of a JPEG or PNG are those of its file; another format becomes a PNG.

    Args:
        source: the archive, or the extracted folder.
        chosen: which of its pictures to read.

    Raises:
        DataError: a picture can no longer be read, because the source was changed meanwhile.
    """
    with archive_source.reader(source) as (_, read):
        for picture in chosen:
            example = dataclasses.asdict(picture)
            try:
                image = pictures.as_jpeg_or_png(read(example.pop("path")))
            except pictures.PictureError as error:
                raise DataError(f"{source}: {picture.path} cannot be read ({error})") from error
            yield picture.file_name, {"image": image, **example}


def _fingerprint(files: list[File]) -> str:
    lines = "".join(f"{file.folder}/{file.name}\0{file.size}\n" for file in files)
    data = lines.encode(errors="surrogateescape")  # Names need not be valid UTF-8.
    return hashlib.sha256(data).hexdigest()


def _check(
    source: epath.Path,
    files: list[File],
    read: Read,
    layout: Layout,
    splits: dict[str, list[Picture]],
) -> list[str]:
    """Adds each usable file to its split and returns one line for each unusable one."""
    pattern = re.compile(layout.name_pattern, re.IGNORECASE | re.ASCII)
    named = [(file, pattern.fullmatch(_as_jpg(file.name))) for file in files]
    if not any(match for _, match in named):
        raise DataError(
            f"{source}: none of its {len(files)} file names looks like {layout.name_example} "
            f"(the first is {files[0].name}), so this is another data set. Put the official "
            f"{layout.archive} in its place"
        )
    split_of = {folder: split for split, folder in SPLIT_FOLDERS.items()}
    bad = []
    for file, match in named:
        found = _picture(file, match, read)
        if isinstance(found, Picture):
            splits[split_of[file.folder]].append(found)
        else:
            bad.append(f"{file.folder}/{file.name}: {found}")
    return bad


def _as_jpg(name: str) -> str:
    """Returns a file's name as a layout has it, whatever suffixes of pictures it ends in."""
    stem = name
    while formats.named_as_picture(stem):
        stem = os.path.splitext(stem)[0]
    return name if stem == name else f"{stem}.jpg"


def _picture(file: File, match: re.Match[str] | None, read: Read) -> Picture | str:
    """Returns a file's picture, or what is wrong with its name or bytes."""
    if not match:
        return "not such a name"
    person, gallery = int(match["person"]), SPLIT_FOLDERS["gallery"]
    if person <= 0 and file.folder != gallery:
        return f"person {match['person']}: only {gallery} may hold junk or distractors"
    problem = _picture_problem(file, read)
    return problem or Picture(file.path, file.name, person, int(match["camera"]))


def _picture_problem(file: File, read: Read) -> str | None:
    """Returns what is wrong with a picture, or None if all of it decodes."""
    if file.size > pictures.MAX_BYTES:
        return f"{file.size} bytes, more than the {pictures.MAX_BYTES} allowed"
    try:
        data = read(file.path)
    except DataError as error:
        return f"unreadable ({error.__cause__})"
    if not data:
        return "empty"
    try:
        kind = pictures.checked_kind(data)
        if kind not in ("JPEG", "PNG"):
            pictures.as_jpeg_or_png(data)
            return None
        pictures.size(data)
    except pictures.PictureError as error:
        # Damage has a cause, which is no more use than this.
        return f"a truncated or broken {kind}" if error.__cause__ else str(error)
    try:
        with tf.device("CPU"):
            # Both fail on a cut or zero-filled end.
            decode = tf.io.decode_jpeg if kind == "JPEG" else tf.io.decode_png
            decode(data, channels=3)
    except tf.errors.InvalidArgumentError:
        return f"a truncated or broken {kind}"
    return None
