"""Networks of the Open Model Zoo as OSNets of Keras: the same embeddings as OpenVINO computes."""

import functools

import numpy as np
import openvino
import pytest

from arn_tf.backbones import networks, public_weights
from arn_tf.data.images import decode
from arn_tf.errors import UserError
from arn_tf.weight_files.bad_weights import BadWeights
from datasets.toy_reid import camera
from tests.support.places import SHARED
from tests.support.small_ir import write

ZOO = SHARED / "weights/omz"
pytestmark = pytest.mark.skipif(not ZOO.exists(), reason="no networks beside the repository")
SIZE = (256, 128)
NETWORKS = ("0267.onnx", "0277.xml", "0287.xml", "0288.xml")


def file(name: str) -> str:
    return str(ZOO / f"person-reidentification-retail-{name}")


@functools.cache
def crops() -> np.ndarray:
    """Drawn persons in the street; uint8 [4, 256, 128, 3]."""
    taken = [camera.take("market", number, number % 3 + 1, 0) for number in range(1, 5)]
    return np.stack([decode(each, SIZE).numpy() for each in taken])


@functools.cache
def expected(name: str) -> np.ndarray:
    """Returns OpenVINO's embeddings of `crops`, float32 [4, 256]."""
    core = openvino.Core()
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    model = core.compile_model(core.read_model(file(name)), "CPU", exact)
    # The IR turns BGR of 0..255 into what the ONNX file takes: RGB, by ImageNet's statistics.
    x = crops().astype("f4")
    if name.endswith("onnx"):
        x = (x - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
    else:
        x = x[..., ::-1]
    x = x.transpose(0, 3, 1, 2)[:, None].astype("f4")
    return np.concatenate([model(np.ascontiguousarray(each))[0] for each in x])


def embedded(name: str) -> np.ndarray:
    network, facts = networks.build("OSNetAIN", SIZE, file(name))
    x = networks.preprocessing("OSNetAIN", facts)(crops().astype("f4"))
    return network(x).numpy()[:, 0, 0]


def cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (
        np.sum(left * right, axis=1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_embeddings_are_openvinos(name):
    found = embedded(name)
    assert found.shape == (4, 256)
    assert cosine(found, expected(name)).min() > 0.9999
    if name.endswith("xml"):
        scale = np.abs(expected(name)).max()
        np.testing.assert_allclose(found, expected(name), rtol=0, atol=3e-4 * scale)


def test_the_epsilon_of_the_gates_that_onnx_does_not_state():
    """What there is of a difference comes from it: with OpenVINO's there is none."""
    network, facts = networks.build("OSNetAIN", SIZE, file("0267.onnx"))
    for layer in network.layers:
        if layer.name.endswith("gate.gn"):
            # 1e-9 on the deviation is what it is on the variance where that isn't 0.
            layer.epsilon = 1e-18
    x = networks.preprocessing("OSNetAIN", facts)(crops().astype("f4"))
    found, wanted = network(x).numpy()[:, 0, 0], expected("0267.onnx")
    np.testing.assert_allclose(found, wanted, rtol=0, atol=3e-4 * np.abs(wanted).max())


def test_what_a_file_is():
    found = public_weights.read(file("0288.xml"))
    assert found.format == "OpenVINO IR, batch normalisations folded"
    assert (found.backbone, found.config.channels) == ("OSNetAIN", (16, 64, 96, 128))
    assert found.config.input_size == SIZE
    assert type(found.config).from_json(found.config.to_json()) == found.config


def test_pictures_of_another_size():
    with pytest.raises(UserError, match=r"input_size=128x64: .* pass input_size=256x128"):
        networks.build("OSNetAIN", (128, 64), file("0288.xml"))


def test_another_name():
    with pytest.raises(UserError, match="holds OSNetAIN_x0_25; pass backbone=OSNetAIN"):
        networks.build("OSNetIBN", SIZE, file("0288.xml"))


def test_numbers_that_are_not_finite(tmp_path):
    path = tmp_path / "network.xml"
    path.write_bytes((ZOO / "person-reidentification-retail-0288.xml").read_bytes())
    content = bytearray((ZOO / "person-reidentification-retail-0288.bin").read_bytes())
    content[80:84] = np.float32(np.nan).tobytes()
    path.with_suffix(".bin").write_bytes(content)
    with pytest.raises(UserError, match=r"conv1\.conv\.weight holds numbers that are not finite"):
        networks.build("OSNetAIN", SIZE, str(path))


def test_the_numbers_without_the_graph():
    with pytest.raises(
        BadWeights, match=r"Pass person-reidentification-retail-0288\.xml, and leave"
    ):
        public_weights.read(file("0288.bin"))


def test_a_file_is_known_by_its_content(tmp_path):
    path = write(tmp_path).rename(tmp_path / "detector.pth")
    with pytest.raises(UserError) as error:
        networks.build("OSNetAIN", SIZE, str(path))
    assert str(error.value).startswith(
        f"backbone_weights={path}: network face-detection-0200 of 1 Convolution, 1 DetectionOutput"
    )
