"""Reads OpenVINO IR, a graph in an XML file and its constants in a .bin beside it; no OpenVINO.

Source: "Operation Sets" and "Intermediate Representation" of the OpenVINO documentation, IR
versions 10 and 11. Nothing is run: this only finds out what is in the files.
"""

import collections
import dataclasses
import errno
import functools
import graphlib
import os
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np

from arn_tf.weight_files.bad_weights import BadWeights
from datasets.files import answers

_VERSIONS = ("10", "11")
# Bytes of the XML: those of the Open Model Zoo's largest networks are a few millions.
_MOST = 1 << 26
_TYPES = {"f64": "<f8", "f32": "<f4", "f16": "<f2", "i64": "<i8", "i32": "<i4"}
_QUANTISED = ("FakeQuantize", "FakeConvert", "u8", "i8", "u4", "i4", "u1", "nf4", "f8e4m3")


@dataclasses.dataclass(frozen=True)
class Operation:
    """One layer of the graph.

    Attributes:
        kind: such as Convolution.
        name: as the file has it.
        attributes: texts by name.
        inputs: ids of the layers whose outputs it takes, in order.
    """

    kind: str
    name: str
    attributes: Mapping[str, str]
    inputs: tuple[str, ...] = ()


class Graph:
    """What the two files hold.

    Attributes:
        path: of the XML.
        name: of the network.
        operations: {id: `Operation`}, in the file's order.
    """

    def __init__(self, path: str, name: str, operations: Mapping[str, Operation]) -> None:
        self.path = path
        self.name = name
        self.operations = operations

    @property
    def kinds(self) -> collections.Counter[str]:
        """How many operations there are of each kind, without constants and their casts."""
        kinds = collections.Counter(each.kind for each in self.operations.values())
        for passive in ("Const", "Convert", "Parameter", "Result"):
            del kinds[passive]
        return kinds

    def constant(self, key: str) -> np.ndarray | None:
        """Returns the numbers of a constant, through a cast to float32, or None: it is none.

        Raises:
            BadWeights: the .bin doesn't hold them, or their type is none that is read.
        """
        operation = self.operations[key]
        if operation.kind == "Convert" and operation.attributes.get("destination_type") == "f32":
            inner = self.constant(operation.inputs[0]) if operation.inputs else None
            return None if inner is None else inner.astype(np.float32)
        if operation.kind != "Const":
            return None
        data = operation.attributes
        kind = data.get("element_type", "")
        if kind not in _TYPES:
            raise BadWeights(f"{operation.name} is of type {kind or 'unknown'}, not f32")
        try:
            shape = [int(size) for size in data.get("shape", "").split(",") if size.strip()]
            offset, size = int(data["offset"]), int(data["size"])
        except (KeyError, ValueError) as error:
            raise BadWeights(f"{operation.name} doesn't say where it lies") from error
        dtype = np.dtype(_TYPES[kind])
        # Python's integers: no product overflows.
        wanted = functools.reduce(lambda a, b: a * b, shape, dtype.itemsize)
        if min([offset, *shape]) < 0 or size != wanted or offset + size > len(self._bin):
            raise BadWeights(
                f"{operation.name} is {size} bytes from {offset} on, but {_bin_of(self.path)} has "
                f"{len(self._bin)}, and the numbers are {wanted} bytes: the two files belong to "
                "different networks, or one is cut off. Fetch both again",
            )
        return np.frombuffer(self._bin, dtype, wanted // dtype.itemsize, offset).reshape(shape)

    @functools.cached_property
    def _bin(self) -> bytes:
        path = _bin_of(self.path)
        try:
            # To open a pipe would wait for who writes into it.
            if os.path.exists(path) and not answers.is_file(path):
                raise OSError(errno.EINVAL, "no file")
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise BadWeights(
                f"its numbers lie in {os.path.basename(path)} beside it, which can't be read "
                f"({error.strerror}). Put both files of the network into one folder",
            ) from error


def is_one(start: bytes) -> bool:
    """Whether a file that begins with these 16 bytes is XML, as a network's graph is."""
    return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"<?xml", b"<net"))


def read(path: str) -> Graph:
    """Reads the XML of a network; its .bin is read when a constant is asked for.

    Args:
        path: of the XML.

    Raises:
        BadWeights: it isn't such a file, or the network is quantised.
    """
    root = _parsed(path)
    if root.tag != "net" or root.get("version") not in _VERSIONS:
        raise BadWeights(
            f"an XML file of <{_shown(root.tag)}>, version {_shown(root.get('version', 'none'))}: "
            "not a network in OpenVINO's format, version 10 or 11. Fetch it again",
        )
    sources: dict[str, list[tuple[int, str]]] = {}
    for edge in root.iterfind("edges/edge"):
        port = edge.get("to-port", "")
        where = (int(port) if port.isdecimal() else -1, edge.get("from-layer", ""))
        sources.setdefault(edge.get("to-layer", ""), []).append(where)
    operations = {}
    for layer in root.iterfind("layers/layer"):
        key, data = layer.get("id", ""), layer.find("data")
        operations[key] = Operation(
            _shown(layer.get("type", "")),
            _shown(layer.get("name", "")),
            {} if data is None else dict(data.attrib),
            tuple(source for _, source in sorted(sources.get(key, []))),
        )
    name = _shown(root.get("name", ""))
    _check_edges(operations)
    _check_types(name, operations)
    return Graph(path, name, operations)


def _parsed(path: str) -> ElementTree.Element:
    """Returns the root; a document type, which could name entities to expand, is refused."""
    try:
        if os.path.getsize(path) > _MOST:
            raise BadWeights(f"an XML file of more than {_MOST >> 20} MiB, no network's graph")
        with open(path, "rb") as file:
            parser = ElementTree.XMLParser(target=_NoDoctype())
            parser.feed(file.read())
            return parser.close()
    except _DoctypeError as error:
        raise BadWeights("an XML file with a DOCTYPE, which no network has") from error
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise BadWeights(f"not readable as XML ({error}): cut off or damaged") from error


class _DoctypeError(Exception):
    """A document type was met."""


class _NoDoctype(ElementTree.TreeBuilder):
    def doctype(self, *_: Any) -> None:
        raise _DoctypeError


def _check_edges(operations: Mapping[str, Operation]) -> None:
    """Refuses a graph with a ring, or whose layers take what isn't there."""
    for operation in operations.values():
        if not operations.keys() >= set(operation.inputs):
            raise BadWeights(f"layer {operation.name} takes its input from no layer: cut off")
    inputs = {key: operation.inputs for key, operation in operations.items()}
    try:
        graphlib.TopologicalSorter(inputs).prepare()
    except graphlib.CycleError as error:
        raise BadWeights("its layers take their inputs from each other, in a ring") from error


def _check_types(name: str, operations: Mapping[str, Operation]) -> None:
    for operation in operations.values():
        found = {operation.kind}
        if operation.kind == "Const":
            found.add(operation.attributes.get("element_type", ""))
        for quantised in _QUANTISED:
            if quantised in found:
                raise BadWeights(
                    f"network {name} is quantised ({operation.name} is {quantised}); weights of "
                    "8 bits can't be tuned. Pass its FP32 or FP16 version",
                )


def _shown(text: str) -> str:
    """Returns a text of the file as an error can show it: on one line, not too long."""
    return " ".join(text.split())[:80]


def _bin_of(path: str) -> str:
    return os.path.splitext(path)[0] + ".bin"
