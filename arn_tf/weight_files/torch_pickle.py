"""The pickle inside a file of torch.save, read without PyTorch and without running what it names.

A pickle is a program: it may call anything that it can name, and set attributes of what it made.
Here it can name what tensors need and no more, and what it is given for a name is a stand-in of
this module; what these make takes no attributes.
"""

import math
import pickle
import re
import reprlib
from typing import IO, Any, NamedTuple

import numpy as np

from arn_tf.weight_files import pickle_limits

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
_MOST = 2**48


class NotTensors(Exception):
    """The file isn't, or isn't only, what tensors need; the text says what it is."""


class Storage(NamedTuple):
    """Numbers in a row.

    Attributes:
        key: its name in the file.
        kind: as PyTorch names it, of `ELEMENTS`.
        length: how many they are.
    """

    key: str
    kind: str
    length: int

    @property
    def dtype(self) -> np.dtype:
        """Type of a number as it lies in the file."""
        return np.dtype(ELEMENTS[self.kind])

    def numbers(self, content: bytes) -> np.ndarray:
        """Returns its numbers, [length], bfloat16 as float32.

        Args:
            content: as it lies in the file, `length` numbers.
        """
        found = np.frombuffer(content, self.dtype)
        if self.kind == "BFloat16Storage":
            return (found.astype("<u4") << 16).view("<f4")
        return found


class Tensor(NamedTuple):
    """A view of a storage, which is inside of it and not larger."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the tensor, which is read only: it takes no memory of its own.

        Args:
            numbers: of the storage, [storage.length].
        """
        return np.lib.stride_tricks.as_strided(
            numbers[self.offset :],
            self.shape,
            [step * numbers.itemsize for step in self.strides],
            writeable=False,
        )


def load(stream: IO[bytes]) -> tuple[Any, dict[str, Storage]]:
    """Reads one pickle.

    Returns:
        what it holds, with a `Tensor` for each tensor, and {key: storage} of all of them.

    Raises:
        NotTensors: it names something else, or is broken.
    """
    start = stream.tell()
    try:
        if problem := pickle_limits.problem(stream):
            raise NotTensors(problem)
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

    def find_class(self, module: str, name: str) -> Any:
        # Every call makes its own stand-in: functions and classes take attributes.
        if (module, name) == ("collections", "OrderedDict"):
            return type("Dictionary", (_Dictionary,), {})
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *arguments: _tensor(*arguments)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        if module == "torch" and name in ELEMENTS:
            return _StorageKind(name)
        if (module, name) in _IGNORED:
            return type("Ignored", (_Ignored,), {})
        raise NotTensors(
            f"it names {f'{module}.{name}'[:120]}, which no tensor needs, and reading it could run "
            "any program"
        )

    def persistent_load(self, key: Any) -> Storage:
        if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage":
            raise NotTensors("its pickle refers to something that is no storage")
        _, kind, name, _, count = key[:5]
        if not isinstance(kind, _StorageKind):
            raise NotTensors("a storage has no type")
        if any(key[5:]):
            raise NotTensors("a storage is a view of another one")
        if not isinstance(name, str) or not re.fullmatch(r"\w{1,40}", name):
            raise NotTensors(f"a storage is named {reprlib.repr(name)[:80]}")
        if not _counts([count]):
            raise NotTensors(f"storage {name} has a length of {reprlib.repr(count)[:80]}")
        storage = Storage(name, kind.name, count)
        if self.storages.setdefault(name, storage) != storage:
            raise NotTensors(f"storage {name} has two types or lengths")
        return storage


class _StorageKind(NamedTuple):
    """Stands in for torch.FloatStorage and its like; nothing can be made of it."""

    name: str


class _Dictionary(dict):
    """Stands in for collections.OrderedDict; PyTorch gives attributes to those of weights."""

    def __setstate__(self, _: object) -> None:
        pass


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
        offset, shape, strides = (reprlib.repr(each)[:80] for each in (offset, shape, strides))
        raise NotTensors(f"a tensor has offset {offset}, shape {shape} and strides {strides}")
    if math.prod(side or 1 for side in shape) >= _MOST:
        raise NotTensors(f"a tensor has the shape {shape}")
    size = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    # A stride of 0 would make much of little.
    if size and (last >= storage.length or size > storage.length):
        raise NotTensors(
            f"a tensor of shape {shape} with strides {strides} from {offset} on needs more than "
            f"the {storage.length} numbers of storage {storage.key}"
        )
    return Tensor(storage, offset if size else 0, shape, strides)


def _counts(values: list) -> bool:
    """Whether all are plain numbers of things."""
    return all(type(value) is int and 0 <= value < _MOST for value in values)
