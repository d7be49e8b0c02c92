"""What `images` names: a folder, a table, or a folder of an object store by fsspec."""

import os
import re
from typing import Any

import fsspec
import numpy as np

from arn_tf.data import picture_files
from arn_tf.embedding_jobs import storage
from arn_tf.errors import ArgumentError, UserError
from datasets.files import formats, walk
from datasets.files.printable import printable
from datasets.own_cameras import guess, listing, table
from datasets.own_cameras.listing import Listing

_UNKNOWN = -1


def listed(images: str, names: str) -> tuple[Listing, np.ndarray]:
    """Lists pictures; none is decoded.

    Args:
        images: folder, table (CSV), or address of a folder, such as s3://bucket/crops.
        names: template of the paths in it; a guess if it is empty.

    Returns:
        N pictures, and their sizes in bytes and times of change, int64 [N, 2]; -1 where unknown.

    Raises:
        UserError: there are none, it can't be told what they are, or the store can't be read.
    """
    try:
        if storage.is_address(images):
            storage.refuse_password(images)
            return _of_store(images.rstrip("/"), names)
        found = listing.read(images, names)
    except (listing.ListingError, guess.UnknownLayoutError) as error:
        problem = str(error).removeprefix(f"{os.path.abspath(images)}: ")
        text = printable(f"images={images}: {problem}")
        raise UserError(text, ["images", "names"]) from error
    return found, picture_files.stamps(found.root, found.files)


def _of_store(address: str, names: str) -> tuple[Listing, np.ndarray]:
    store, root = storage.opened(address)
    try:
        if table.is_named_so(address) and store.isfile(root):
            raise ArgumentError(
                "images",
                address,
                "a table is read from this machine alone; copy it here, or name the folder",
            )
        infos: dict[str, dict[str, Any]] = store.find(root, detail=True)
        found = _pictures(store, root, infos)
    except UserError:
        raise
    except Exception as error:  # each store has errors of its own
        raise storage.failed(address, error) from error
    if not found.files:
        raise ArgumentError(
            "images", address, "; ".join(["no pictures there", *map(printable, found.notes())])
        )
    files = sorted(found.files)
    listing_ = listing.of_files(address, files, names, skip_bad=False, notes=found.notes())
    above = storage.prefix(root)
    stamps = [_stamp(infos[above + file]) for file in listing_.files]
    return listing_, np.array(stamps, np.int64).reshape(-1, 2)


def _pictures(
    store: fsspec.AbstractFileSystem, root: str, infos: dict[str, dict[str, Any]]
) -> walk.Found:
    """Tells pictures from the rest as `walk.pictures` does; paths are below the folder."""
    found, above = walk.Found(), storage.prefix(root)
    for path in infos:
        file = path.removeprefix(above)
        if walk.in_litter(file):
            found.litter[next(part for part in file.split("/") if walk.is_litter(part))] += 1
        elif formats.named_as_picture(file):
            found.files.append(file)
        else:
            head = store.cat_file(path, end=formats.HEAD) if infos[path].get("size") else b""
            (found.others if formats.kind(head) is None else found.files).append(file)
            if formats.is_heic(head):
                found.heic.append(file)
    return found


def _stamp(info: dict[str, Any]) -> tuple[int, int]:
    """Returns size and time of change, which stores have under many names, or not at all."""
    size = info.get("size")
    times = (info.get(name) for name in ("mtime", "LastModified", "last_modified", "updated"))
    time = next((each for each in times if each is not None), None)
    if time is not None and hasattr(time, "timestamp"):
        time = time.timestamp()
    numeric = re.fullmatch(r"\d+(\.\d+)?", text := str(time))
    return (
        int(size) if size is not None else _UNKNOWN,
        int(float(text) * 1e9) if numeric else _UNKNOWN,
    )
