"""Files of torch.save: the zip archive of PyTorch 1.6 and later, and the older row of pickles."""

import io
import os
import reprlib
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from arn_tf.weight_files import torch_pickle
from arn_tf.weight_files.bad_weights import BadWeights
from arn_tf.weight_files.torch_pickle import NotTensors, Storage, Tensor
from datasets.files import answers

ZIP, LEGACY = "PyTorch (torch.save, zip)", "PyTorch (torch.save before 1.6)"
# The first pickle of the older kind: a number that nothing else begins with.
_LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LEGACY_VERSION = 1001
# Of a dictionary that holds the weights beside other things: torchreid's, fast-reid's.
_HOLDERS = ("state_dict", "model")
# What zipfile and pickle say of damage.
_BROKEN = (
    zipfile.BadZipFile,
    EOFError,
    struct.error,
    NotImplementedError,
    MemoryError,
    OSError,
    OverflowError,
    RecursionError,
    ValueError,
)


def is_one(start: bytes) -> bool:
    """Whether a file that begins with these 16 bytes is one of either kind."""
    return start.startswith((b"PK\x03\x04", _LEGACY_START))


def read(path: str) -> tuple[str, dict[str, np.ndarray]]:
    """Reads the weights of a file of torch.save.

    Args:
        path: of the file.

    Returns:
        `ZIP` or `LEGACY`, and {name: array}; names without `module.` in front. bfloat16 becomes
        float32, any other type stays.

    Raises:
        BadWeights: the file holds something else beside tensors, or is broken; the text says what
            to do.
    """
    with open(path, "rb") as file:
        legacy = file.read(len(_LEGACY_START)) == _LEGACY_START
    try:
        found = _read_legacy(path) if legacy else _read_zip(path)
    except NotTensors as error:
        raise BadWeights(
            f"{error}. Save the weights alone, where you trust the file and have PyTorch: "
            "import torch; x = torch.load('old.pth', map_location='cpu', weights_only=False); "
            "torch.save(x.state_dict() if hasattr(x, 'state_dict') else x['state_dict'], 'new.pth')"
        ) from error
    except _BROKEN as error:
        # zipfile, where it is told to look before a file's begin, asks what no file has.
        if isinstance(error, OSError) and not answers.is_sure(error):
            raise
        raise BadWeights(
            f"the file is broken ({str(error)[:100] or type(error).__name__}); fetch it "
            "again, and compare its size with the original's"
        ) from error
    return LEGACY if legacy else ZIP, found


def _read_zip(path: str) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if len(entries) < len(archive.infolist()):
            raise zipfile.BadZipFile("two entries have one name")
        for entry in entries.values():
            if entry.flag_bits & 1:
                raise NotTensors("it is encrypted")
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise NotTensors("it is compressed, as torch.save never does")
        if sum(entry.file_size for entry in entries.values()) > os.path.getsize(path):
            raise zipfile.BadZipFile("its entries are larger than the file")
        pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise NotTensors("it is a zip archive, but not of torch.save")
        root = pickles[0].partition("/")[0]
        if f"{root}/constants.pkl" in entries:
            raise NotTensors("it is a TorchScript program: load it with torch.jit.load instead")
        order = f"{root}/byteorder"
        if order in entries and archive.read(order).strip() != b"little":
            raise NotTensors("its numbers have the order of a big-endian machine")

        def content(storage: Storage) -> bytes:
            name = f"{root}/data/{storage.key}"
            if name not in entries:
                raise zipfile.BadZipFile(f"{name} is missing")
            return archive.read(name)

        held, _ = torch_pickle.load(io.BytesIO(archive.read(pickles[0])))
        return _arrays(held, content)


def _read_legacy(path: str) -> dict[str, np.ndarray]:
    """Reads pickles in a row, and then each storage: its length, 8 bytes, and its numbers."""
    with open(path, "rb") as opened:
        file = io.BytesIO(opened.read())
    file.seek(len(_LEGACY_START))
    if torch_pickle.load(file)[0] != _LEGACY_VERSION:
        raise NotTensors("it is of an unknown version of torch.save")
    machine, _ = torch_pickle.load(file)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise NotTensors("its numbers have the order of a big-endian machine")
    held, storages = torch_pickle.load(file)
    keys, _ = torch_pickle.load(file)
    contents = {}
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, str) or key not in storages:
            raise NotTensors("its list of storages names one that no tensor has")
        (count,) = struct.unpack("<q", file.read(8))
        if count != storages[key].length:
            raise zipfile.BadZipFile(f"storage {key} has another length than its tensors say")
        contents[key] = file.read(count * storages[key].dtype.itemsize)
    return _arrays(held, lambda storage: contents.get(storage.key, b""))


def _arrays(held: Any, content: Callable[[Storage], bytes]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    # Of each storage once: many tensors may be views of it.
    numbers: dict[str, np.ndarray] = {}
    for name, tensor in _weights(held).items():
        storage = tensor.storage
        if storage.key not in numbers:
            data = content(storage)
            if len(data) != storage.length * storage.dtype.itemsize:
                raise zipfile.BadZipFile(
                    f"storage {storage.key} of {name[:80]} has {len(data)} bytes, not those of "
                    f"{storage.length} numbers"
                )
            numbers[storage.key] = storage.numbers(data)
        found[name] = tensor.array(numbers[storage.key])
    return found


def _weights(held: Any) -> Mapping[str, Tensor]:
    """Returns the tensors by name of what a file holds."""
    for holder in _HOLDERS:
        if isinstance(held, dict) and isinstance(held.get(holder), dict):
            held = held[holder]
    if not isinstance(held, dict) or not held:
        raise NotTensors("it holds no dictionary of tensors")
    for name, value in held.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            shown = name if isinstance(name, str) else reprlib.repr(name)
            raise NotTensors(f"its entry {shown[:60]!r} is no tensor")
    if all(name.startswith("module.") for name in held):
        return {name.removeprefix("module."): value for name, value in held.items()}
    return held
