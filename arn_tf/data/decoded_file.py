"""Decoded pictures in one file, mapped into memory: decoded once, and no memory for millions.

`NAME.uint8` holds [N, height, width, 3], `NAME.hashes` [N, 16] of the bytes that they were decoded
from, `NAME.json` their number and which pictures of which list these are. Both files grow as
`.partial`, beside a journal of what is safely on disk.
"""

import contextlib
import dataclasses
import json
import os
import shutil
from typing import Any

import numpy as np
import tqdm

from arn_tf.data import decoding
from arn_tf.data.picture_files import HASH_BYTES, PictureFiles
from arn_tf.errors import UserError
from datasets.files import durable, locks
from datasets.files.atomic_files import is_refusal, replace_text

_ENDING, _HASHES, _PARTIAL = ".uint8", ".hashes", ".partial"


@dataclasses.dataclass(frozen=True)
class Decoded:
    """Pictures in a file.

    Attributes:
        pictures: uint8 [N, height, width, 3], read-only and mapped into memory; without the bad.
        bad: {row in the list: what is wrong with it} of those that could not be decoded.
        hashes: uint8 [N, `HASH_BYTES`], see `picture_files.content_hash`; None in the folder of a
            run that began before they were kept.
    """

    pictures: np.ndarray
    bad: dict[int, str]
    hashes: np.ndarray | None


def decoded(
    files: PictureFiles,
    image_size: tuple[int, int],
    path: str,
    digest: str,
    title: str,
    settled: bool = False,
) -> Decoded:
    """Returns pictures decoded and resized, from the file where it is complete.

    In memory where there is none and the folder is to be read alone, and says so.

    Args:
        files: N encoded pictures.
        image_size: (height, width) in pixels.
        path: of the file, without its ending.
        digest: of the list of pictures; a file of another list is made anew.
        title: for the progress bar.
        settled: the bad stay bad, for somebody has learnt from the others. Else those that could
            not be read are tried again.

    Raises:
        UserError: no room on the disk, or it can't be written; or the pictures' drive went away.
    """
    key = {"digest": digest, "image_size": list(image_size)}

    def usable() -> Decoded | None:
        found = _finished(path, key)
        if found is None or settled or _still_unread(_json(path + ".json"), files):
            return found
        return None

    found = usable()  # It appeared whole: who reads needs no lock.
    if found is not None:
        return found

    def wait(holder: str) -> None:
        print(f"{title}: waiting for {holder}, which does it", flush=True)

    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with locks.held(f"{path}.lock", wait):
            found = usable()  # Another process may have written it meanwhile.
            if found is None:
                _write(files, path, key, title)
                found = _finished(path, key)
                assert found is not None
        return found
    except OSError as error:
        if is_refusal(error):
            print(
                f"{path}{_ENDING} can't be written ({error.strerror}): {len(files)} pictures are "
                "decoded in memory"
            )
            return in_memory(files, image_size)
        raise UserError(
            f"{path}{_ENDING}: {error.strerror or error}. Name a model_dir with room", ["model_dir"]
        ) from error


def in_memory(files: PictureFiles, image_size: tuple[int, int]) -> Decoded:
    """Returns pictures decoded and resized, in memory; for as many as fit."""
    chunks = list(decoding.chunks(files, image_size))
    return Decoded(
        np.concatenate([chunk.pictures for chunk in chunks]),
        {int(row): text for chunk in chunks for row, text in chunk.bad.items()},
        np.concatenate([chunk.hashes for chunk in chunks]),
    )


def _finished(path: str, key: dict[str, Any]) -> Decoded | None:
    known = _json(path + ".json")
    if known is None or {name: known.get(name) for name in key} != key:
        return None
    shape = (known["pictures"], *key["image_size"], 3)
    bad = {int(row): text for row, text in known["bad"].items()}
    if not shape[0]:
        return Decoded(np.zeros(shape, np.uint8), bad, np.zeros((0, HASH_BYTES), np.uint8))
    with contextlib.suppress(OSError, ValueError):
        pictures, hashes = np.memmap(path + _ENDING, np.uint8, "r", shape=shape), None
        if known.get("hashed"):
            hashes = np.memmap(path + _HASHES, np.uint8, "r", shape=(shape[0], HASH_BYTES))
        return Decoded(pictures, bad, hashes)
    return None


def _write(files: PictureFiles, path: str, key: dict[str, Any], title: str) -> None:
    partial, journal = path + _ENDING + _PARTIAL, path + ".journal"
    hashes = path + _HASHES + _PARTIAL
    known = _json(journal)
    if (
        known is None
        or known["key"] != key
        or not (os.path.exists(partial) and os.path.exists(hashes))
        or not _still_unread(known, files)
    ):
        known = {"key": key, "rows": 0, "pictures": 0, "bad": {}, "unread": []}
        _claim(partial, (len(files), *key["image_size"], 3))
        with open(hashes, "wb"):
            pass
    one = int(np.prod(key["image_size"])) * 3
    with (
        open(partial, "r+b") as file,
        open(hashes, "r+b") as hash_file,
        tqdm.tqdm(total=len(files), initial=known["rows"], desc=title, unit=" pictures") as bar,
    ):
        file.seek(known["pictures"] * one)
        hash_file.seek(known["pictures"] * HASH_BYTES)
        for chunk in decoding.chunks(files, tuple(key["image_size"]), known["rows"]):
            for each, content in ((file, chunk.pictures), (hash_file, chunk.hashes)):
                each.write(content.tobytes())
                each.flush()
                os.fsync(each.fileno())
            known["rows"] += len(chunk.rows)
            known["pictures"] += len(chunk.pictures)
            known["bad"] |= chunk.bad
            known["unread"] += chunk.unread
            replace_text(journal, json.dumps(known))
            bar.update(len(chunk.rows))
        file.truncate(known["pictures"] * one)
        hash_file.truncate(known["pictures"] * HASH_BYTES)
    # Of an earlier list, perhaps: it would pass off these pictures as its own.
    with contextlib.suppress(FileNotFoundError):
        os.remove(path + ".json")
    os.replace(hashes, path + _HASHES)
    os.replace(partial, path + _ENDING)
    facts = key | {name: known[name] for name in ("pictures", "bad", "unread")}
    replace_text(path + ".json", json.dumps(facts | {"hashed": True}))
    os.remove(journal)


def _still_unread(known: dict[str, Any] | None, files: PictureFiles) -> bool:
    """Whether all that could not be read still can't be: rights and drives come back."""
    return not any(files.is_readable(row) for row in (known or {}).get("unread", []))


def _claim(partial: str, shape: tuple[int, ...]) -> None:
    needed = int(np.prod(shape, dtype=np.int64))
    folder = os.path.dirname(partial) or "."
    free = shutil.disk_usage(folder).free
    print(
        f"decoded pictures: {needed / 2**30:.2f} GiB in {folder}, {free / 2**30:.1f} GiB are free",
        flush=True,
    )
    problem = (
        f"{folder}: {shape[0]} decoded pictures need {needed / 2**30:.2f} GiB, "
        f"{free / 2**30:.2f} GiB are free. Name a model_dir with room, or a smaller input_size"
    )
    if needed * 1.02 > free:
        raise UserError(problem, ["model_dir", "input_size"])
    with open(partial, "wb") as file:
        durable.reserve(file, max(needed, 1))


def _json(path: str) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
        content = json.load(file)
        return content if isinstance(content, dict) else None
    return None
