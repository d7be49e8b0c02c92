"""Maps of a frozen E_I on disk: computed once, read in every step of every run that shares them.

One `.npy` file for each split and E_I, float16 [N, views, h, w, C]; view 0 is the picture, view 1
its mirror image. Its name is the fingerprint of everything that decides the numbers. It grows as
`<name>.partial` beside a journal of the rows that are safely on disk, and is renamed when complete.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from arn_tf.data.images import decoded_batches
from arn_tf.data.split import Split
from arn_tf.errors import UserError
from arn_tf.paper.model import ARN
from datasets.files import durable, locks
from datasets.files.atomic_files import is_refusal, replace_text

_BATCH = 32
# Rows between two entries of the journal.
_CHUNK = 512
# Part of the key: raise it when decoding, resizing or the file's layout changes.
_FORMAT = 1
# Names in the errors.
_ARGUMENTS = ("cache_dir", "feature_cache")


class UnwritableCacheError(UserError):
    """Maps are missing, and their folder is to be read alone."""


def cached_maps(model: ARN, split: Split, views: int, directory: str, title: str) -> np.ndarray:
    """Returns maps of every picture as a read-only memory map, computed first where missing.

    Args:
        model: an `ARN`; only its E_I and preprocessing matter.
        split: its pictures.
        views: 1, or 2 to keep mirror images too.
        directory: folder shared by runs.
        title: for the progress bar.

    Returns:
        float16 [N, views, h, w, C].

    Raises:
        UnwritableCacheError: they are missing, and the folder can't be written.
        UserError: no room on the disk, a broken cache file, or maps too large or too small for
            float16.
    """
    key = _key(model, split, views)
    path = os.path.join(directory, hashlib.sha256(key.encode()).hexdigest()[:32] + ".npy")
    shape = (len(split), views, *model.map_shape)
    if os.path.exists(path):
        return _open(path, shape)  # It appeared whole: who reads needs no lock.

    def wait(holder: str) -> None:
        print(f"feature cache, {title}: waiting for {holder}, which computes it", flush=True)

    try:
        os.makedirs(directory, exist_ok=True)
        with locks.held(f"{path}.lock", wait):
            # Another run may have computed it meanwhile.
            if not os.path.exists(path):
                _write(model, split, path, shape, title)
        return _open(path, shape)
    except OSError as error:
        kind = UnwritableCacheError if is_refusal(error) else UserError
        raise kind(
            f"cache_dir={directory}: {error}. Name a folder with room, or pass feature_cache=none",
            _ARGUMENTS,
        ) from error


def maps_of_pictures(
    model: ARN, images: np.ndarray, views: int, batch_size: int
) -> Iterator[np.ndarray]:
    """Yields X of encoded pictures in order, float32 [<=batch_size, views, h, w, C].

    Args:
        model: an `ARN`.
        images: encoded pictures, object [N].
        views: 1, or 2 for the mirror images too.
        batch_size: pictures in a batch.
    """
    for batch in decoded_batches(images, model.input_size, batch_size):
        both = [batch, tf.reverse(batch, axis=[2])][:views]
        yield np.stack([model.compiled_feature_maps(view).numpy() for view in both], axis=1)


def _key(model: ARN, split: Split, views: int) -> str:
    weights = hashlib.sha256()
    for variable in model.encoder_i.variables:
        weights.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return json.dumps(
        [
            _FORMAT,
            keras.__version__,
            tf.__version__,
            _device(),
            model.get_config()["backbone"],
            model.input_size,
            views,
            weights.hexdigest(),
            split.digest,
        ]
    )


def _device() -> str:
    """Returns "GPU" or "CPU", which round differently."""
    return "GPU" if tf.config.list_logical_devices("GPU") else "CPU"


def _write(model: ARN, split: Split, path: str, shape: tuple[int, ...], title: str) -> None:
    partial, journal = path + ".partial", path + ".journal"
    done = _resume(partial, journal, shape)
    if not done:
        needed = int(np.prod(shape, dtype=np.int64)) * 2
        free = shutil.disk_usage(os.path.dirname(path) or ".").free
        if needed * 1.02 > free:
            raise UserError(
                f"cache_dir={os.path.dirname(path)}: the feature cache needs "
                f"{needed / 2**30:.2f} GiB, {free / 2**30:.2f} GiB are free. Name a folder with "
                "room, or pass feature_cache=none",
                _ARGUMENTS,
            )
        # One of an earlier file would pass off empty rows as done.
        with contextlib.suppress(FileNotFoundError):
            os.remove(journal)
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        with open(partial, "w+b") as file:
            np.lib.format.write_array_header_1_0(file, header)
            # A memory map on a disk that fills up kills the process: claim the room now.
            durable.reserve(file, file.tell() + needed)
    maps = np.lib.format.open_memmap(partial, "r+")
    print(f"feature cache, {title}: {shape[0]} pictures, {shape[1]} views", flush=True)
    bar = keras.utils.Progbar(shape[0], unit_name="picture")
    bar.update(done)
    for start in range(done, shape[0], _CHUNK):
        stop = min(start + _CHUNK, shape[0])
        first = start
        for views in maps_of_pictures(model, split.images[start:stop], shape[1], _BATCH):
            last = first + len(views)
            maps[first:last] = _as_float16(views)
            bar.update(last)
            first = last
        maps.flush()
        replace_text(journal, json.dumps({"rows": stop}))
    del maps
    os.replace(partial, path)
    os.remove(journal)


def _resume(partial: str, journal: str, shape: tuple[int, ...]) -> int:
    """Returns the number of rows of an interrupted cache that are safely on disk."""
    try:
        with open(journal, encoding="utf-8") as file:
            rows = json.load(file)["rows"]
        found = np.load(partial, mmap_mode="r")
    except (OSError, EOFError, ValueError, KeyError):
        return 0
    return rows if found.shape == shape and found.dtype == np.float16 else 0


def _open(path: str, shape: tuple[int, ...]) -> np.ndarray:
    way_out = "Delete it and run again to compute it anew"
    try:
        maps = np.load(path, mmap_mode="r")
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"feature cache {path} is broken ({error}). {way_out}") from error
    if maps.shape != shape or maps.dtype != np.float16:
        raise UserError(
            f"feature cache {path} holds {maps.dtype} {maps.shape}, expected float16 {shape}. "
            f"{way_out}"
        )
    return maps


def _as_float16(maps: np.ndarray) -> np.ndarray:
    largest, float16 = np.max(np.abs(maps)), np.finfo(np.float16)
    if not (largest == 0 or float16.smallest_normal <= largest <= float16.max):
        raise UserError(
            f"the maps of E_I reach {largest:.3g}, which float16 can't hold: pass "
            "feature_cache=none, or other backbone_weights",
            (*_ARGUMENTS, "backbone_weights"),
        )
    return maps.astype(np.float16)
