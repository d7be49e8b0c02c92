"""Reads what an ONNX file holds: its named tensors and its operations; no onnx, nothing is run.

Source: onnx.proto of the ONNX specification, whose field numbers never change. Of its messages
those are declared here that say what weights there are; protocol buffers pass by the rest.
"""

import collections
import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from arn_tf.weight_files.bad_weights import BadWeights

_PACKAGE = "arn_tf.onnx"
# Name: (field, number, type); a type ending in [] repeats.
_MESSAGES = {
    "ModelProto": [
        ("ir_version", 1, "int64"),
        ("producer_name", 2, "string"),
        ("graph", 7, "GraphProto"),
    ],
    "GraphProto": [
        ("node", 1, "NodeProto[]"),
        ("name", 2, "string"),
        ("initializer", 5, "TensorProto[]"),
    ],
    "NodeProto": [("input", 1, "string[]"), ("op_type", 4, "string")],
    "TensorProto": [
        ("dims", 1, "int64[]"),
        ("data_type", 2, "int32"),
        ("float_data", 4, "float[]"),
        ("name", 8, "string"),
        ("raw_data", 9, "bytes"),
        ("data_location", 14, "int32"),
    ],
}
_FLOAT, _FLOAT16, _DOUBLE = 1, 10, 11
_TYPES = {_FLOAT: "<f4", _FLOAT16: "<f2", _DOUBLE: "<f8"}
# Integers: shapes and axes, no weights.
_PASSED_BY = (6, 7)
_QUANTISED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger")
_MOST = 1 << 30
# Behind ir_version: the producer's name or version, the graph or the operation sets.
_SECOND = (b"\x12", b"\x1a", b":", b"B")


@dataclasses.dataclass(frozen=True)
class OnnxFile:
    """Attributes:
    name: of the graph.
    tensors: {name: float}, those of numbers.
    kinds: how many operations there are of each kind.
    """

    name: str
    tensors: Mapping[str, np.ndarray]
    kinds: collections.Counter[str]


def read(path: str) -> OnnxFile:
    """Reads an ONNX file.

    Raises:
        BadWeights: it isn't one, it is cut off, quantised, or its tensors lie in other files.
    """
    if os.path.getsize(path) > _MOST:
        raise BadWeights(f"more than {_MOST >> 30} GiB, no network that can be tuned here")
    model = _message_class("ModelProto")()
    try:
        with open(path, "rb") as file:
            model.ParseFromString(file.read())
    except message.DecodeError as error:
        raise BadWeights("not a whole ONNX file: cut off, damaged or another format") from error
    graph = model.graph
    if not (model.ir_version and graph.node):
        raise BadWeights("not an ONNX file: it has no graph")
    kinds = collections.Counter(node.op_type for node in graph.node)
    for quantised in _QUANTISED:
        if quantised in kinds:
            raise BadWeights(
                f"network {graph.name[:80]!r} is quantised ({quantised}); weights of 8 bits can't "
                "be tuned. Pass its float version"
            )
    tensors = {
        each.name: _numbers(each) for each in graph.initializer if each.data_type not in _PASSED_BY
    }
    return OnnxFile(graph.name[:80], tensors, kinds)


def is_one(start: bytes) -> bool:
    """Whether a file that begins with these 16 bytes may be ONNX: by its first two fields."""
    return start[:1] == b"\x08" and start[1:2] < b"\x80" and start[2:3] in _SECOND


def _numbers(tensor: Any) -> np.ndarray:
    if tensor.data_location:
        raise BadWeights(
            f"{tensor.name[:80]!r} lies in a file beside it; save the network in one file, with "
            "onnx.save(onnx.load(FILE), ONE_FILE)",
        )
    if tensor.data_type not in _TYPES:
        raise BadWeights(f"{tensor.name[:80]!r} is of ONNX's type {tensor.data_type}, not float")
    dtype, shape = np.dtype(_TYPES[tensor.data_type]), list(tensor.dims)
    if tensor.data_type == _FLOAT and tensor.float_data:
        values = np.array(tensor.float_data, np.float32)
    else:
        raw = tensor.raw_data
        values = np.frombuffer(raw[: len(raw) // dtype.itemsize * dtype.itemsize], dtype)
    # Python's integers: no product overflows.
    wanted = functools.reduce(lambda a, b: a * b, shape, 1)
    if min(shape, default=0) < 0 or wanted != len(values):
        raise BadWeights(
            f"{tensor.name[:80]!r} of shape {shape} has {len(values)} numbers: cut off or damaged"
        )
    return values.reshape(shape)


@functools.cache
def _message_class(name: str) -> Any:
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    """Returns a pool of our own: the package onnx can live in the same process."""
    file = descriptor_pb2.FileDescriptorProto(
        name="arn_tf/weight_files/onnx_file.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        declared = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            field = declared.field.add(name=field_name, number=number)
            field.label = field.LABEL_REPEATED if kind.endswith("[]") else field.LABEL_OPTIONAL
            scalar = kind.removesuffix("[]")
            if scalar in _MESSAGES:
                field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{scalar}"
            else:
                field.type = getattr(field, f"TYPE_{scalar.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool
