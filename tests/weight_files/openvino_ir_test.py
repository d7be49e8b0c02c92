"""What is read of a network in OpenVINO's format, and what is said of a file that is none."""

import collections
import os

import numpy as np
import pytest

from arn_tf.weight_files import openvino_ir
from arn_tf.weight_files.bad_weights import BadWeights
from tests.support import small_ir


def problem(path):
    with pytest.raises(BadWeights) as error:
        graph = openvino_ir.read(str(path))
        graph.constant("2")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_graph(tmp_path):
    graph = openvino_ir.read(str(small_ir.write(tmp_path)))
    assert graph.name == "face-detection-0200"
    assert list(graph.operations) == ["0", "1", "2", "3", "4", "5"]
    head = graph.operations["3"]
    assert (head.kind, head.name, head.inputs) == ("Convolution", "head", ("0", "2"))
    assert head.attributes == {"strides": "1, 1"}
    assert graph.kinds == collections.Counter(["Convolution", "DetectionOutput"])


def test_constants(tmp_path):
    """Two bytes a number, from the fifth byte on: 2 to 7."""
    graph = openvino_ir.read(str(small_ir.write(tmp_path)))
    half, cast = graph.constant("1"), graph.constant("2")
    assert half.dtype == np.float16
    assert cast.dtype == np.float32
    np.testing.assert_array_equal(half, [[2, 3, 4], [5, 6, 7]])
    np.testing.assert_array_equal(cast, half)
    assert graph.constant("3") is None


@pytest.mark.parametrize("kind", ["f64", "f32", "i64", "i32"])
def test_types(kind, tmp_path):
    values = np.array([-3, 500], f"<{kind[0]}{int(kind[1:]) // 8}")
    path = small_ir.write(
        tmp_path, content=values.tobytes(), type=kind, shape="2", offset=0, size=values.nbytes
    )
    np.testing.assert_array_equal(openvino_ir.read(str(path)).constant("1"), [-3, 500])


def test_number_without_axes(tmp_path):
    path = small_ir.write(tmp_path, shape="", size=2)
    assert openvino_ir.read(str(path)).constant("1").shape == ()


@pytest.mark.parametrize(
    "said",
    [
        {"offset": 6},
        {"offset": -2},
        {"offset": 10**30},
        {"size": 14},
        {"size": -12},
        {"shape": "2, 300"},
        {"shape": "-2, -3"},
        {"shape": f"{2**40}, {2**40}", "size": 2**81},
        {"shape": "3, 3", "size": 18},
    ],
)
def test_constant_elsewhere(said, tmp_path):
    text = problem(small_ir.write(tmp_path, **said))
    assert text.startswith("kernel is ")
    assert "face-detection-0200.bin has 16" in text
    assert "Fetch both again" in text


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_numbers_in_what_is_no_file(make, tmp_path):
    """A pipe is never opened: that would wait for who writes into it."""
    path = small_ir.write(tmp_path)
    path.with_suffix(".bin").unlink()
    make(path.with_suffix(".bin"))
    assert "face-detection-0200.bin beside it, which can't be read (no file)" in problem(path)


@pytest.mark.parametrize("said", [{"offset": "x"}, {"size": ""}, {"shape": "2, ?"}])
def test_constant_nowhere(said, tmp_path):
    assert "kernel doesn't say where it lies" in problem(small_ir.write(tmp_path, **said))


@pytest.mark.parametrize("kind", ["bf16", "string", ""])
def test_other_types(kind, tmp_path):
    text = problem(small_ir.write(tmp_path, type=kind))
    assert f"kernel is of type {kind or 'unknown'}, not f32" in text


@pytest.mark.parametrize("kind", ["i8", "u8", "u4"])
def test_weights_of_few_bits(kind, tmp_path):
    text = problem(small_ir.write(tmp_path, type=kind))
    assert text.startswith(f"network face-detection-0200 is quantised (kernel is {kind})")
    assert "Pass its FP32 or FP16 version" in text


def test_quantised_activations(tmp_path):
    layers = small_ir.LAYERS.replace("DetectionOutput", "FakeQuantize")
    assert "is quantised (boxes is FakeQuantize)" in problem(small_ir.write(tmp_path, layers))


def test_cut_off_bin(tmp_path):
    path = small_ir.write(tmp_path, content=bytes(12))
    assert "bin has 12, and the numbers are 12 bytes: the two files belong" in problem(path)


def test_missing_bin(tmp_path):
    path = small_ir.write(tmp_path)
    path.with_suffix(".bin").unlink()
    text = problem(path)
    assert "its numbers lie in face-detection-0200.bin beside it, which can't be read (No" in text
    assert "Put both files of the network into one folder" in text


@pytest.mark.parametrize("left", [30, 200, 1000])
def test_cut_off_xml(left, tmp_path):
    path = small_ir.write(tmp_path)
    path.write_bytes(path.read_bytes()[:left])
    assert "not readable as XML" in problem(path)


def test_document_type(tmp_path):
    """It could name entities that grow with each expansion."""
    bomb = '<!DOCTYPE net [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>\n'
    path = small_ir.write(tmp_path, before=bomb)
    assert problem(path) == "an XML file with a DOCTYPE, which no network has"
    path.write_bytes(path.read_text().replace("1.0", "1.0", 1).encode("utf-16"))
    assert "DOCTYPE" in problem(path)


def test_other_xml(tmp_path):
    path = tmp_path / "page.xml"
    path.write_text("<html><body>404</body></html>")
    assert "an XML file of <html>, version none: not a network in OpenVINO's format" in problem(
        path
    )


def test_the_version_before(tmp_path):
    assert openvino_ir.read(str(small_ir.write(tmp_path, version="10"))).operations


def test_a_file_too_large_for_a_graph_is_not_read(tmp_path):
    path = small_ir.write(tmp_path)
    os.truncate(path, (64 << 20) + 1)
    assert problem(path) == "an XML file of more than 64 MiB, no network's graph"


def test_other_version(tmp_path):
    assert "<net>, version 6: not a network" in problem(small_ir.write(tmp_path, version="6"))


def test_layers_that_take_nothing(tmp_path):
    path = small_ir.write(tmp_path, edges=[*small_ir.EDGES, (9, 4, 1)])
    assert "layer boxes takes its input from no layer" in problem(path)


def test_ring(tmp_path):
    path = small_ir.write(tmp_path, edges=[*small_ir.EDGES, (4, 3, 2)])
    assert "its layers take their inputs from each other, in a ring" in problem(path)


def test_texts_of_the_file_are_shown_on_one_line(tmp_path):
    layers = small_ir.LAYERS.replace('"kernel"', f'"&#10;  {"k" * 100}"')
    assert problem(small_ir.write(tmp_path, layers, offset=6)).startswith("k" * 80 + " is 12")


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (b"<?xml version=", True),
        (b"\xef\xbb\xbf\n <net name=", True),
        (b"<net name=", True),
        (b"<html>", False),
        (b"PK\x03\x04", False),
        (b"", False),
    ],
)
def test_by_content(start, found):
    assert openvino_ir.is_one(start) is found
