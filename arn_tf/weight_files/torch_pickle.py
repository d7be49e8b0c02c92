"""The pickle inside a file of torch.save, read without PyTorch and without running what it names.

A pickle is a program: it may call anything that it can name. Here it can name what tensors need and
no more, and what it is given for a name is a stand-in of this module.
"""

import collections
import dataclasses
import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from typing import IO, Any

import numpy as np

# {storage: element as it lies in the file}; bfloat16 is the upper half of a float32.
ELEMENTS = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
# Checkpoints keep scores and schedules beside the weights; nothing reads them here.
_IGNORED = {
    ("collections", "Counter"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
_MOST_DIMENSIONS = 8


class NotTensors(Exception):
    """The file isn't, or isn't only, what tensors need; the text says what it is."""


@dataclasses.dataclass(frozen=True)
class Storage:
    """Numbers in a row.

    Attributes:
        key: its name in the file.
        kind: as PyTorch names it, of `ELEMENTS`.
        count: of the numbers.
    """

    key: str
    kind: str
    count: int

    @property
    def dtype(self) -> np.dtype:
        """Type of a number as it lies in the file."""
        return np.dtype(ELEMENTS[self.kind])


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A view of a storage, which is inside of it and not larger."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, content: bytes) -> np.ndarray:
        """Returns the numbers.

        Args:
            content: of the storage; `storage.count` numbers.
        """
        numbers = np.frombuffer(content, self.storage.dtype)
        if self.storage.kind == "BFloat16Storage":
            numbers = (numbers.astype("<u4") << 16).view("<f4")
        view = np.lib.stride_tricks.as_strided(
            numbers[self.offset :],
            self.shape,
            [step * numbers.itemsize for step in self.strides],
            writeable=False,
        )
        return np.array(view)


def load(stream: IO[bytes]) -> tuple[Any, dict[str, Storage]]:
    """Reads one pickle.

    Returns:
        what it holds, with a `Tensor` for each tensor, and {key: storage} of all of them.

    Raises:
        NotTensors: it names something else, or is broken.
    """
    start = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    stream.seek(start)
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            # The memo is as long as its largest index says: a few bytes could ask for 64 GB.
            memo = opcode.name in ("PUT", "BINPUT", "LONG_BINPUT")
            if memo and int(argument or 0) > end - start:
                raise NotTensors("its pickle asks for more memory than a file of its size can need")
        stream.seek(start)
        unpickler = _Unpickler(stream)
        return unpickler.load(), unpickler.storages
    except NotTensors:
        raise
    except Exception as error:  # A broken pickle raises nearly anything.
        raise NotTensors(
            f"its pickle is broken ({str(error)[:100] or type(error).__name__})"
        ) from error


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Callable:
        # Every call makes its own stand-in: a pickle may set attributes of what it is given.
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *arguments: _tensor(*arguments)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        if module == "torch" and name in ELEMENTS:
            return type(name, (_StorageKind,), {})
        if (module, name) in _IGNORED:
            return type("Ignored", (_Ignored,), {})
        raise NotTensors(
            f"it names {module}.{name}, which no tensor needs, and reading it could run any program"
        )

    def persistent_load(self, key: Any) -> Storage:
        if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage":
            raise NotTensors("its pickle refers to something that is no storage")
        _, kind, name, _, count = key[:5]
        if not isinstance(kind, type) or not issubclass(kind, _StorageKind):
            raise NotTensors("a storage has no type")
        if any(key[5:]):
            raise NotTensors("a storage is a view of another one")
        if not isinstance(name, str) or not re.fullmatch(r"\w{1,40}", name):
            raise NotTensors(f"a storage is named {str(name)[:40]!r}")
        if not _counts([count]):
            raise NotTensors(f"storage {name} has a length of {str(count)[:40]}")
        storage = Storage(name, kind.__name__, count)
        if self.storages.setdefault(name, storage) != storage:
            raise NotTensors(f"storage {name} has two types or lengths")
        return storage


class _StorageKind:
    """Stands in for torch.FloatStorage and its like, by its name; never made."""

    def __new__(cls, *_: object) -> "_StorageKind":
        raise NotTensors("its pickle makes a storage")


class _Ignored:
    """Stands in for what nobody reads."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass

    def __setitem__(self, *_: object) -> None:
        pass


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: object) -> Tensor:
    if not isinstance(storage, Storage):
        raise NotTensors("a tensor has no storage")
    if not (isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides)):
        raise NotTensors("a tensor has no shape")
    if len(shape) > _MOST_DIMENSIONS or not _counts([offset, *shape, *strides]):
        raise NotTensors(f"a tensor has offset {offset}, shape {shape} and strides {strides}")
    size = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    # A stride of 0 would make much of little.
    if size and (last >= storage.count or size > storage.count):
        raise NotTensors(
            f"a tensor of shape {shape} with strides {strides} from {offset} on needs more than "
            f"the {storage.count} numbers of storage {storage.key}"
        )
    return Tensor(storage, offset if size else 0, shape, strides)


def _counts(values: list) -> bool:
    """Whether all are plain numbers of things."""
    return all(type(value) is int and 0 <= value < 2**48 for value in values)
