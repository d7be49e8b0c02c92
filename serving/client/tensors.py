"""Arrays to TensorProto and back, straight into and out of the bytes of a message."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from serving.client import message_classes
from serving.errors import ReplyError


def put_strings(tensor: Any, values: Sequence[bytes]) -> None:
    """Makes `tensor` a string tensor [N].

    Args:
        tensor: an empty TensorProto, that of a request, say.
        values: N byte strings.
    """
    tensor.dtype = message_classes.DT_STRING
    tensor.tensor_shape.dim.add(size=len(values))
    tensor.string_val.extend(values)


def put_uint8(tensor: Any, array: np.ndarray) -> None:
    """Makes `tensor` a uint8 tensor with the shape and values of `array`."""
    tensor.dtype = message_classes.DT_UINT8
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = array.tobytes()


def put_int64(tensor: Any, values: Sequence[int]) -> None:
    """Makes `tensor` an int64 tensor [N] of N numbers."""
    tensor.dtype = message_classes.DT_INT64
    tensor.tensor_shape.dim.add(size=len(values))
    tensor.tensor_content = np.array(values, "<i8").tobytes()


def floats(tensor: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Returns the values of a float tensor.

    Args:
        tensor: TensorProto in either encoding: `float_val`, TF Serving's default, or
            `tensor_content`. Fewer values than elements mean that the last one repeats.
        shape: what its shape must be. It is checked first: the reply can't make us allocate more.
        name: of the tensor, for errors.

    Returns:
        float32 array of this shape, writable.

    Raises:
        ReplyError: another type or shape, or a number of values that doesn't go with it.
    """
    _check(tensor, message_classes.DT_FLOAT, "float", shape, name)
    packed = tensor.tensor_content or b"".join(tensor.float_val)
    elements = math.prod(shape)
    if len(packed) % 4 or len(packed) > 4 * elements or (elements and not packed):
        raise ReplyError(f"output {name} has {len(packed)} bytes for {elements} float32 elements")
    values = np.frombuffer(packed, "<f4")
    if tensor.tensor_content and values.size != elements:
        raise ReplyError(f"output {name} has {values.size} values for {elements} elements")
    array = np.empty(elements, np.float32)
    array[: values.size] = values
    array[values.size :] = values[-1:]
    return array.reshape(shape)


def strings(tensor: Any, shape: tuple[int, ...], name: str) -> list[bytes]:
    """Returns the values of a string tensor [N]; arguments and errors are those of `floats`."""
    _check(tensor, message_classes.DT_STRING, "string", shape, name)
    (elements,) = shape
    if tensor.tensor_content:
        return _split_content(tensor.tensor_content, elements, name)
    values = list(tensor.string_val)
    if len(values) > elements or (elements and not values):
        raise ReplyError(f"output {name} has {len(values)} values for {elements} elements")
    return values + values[-1:] * (elements - len(values))


def booleans(tensor: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Returns the values of a bool tensor [N]; `bool_val` is TF Serving's default.

    Arguments and errors are those of `floats`.
    """
    _check(tensor, message_classes.DT_BOOL, "bool", shape, name)
    (elements,) = shape
    values = list(tensor.tensor_content or tensor.bool_val)
    few = tensor.tensor_content and len(values) != elements
    if few or len(values) > elements or (elements and not values):
        raise ReplyError(f"output {name} has {len(values)} values for {elements} elements")
    return np.array(values + values[-1:] * (elements - len(values)), bool)


def _check(tensor: Any, dtype: int, dtype_name: str, shape: tuple[int, ...], name: str) -> None:
    if tensor.dtype != dtype:
        raise ReplyError(f"output {name} has type number {tensor.dtype}, not {dtype_name}")
    found = [dim.size for dim in tensor.tensor_shape.dim]
    if found != list(shape) or tensor.tensor_shape.unknown_rank:
        raise ReplyError(f"output {name} has shape {found}, not {list(shape)}")


def _split_content(content: bytes, elements: int, name: str) -> list[bytes]:
    """Returns the strings in `tensor_content`: all lengths as varints, then all bytes."""
    lengths: list[int] = []
    position = 0
    try:
        for _ in range(elements):
            length = shift = 0
            while content[position] & 0x80 and shift < 28:
                length |= (content[position] & 0x7F) << shift
                shift += 7
                position += 1
            lengths.append(length | content[position] << shift)
            position += 1
    except IndexError:
        lengths = []
    if position + sum(lengths) != len(content) or len(lengths) != elements:
        raise ReplyError(
            f"output {name} has {len(content)} bytes that aren't {elements} strings"
        ) from None
    values = []
    for length in lengths:
        values.append(content[position : position + length])
        position += length
    return values
