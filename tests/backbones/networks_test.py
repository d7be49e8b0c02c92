"""E_I by name and file: torchreid's weights in it, what it is without the file, what is refused."""

import json
import os
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.backbones import keras_applications, networks, osnet_config, public_weights
from arn_tf.backbones.preprocessing import BGR, Preprocessing
from tests.support import small_osnets, torch_files
from tests.support.places import SHARED
from tests.support.small_ir import floats, onnx, onnx_tensor
from tests.support.small_osnets import SIZE
from tests.support.user_errors import refused

GOLDEN = SHARED / "reference" / "osnet"
FILES = {"OSNet": "osnet_x0_25.pth.tar", "OSNetAIN": "osnet_ain_x0_25.pth"}
NARROW = [f"{name}_x0_25" for name in osnet_config.OSNETS]
needs_golden = pytest.mark.skipif(
    not (GOLDEN / "golden.npz").exists(), reason="no reference/osnet beside the repository"
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file of torchreid's OSNet-AIN, in a quarter of its width."""
    return small_osnets.saved(tmp_path_factory.mktemp("weights") / "ain.pth", "OSNetAIN_x0_25")


# With torchreid's weights.


@needs_golden
@pytest.mark.parametrize("name", FILES)
def test_the_original_implementation(name):
    with np.load(GOLDEN / "golden.npz") as golden:
        images = golden["images"].astype(np.float32)
        original = FILES[name].partition(".")[0]
        feature, last_map = (golden[f"{original}_{kind}"] for kind in ("feature", "map"))
        mean = golden[f"{original}_map_mean"]
    network, facts = networks.build(name, images.shape[1:3], str(GOLDEN / FILES[name]))
    x = networks.preprocessing(name, facts)(tf.constant(images))
    np.testing.assert_allclose(network(x)[:, 0, 0], feature, atol=1e-4)
    ends = keras.Model(network.input, network.get_layer("conv5.relu").output)
    found = ends(x).numpy()
    np.testing.assert_allclose(found.mean(axis=(1, 2)), mean, atol=1e-4)
    # Kept as float16: 2^-11 of 10.
    np.testing.assert_allclose(found[:1].transpose(0, 3, 1, 2), last_map, atol=5e-3)


@needs_golden
def test_names_and_shapes_of_all_three():
    with np.load(GOLDEN / "golden.npz") as golden:
        listed = {k: list(golden[k]) for k in golden.files if k.startswith("names_")}
    for key, name in (
        ("names_osnet_x0_25", "OSNet_x0_25"),
        ("names_osnet_ibn_x1_0", "OSNetIBN"),
        ("names_osnet_ain_x0_25", "OSNetAIN_x0_25"),
    ):
        made = small_osnets.tensors(small_osnets.network(name), name.startswith("OSNetAIN"), 10)
        assert {f"{k} {v.shape}" for k, v in made.items()} == set(listed[key])


@pytest.mark.parametrize("name", NARROW)
def test_a_file_gives_its_weights_and_width(name, tmp_path):
    path = small_osnets.saved(tmp_path / "file.pth", name, seed=3)
    kind = name.partition("_")[0]
    network, _ = networks.build(kind, SIZE, path)
    expected = small_osnets.network(name, seed=3)
    for left, right in zip(network.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    assert networks.build(name, SIZE, path)[0].output_shape == (None, 1, 1, 512)


def test_a_width_of_ones_own_without_a_head(tmp_path):
    arrays = small_osnets.tensors(small_osnets.network("OSNet_x0_25"))
    arrays = {k: v for k, v in arrays.items() if not k.startswith(("fc.", "classifier."))}
    network, facts = networks.build("OSNet", SIZE, torch_files.saved(tmp_path / "file", arrays))
    assert network.output_shape == (None, 4, 2, 128)
    assert facts["architecture"]["head"] == []


def test_float16_weights_become_float32(tmp_path):
    arrays = small_osnets.tensors(small_osnets.network("OSNet_x0_25"))
    halves = {k: v.astype("<f2") if v.dtype.kind == "f" else v for k, v in arrays.items()}
    network, _ = networks.build("OSNet", SIZE, torch_files.saved(tmp_path / "file", halves))
    kernel = halves["conv5.conv.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(network.get_layer("conv5.conv").kernel, np.float32(kernel))


# Without the file.


def test_facts_build_the_same_network_again(file):
    network, facts = networks.build("OSNetAIN", SIZE, file)
    facts = json.loads(json.dumps(facts))
    again, same = networks.build("OSNetAIN", SIZE, "random", facts)
    assert same == facts
    assert [v.path for v in again.variables] == [v.path for v in network.variables]
    assert [v.shape for v in again.variables] == [v.shape for v in network.variables]


def test_random_weights_by_name():
    network, facts = networks.build("OSNetIBN_x0_5", SIZE, "random")
    assert facts["architecture"]["channels"] == [32, 128, 192, 256]
    assert network.get_layer("conv1.conv").kernel.shape == (7, 7, 3, 32)


def test_networks_of_keras_have_no_facts():
    network, facts = networks.build("MobileNetV2", SIZE, "random")
    assert facts is None
    assert network.output_shape == (None, 2, 1, 1280)
    module = keras_applications.application("MobileNetV2")
    assert networks.preprocessing("MobileNetV2", None) is module.preprocess_input


def test_preprocessing_by_hand():
    pixels = tf.constant([[[[0.0, 51.0, 255.0]]]])
    found = Preprocessing()(pixels).numpy().ravel()
    expected = [(0 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    own = Preprocessing(order=BGR, divisor=1.0, mean=(5.0, 1.0, 0.0), deviation=(2.0, 10.0, 1.0))
    np.testing.assert_allclose(own(pixels).numpy().ravel(), [125, 5, 0])
    assert Preprocessing.from_json(json.loads(json.dumps(own.to_json()))) == own
    assert str(own) == "BGR, 0..255, mean 5, 1, 0, deviation 2, 10, 1"


# What is refused.


def test_imagenet_weights_are_nowhere():
    with refused(r"^--backbone_weights=imagenet: .*torchreid's model zoo.*--backbone_weights=FILE"):
        networks.build("OSNet", SIZE, "imagenet")


def test_a_name_of_another_network_or_width(file):
    with refused("^--backbone=OSNet: .*ain.pth holds OSNetAIN_x0_25; pass --backbone=OSNetAIN$"):
        networks.build("OSNet", SIZE, file)
    with refused("^--backbone=OSNetAIN_x0_5: .* holds OSNetAIN_x0_25"):
        networks.build("OSNetAIN_x0_5", SIZE, file)


def test_pictures_too_small_for_a_file(file):
    with refused("^--input_size=8x8"):
        networks.build("OSNetAIN", (8, 8), file)


LAST = "conv4.1.conv2.3.layers.3.conv2.weight"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({LAST: None}, r"conv4.1.conv2d.3.conv2.weight, of shape \(32, 1, 3, 3\), is missing"),
        (
            {LAST: np.zeros((32, 1, 5, 5), "<f4")},
            r"has the shape \(32, 1, 5, 5\), not \(32, 1, 3, 3\)",
        ),
        (
            {"conv3.0.gate.fc1.weight": np.zeros((2, 24, 1, 1), "<f4")},
            r"conv3.0.gate.fc1.weight has the shape \(2, 24, 1, 1\), not \(1, 24, 1, 1\)",
        ),
        ({"fc.0.weight": np.zeros((512, 96), "<f4")}, r"fc.0.weight has the shape \(512, 96\)"),
        ({"conv9.weight": np.zeros(3, "<f4")}, r"1 tensors are none of .* conv9.weight.*\(3,\)"),
        ({"conv5.bn.bias": np.full(128, np.nan, "<f4")}, "conv5.bn.bias .*not finite"),
        ({"conv5.bn.bias": np.zeros(128, "<i8")}, "conv5.bn.bias .*no fractions"),
        # Without it, another width, or another arrangement, it is no OSNet that has a name.
        ({"conv1.conv.weight": None}, "no network that is known here"),
        ({"conv2.0.IN.weight": None}, "no network that is known here"),
        # No network of as many channels is tried.
        ({"conv1.conv.weight": np.zeros((2**40, 0), "<f4")}, "no network that is known here"),
        ({"fc.0.weight": np.zeros((2**40, 0), "<f4")}, "no network that is known here"),
        ({"conv4.0.conv3.conv.weight": np.zeros((10**5, 1), "<f4")}, "no network that is known"),
        # A learned average of a map of two sides.
        ({"global_avgpool.weight": np.ones((128, 1, 5), "<f4")}, "no network that is known here"),
        ({"global_avgpool.weight": np.ones((128, 1), "<f4")}, "no network that is known here"),
        ({"global_avgpool.weight": np.ones((128, 1, 0, 2), "<f4")}, "no network that is known"),
        # Gates of a sixteenth of a quarter of its channels.
        ({"conv2.0.conv3.conv.weight": np.zeros((48, 12, 1, 1), "<f4")}, "no network that is kn"),
        ({"conv5.bn.bias": np.full(128, 1e300)}, "conv5.bn.bias .*not finite"),
        ({"conv5.bn.running_var": np.full(128, -1, "<f4")}, "conv5.bn.running_var .*below 0"),
        ({"conv2.2.0.bn.bias": np.zeros(64, "<f4")}, "two tensors are conv2.2.0.bn.bias"),
        ({"conv9\x1b[2J\n.weight": np.zeros(3, "<f4")}, r"is conv9\\x1b\[2J\\n.weight, of"),
    ],
)
def test_a_tensor_that_does_not_fit(changes, words, tmp_path):
    path = small_osnets.saved(tmp_path / "file.pth", "OSNetAIN_x0_25", changes=changes)
    with refused(rf"^--backbone_weights={path}: .*{words}"):
        networks.build("OSNetAIN", SIZE, path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nowhere.pth", None, "can't be read"),
        ("page.pth", b"<html>404 Not Found</html>", "not a file of PyTorch's torch.save"),
        ("empty.pth", b"", "not a file of PyTorch's torch.save"),
        ("zip.pth", b"PK\x03\x04" + bytes(40), "broken.*fetch it again"),
        ("picture.pth", b"\x89PNG\r\n\x1a\n", "not a file of PyTorch's torch.save"),
        ("pointer.pth", b"version https://git-lfs.github.com/spec/v1\n", "not a file of PyTorch's"),
        ("deep.onnx", onnx([onnx_tensor("w", [1] * 65, 1, floats(1))], ["Conv"]), "is broken"),
        (
            "port.xml",
            b'<net version="11"><edges><edge to-port="%b"/></edges></net>' % (b"9" * 5000),
            "broken.*fetch it again",
        ),
    ],
)
def test_a_file_of_another_kind(name, content, words, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with refused(rf"^--backbone_weights={path}: .*{words}"):
        networks.build("OSNet", SIZE, str(path))


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_path_that_is_no_file(make, tmp_path):
    """A pipe is never opened: that would wait for who writes into it."""
    path = str(tmp_path / "weights.pth")
    make(path)
    with refused(rf"^--backbone_weights={path}: no file, but a folder, a pipe or a device"):
        networks.check("OSNet", path)
    assert not public_weights.is_one(path)


def test_safetensors_by_its_package(tmp_path, monkeypatch):
    path = tmp_path / "file.safetensors"
    path.write_bytes(bytes(16))
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with refused("pip install safetensors"):
        networks.build("OSNet", SIZE, str(path))
    arrays = small_osnets.tensors(small_osnets.network("OSNet_x0_25"))
    library = types.SimpleNamespace(
        load_file=lambda path: {f"module.{k}": arrays[k] for k in arrays}
    )
    monkeypatch.setitem(sys.modules, "safetensors.numpy", library)
    monkeypatch.setitem(sys.modules, "safetensors", types.ModuleType("safetensors"))
    found = public_weights.read(str(path))
    assert (found.format, found.backbone, found.classes) == ("safetensors", "OSNet", 7)
