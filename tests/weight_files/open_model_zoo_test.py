"""Weights of the Open Model Zoo by their places in the graph, and graphs of something else."""

import functools
import pathlib
import re
import shutil

import numpy as np
import pytest

from arn_tf.weight_files import onnx_file, open_model_zoo
from arn_tf.weight_files.bad_weights import BadWeights
from tests.support import small_ir
from tests.support.places import SHARED
from tests.support.small_ir import floats, onnx, onnx_tensor

ZOO = SHARED / "weights/omz"
needs_zoo = pytest.mark.skipif(not ZOO.exists(), reason="no networks beside the repository")


def file(number: str, suffix: str = "xml") -> pathlib.Path:
    return ZOO / f"person-reidentification-retail-{number}.{suffix}"


@functools.cache
def weights(number: str) -> dict[str, np.ndarray]:
    return open_model_zoo.from_ir(str(file(number)))


def problem(path: pathlib.Path) -> str:
    with pytest.raises(BadWeights) as error:
        (open_model_zoo.from_onnx if path.suffix == ".onnx" else open_model_zoo.from_ir)(str(path))
    return str(error.value)


def changed(folder: pathlib.Path, old: str, new: str, count: int = 1) -> pathlib.Path:
    """Returns a copy of 0288 with a text that matches a pattern replaced."""
    path = folder / file("0288").name
    text, found = re.subn(old, new, file("0288").read_text(), count=count, flags=re.DOTALL)
    assert found
    path.write_text(text)
    shutil.copy(file("0288", "bin"), path.with_suffix(".bin"))
    return path


@needs_zoo
@pytest.mark.parametrize("number", ["0277", "0287", "0288"])
def test_every_weight_has_its_name(number):
    """Those of the ONNX file, where no name is lost."""
    named = open_model_zoo.from_onnx(str(file("0267", "onnx")))
    found = weights(number)
    assert found.keys() == named.keys()
    assert all(value.ndim == named[name].ndim for name, value in found.items())
    if number == "0287":
        assert all(value.shape == named[name].shape for name, value in found.items())


@needs_zoo
def test_names_that_the_file_still_has():
    """1x1 convolutions without a normalisation keep theirs."""
    text = file("0288").read_text()
    kept = re.findall(
        r'name="([\w.]+\.weight)" type="Const" version="opset1">\s*'
        r'<data element_type="f32" shape="([\d, ]+)" offset="(\d+)"',
        text,
    )
    content = file("0288", "bin").read_bytes()
    assert len(kept) > 60
    for name, shape, offset in kept:
        sizes = [int(size) for size in shape.split(",")]
        values = np.frombuffer(content, "<f4", np.prod(sizes), int(offset)).reshape(sizes)
        np.testing.assert_array_equal(weights("0288")[name], values)


@needs_zoo
def test_folded_normalisations_only_shift():
    found = weights("0288")
    one = np.sqrt(found["conv5.bn.running_var"] + np.float32(1e-5))
    np.testing.assert_array_equal(one, np.ones(128, "f4"))
    assert not found["conv5.bn.running_mean"].any()
    np.testing.assert_array_equal(found["conv5.bn.weight"], np.ones(128))
    assert np.std(found["conv5.bn.bias"]) > 0
    # Behind a fully connected layer it isn't folded.
    assert np.std(found["fc.1.weight"]) > 0


@needs_zoo
def test_the_classifier_of_training_is_left_out():
    held = onnx_file.read(str(file("0267", "onnx"))).tensors
    found = open_model_zoo.from_onnx(str(file("0267", "onnx")))
    assert held.keys() - found.keys() == {"classifier.weight"}


@needs_zoo
@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('type="PReLU"', 'type="Elu"', "1149 is Elu, where PReLU was expected"),
        (
            'eps="9.9999997473787516e-06"',
            'eps="0.001"',
            "a normalisation adds 0.001 to the variance",
        ),
        ('strides="2, 2" dil', 'strides="1, 1" dil', "564 has strides=1,1 and not 2,2"),
        ('kernel="2, 2"', 'kernel="3, 3"', "754 has kernel=3,3 and not 2,2"),
        ('eps_mode="INSIDE_SQRT"', 'eps_mode="OUTSIDE_SQRT"', "has eps_mode=OUTSIDE_SQRT and not"),
        ('transpose_b="true"', 'transpose_b="false"', "has transpose_b=false and not true"),
        ('type="Gather"', 'type="Identity"', "Gather_5277 is Identity, where Gather was expected"),
        # The first stream's average of another stream.
        (
            'from-layer="35" from-port="1" to-layer="37"',
            'from-layer="28" from-port="1" to-layer="37"',
            "a gate of conv2.0 doesn't average its stream",
        ),
        # Another block's shortcut.
        (
            'from-layer="157" from-port="1" to-layer="296"',
            'from-layer="156" from-port="2" to-layer="296"',
            "641 is no constant",
        ),
    ],
)
def test_other_graphs(old, new, found, tmp_path):
    path = changed(tmp_path, re.escape(old), new)
    text = problem(path)
    assert found in text
    assert text.startswith("network torch-jit-export of ")
    assert text.endswith("such as person-reidentification-retail-0288")


@needs_zoo
@pytest.mark.parametrize(("place", "value"), [(0, b"\0\0\0\0"), (16, floats(0.5)), (28, floats(1))])
def test_other_preprocessing(place, value, tmp_path):
    """Channels that stay in their order; another mean; another deviation."""
    path = changed(tmp_path, "torch-jit-export", "torch-jit-export")
    content = bytearray(path.with_suffix(".bin").read_bytes())
    content[place : place + 4] = value
    path.with_suffix(".bin").write_bytes(content)
    assert "it doesn't begin with BGR by ImageNet's mean and deviation" in problem(path)


def test_another_network(tmp_path):
    text = problem(small_ir.write(tmp_path))
    assert text == (
        "network face-detection-0200 of 1 Convolution, 1 DetectionOutput is not one that can be "
        "tuned here: boxes is DetectionOutput, where PReLU was expected. Pass a network "
        "person-reidentification-retail of the Open Model Zoo with 256 numbers for a picture, such "
        "as person-reidentification-retail-0288"
    )


def test_another_onnx(tmp_path):
    path = tmp_path / "detector.onnx"
    path.write_bytes(onnx([onnx_tensor("w", [1], 1, floats(1))], ["Conv", "NonMaxSuppression"]))
    text = problem(path)
    assert text.startswith("network detector of 1 Conv, 1 NonMaxSuppression is not one")
    assert "it has 1 Conv and not 164" in text
