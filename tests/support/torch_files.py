"""Files as PyTorch writes them, made without it."""

import collections
import contextlib
import io
import pickle
import struct
import sys
import types
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

KINDS = {
    "<f4": "FloatStorage",
    "<f8": "DoubleStorage",
    "<f2": "HalfStorage",
    "<u2": "BFloat16Storage",
    "<i8": "LongStorage",
}


class TensorOf:
    """What a test says of a tensor; a whole array unless it says otherwise."""

    def __init__(self, array, key="0", offset=0, shape=None, strides=None, count=None):
        self.array = array
        self.key = key
        self.count = array.size if count is None else count
        whole = [step // array.itemsize for step in array.strides]
        self.view = offset, array.shape if shape is None else shape, strides or tuple(whole)

    def __reduce__(self) -> tuple:
        place = _Place(self)
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (place, *self.view, False, collections.OrderedDict())


class _Place:
    """The storage of a tensor: the pickle has no more than its name."""

    def __init__(self, tensor: TensorOf) -> None:
        self.tensor = tensor


class _Pickler(pickle.Pickler):
    def persistent_id(self, thing: object) -> Any:
        if not isinstance(thing, _Place):
            return None
        tensor = thing.tensor
        kind = getattr(sys.modules["torch"], KINDS[tensor.array.dtype.str])
        return "storage", kind, tensor.key, "cpu", tensor.count


def tensors_of(arrays: Mapping[str, np.ndarray]) -> dict[str, TensorOf]:
    """Returns a state dictionary, with a storage for each array."""
    return collections.OrderedDict(
        (name, TensorOf(array, str(number))) for number, (name, array) in enumerate(arrays.items())
    )


def pickled(held: object) -> bytes:
    """Returns the pickle in the file."""
    stream = io.BytesIO()
    with _torch():
        _Pickler(stream, protocol=2).dump(held)
    return stream.getvalue()


def zip_file(
    path: Any, held: object, data: Mapping[str, bytes], root: str = "archive", **more: bytes
) -> str:
    """Writes the archive of PyTorch 1.6 and later; returns its path.

    Args:
        path: of the file.
        held: what is pickled; bytes are the pickle itself.
        data: {key: content of a storage}.
        root: folder inside.
        more: other entries of it.
    """
    entries = {"data.pkl": held if isinstance(held, bytes) else pickled(held), **more}
    entries |= {f"data/{key}": content for key, content in data.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(f"{root}/{name}", content)
    return str(path)


def saved(path: Any, arrays: Mapping[str, np.ndarray], wrapped: str = "") -> str:
    """Writes `torch.save(state_dict, path)`, or of {wrapped: state_dict}; returns the path."""
    held = tensors_of(arrays)
    data = {str(number): array.tobytes() for number, array in enumerate(arrays.values())}
    return zip_file(path, {wrapped: held, "epoch": 3} if wrapped else held, data)


def legacy_file(path: Any, held: object, arrays: Mapping[str, np.ndarray]) -> str:
    """Writes what PyTorch before 1.6 did: pickles in a row, then storages by their keys."""
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    with open(path, "wb") as file:
        for part in (0x1950A86A20F9469CFC6C, 1001, machine):
            file.write(pickle.dumps(part, protocol=2))
        file.write(held if isinstance(held, bytes) else pickled(held))
        file.write(pickle.dumps(list(arrays), protocol=2))
        for array in arrays.values():
            file.write(struct.pack("<q", array.size) + array.tobytes())
    return str(path)


@contextlib.contextmanager
def _torch() -> Iterator[None]:
    """Modules with PyTorch's names: a pickler looks up what it names."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in KINDS.values():
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2(*_: object) -> None:
        raise NotImplementedError

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    real = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        yield
    finally:
        for name, module in real.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
