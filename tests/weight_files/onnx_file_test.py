"""What is read of an ONNX file, and what is said of one that can't be."""

import collections

import numpy as np
import pytest

from arn_tf.weight_files import onnx_file
from arn_tf.weight_files.bad_weights import BadWeights
from tests.support.small_ir import floats, onnx, onnx_field, onnx_tensor


def written(tmp_path, content):
    path = tmp_path / "network.onnx"
    path.write_bytes(content)
    return str(path)


def problem(tmp_path, content):
    with pytest.raises(BadWeights) as error:
        onnx_file.read(written(tmp_path, content))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_tensors(tmp_path):
    half, wide = np.array([0.5, -2], "<f2"), np.array([[1e300]], "<f8")
    given = [
        onnx_tensor("conv.weight", [2, 1], 1, floats(1.5, -3)),
        onnx_tensor("half", [2], 10, half.tobytes()),
        onnx_tensor("wide", [1, 1], 11, wide.tobytes()),
        onnx_tensor("shape", [1], 7, bytes(8)),
        # float_data, packed: an older way to hold numbers.
        onnx_tensor("listed", [3], 1, b"", onnx_field(4, floats(7, 8, 9))),
        onnx_tensor("scalar", [], 1, floats(4)),
    ]
    found = onnx_file.read(written(tmp_path, onnx(given, ["Conv", "Relu", "Conv"])))
    assert found.name == "detector"
    assert found.kinds == collections.Counter({"Conv": 2, "Relu": 1})
    assert list(found.tensors) == ["conv.weight", "half", "wide", "listed", "scalar"]
    np.testing.assert_array_equal(found.tensors["conv.weight"], np.array([[1.5], [-3]], "f4"))
    np.testing.assert_array_equal(found.tensors["half"], half)
    np.testing.assert_array_equal(found.tensors["wide"], wide)
    np.testing.assert_array_equal(found.tensors["listed"], [7, 8, 9])
    assert found.tensors["scalar"] == 4


@pytest.mark.parametrize("shape", [[3], [2, 2], [2**40, 2**40], [2**64 - 2]])
def test_shapes_that_do_not_fit(shape, tmp_path):
    text = problem(tmp_path, onnx([onnx_tensor("w", shape, 1, floats(1, 2))], ["Conv"]))
    assert text.startswith("'w' of shape [")
    assert "has 2 numbers: cut off or damaged" in text


def test_numbers_in_another_file(tmp_path):
    """Which could be any file of the machine."""
    tensor = onnx_tensor("w", [1], 1, b"", onnx_field(14, 1))
    assert "'w' lies in a file beside it; save" in problem(tmp_path, onnx([tensor], ["Conv"]))


@pytest.mark.parametrize("kind", [2, 3, 16])
def test_types_that_are_not_read(kind, tmp_path):
    tensor = onnx_tensor("w", [1], kind, b"\0")
    assert f"'w' is of ONNX's type {kind}, not" in problem(tmp_path, onnx([tensor], ["Conv"]))


def test_quantised(tmp_path):
    text = problem(tmp_path, onnx([], ["Conv", "QuantizeLinear"]))
    assert text.startswith("network 'detector' is quantised (QuantizeLinear)")


def test_cut_off(tmp_path):
    whole = onnx([onnx_tensor("w", [2], 1, floats(1, 2))], ["Conv"])
    for length in (len(whole) - 1, len(whole) // 2, 9):
        assert "ONNX file" in problem(tmp_path, whole[:length])


@pytest.mark.parametrize("content", [b"", b"\x08\x08", b"\x08\x08\x12\x00", b"<html>"])
def test_no_graph(content, tmp_path):
    assert "ONNX file" in problem(tmp_path, content)


def test_by_content():
    assert onnx_file.is_one(onnx([], ["Conv"])[:16])
    for other in (b"", b"\x08", b"PK\x03\x04", b"\x80\x02\x8a\n", b"<?xml", b"\x89HDF"):
        assert not onnx_file.is_one(other)
