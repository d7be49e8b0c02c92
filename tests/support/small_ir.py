"""Networks in OpenVINO's format and in ONNX, small ones made by hand."""

import pathlib
import struct

import numpy as np

# Of a detector: what it is called, and what it is made of.
LAYERS = """
<layer id="0" name="image" type="Parameter" version="opset1">
  <data shape="1,3,4,4" element_type="f32"/><output><port id="0"/></output></layer>
<layer id="1" name="kernel" type="Const" version="opset1">
  <data element_type="{type}" shape="{shape}" offset="{offset}" size="{size}"/>
  <output><port id="0"/></output></layer>
<layer id="2" name="half" type="Convert" version="opset1">
  <data destination_type="f32"/><output><port id="1"/></output></layer>
<layer id="3" name="head" type="Convolution" version="opset1">
  <data strides="1, 1"/><output><port id="2"/></output></layer>
<layer id="4" name="boxes" type="DetectionOutput" version="opset8">
  <output><port id="1"/></output></layer>
<layer id="5" name="out" type="Result" version="opset1"/>
"""
EDGES = [(0, 3, 0), (1, 2, 0), (2, 3, 1), (3, 4, 0), (4, 5, 0)]


def write(
    folder: pathlib.Path,
    layers: str = LAYERS,
    edges: list[tuple[int, int, int]] = EDGES,
    content: bytes = np.arange(8, dtype="<f2").tobytes(),
    version: str = "11",
    before: str = "",
    **constant: object,
) -> pathlib.Path:
    """Writes an XML and its .bin; returns the path of the XML.

    Args:
        folder: where.
        layers: of the graph, with places for what is said of the constant.
        edges: (from, to, port).
        content: of the .bin.
        version: of the format.
        before: text in front of the network.
        constant: type, shape, offset and size where they are not those of `content`.
    """
    said = {"type": "f16", "shape": "2, 3", "offset": 4, "size": 12} | constant
    lines = [
        f'<edge from-layer="{source}" from-port="0" to-layer="{to}" to-port="{port}"/>'
        # As a file may have them: in any order.
        for source, to, port in reversed(edges)
    ]
    path = folder / "face-detection-0200.xml"
    path.write_text(
        f'<?xml version="1.0"?>\n{before}<net name="face-detection-0200" version="{version}">'
        f"<layers>{layers.format(**said)}</layers><edges>{''.join(lines)}</edges></net>"
    )
    path.with_suffix(".bin").write_bytes(content)
    return path


def onnx_field(number: int, value: bytes | int | str) -> bytes:
    """Returns one field of a protocol buffer, by the wire format's definition."""
    if isinstance(value, int):
        return bytes([number << 3]) + _varint(value)
    value = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2]) + _varint(len(value)) + value


def onnx_tensor(
    name: str, shape: list[int], kind: int, content: bytes, extra: bytes = b""
) -> bytes:
    """Returns an initializer with its numbers in raw_data."""
    dims = b"".join(onnx_field(1, size) for size in shape)
    return dims + onnx_field(2, kind) + onnx_field(8, name) + onnx_field(9, content) + extra


def onnx(tensors: list[bytes], kinds: list[str], name: str = "detector") -> bytes:
    """Returns an ONNX file of initializers and of operations of some kinds."""
    nodes = b"".join(onnx_field(1, onnx_field(1, "x") + onnx_field(4, kind)) for kind in kinds)
    graph = nodes + onnx_field(2, name) + b"".join(onnx_field(5, tensor) for tensor in tensors)
    return onnx_field(1, 8) + onnx_field(2, "by hand") + onnx_field(7, graph)


def floats(*values: float) -> bytes:
    """Returns float32 numbers as files have them."""
    return struct.pack(f"<{len(values)}f", *values)


def _varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])
