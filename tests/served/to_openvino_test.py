"""An export for OpenVINO computes what the model does, for every camera, or isn't published."""

import json
import os
import sys

import numpy as np
import pytest
import tensorflow as tf

from arn_tf.data.images import decode
from arn_tf.errors import UserError
from arn_tf.served import publish, runtime_graphs, to_openvino
from tests.support import small_export, small_strong
from tests.support.small_export import PICTURES, SIZE

openvino = pytest.importorskip("openvino")
IMAGES = np.stack([decode(picture, SIZE).numpy() for picture in PICTURES])


def export(model, export_dir, precision=None):
    served = small_export.served(model, precision)
    return publish.export(served, export_dir, PICTURES, runtime=to_openvino)


@pytest.fixture(scope="module")
def model():
    return small_strong.model()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return export(model, tmp_path_factory.mktemp("models") / "arn")


def test_every_picture_by_its_camera_s_row(model, exported):
    folder, sidecar = exported
    graphs = to_openvino.load(folder)
    assert sorted(graphs) == ["images", "images_by_camera"]
    rows = sidecar["camera_rows"]
    assert rows == {"4": 2, "1": 3, str(2**40): 4}
    # The source's row and those that there are not: the whole target's.
    asked = np.array([rows[str(2**40)], rows["4"], 0, 5, -7], np.int32)
    found = graphs["images_by_camera"](IMAGES, asked)
    expected = model(IMAGES, model.table.rows_of([2**40, 4, -1, -1, -1])).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    plain = model(IMAGES, model.table.rows_of([-1] * 5)).numpy()
    np.testing.assert_allclose(graphs["images"](IMAGES, None), plain, rtol=0, atol=1e-4)
    # Or the test could not tell cameras apart.
    assert np.abs(expected - plain)[:2].max() > 0.01


@pytest.mark.parametrize("path", to_openvino.FILES.values())
def test_pictures_are_not_mirrored_by_a_plain_loop(exported, path):
    """As OpenVINO would where a graph has TensorFlow's `reverse`."""
    model = openvino.Core().read_model(os.path.join(exported[0], path))
    assert "ReverseSequence" not in {each.get_type_name() for each in model.get_ops()}


def test_the_decoder_is_the_product_s(exported):
    decoder = tf.saved_model.load(os.path.join(exported[0], to_openvino.DECODER))
    decode_all = decoder.signatures["serving_default"]
    np.testing.assert_array_equal(decode_all(image_bytes=tf.constant(PICTURES))["images"], IMAGES)
    with pytest.raises(tf.errors.InvalidArgumentError, match="neither JPEG nor PNG"):
        decode_all(image_bytes=tf.constant([b"GIF89a"]))


def test_the_sidecar_and_the_graphs_name_the_space(model, exported):
    folder, sidecar = exported
    with open(os.path.join(folder, publish.SIDECAR), encoding="utf-8") as file:
        assert json.load(file) == sidecar
    assert sidecar["format"] == "openvino"
    assert sidecar["versions"]["openvino"] == openvino.__version__
    assert sidecar["embedding_space"] == small_export.served(model).embedding_space
    assert sidecar["agreement"]["least_cosine"] > 0.9999
    for file in to_openvino.FILES.values():
        read = openvino.Core().read_model(os.path.join(folder, file))
        space = read.get_rt_info(["model_info", "embedding_space"]).astype(str)
        assert space == sidecar["embedding_space"]
        assert [place.any_name for place in read.outputs] == ["embedding"]
    assert sidecar["weights_bytes"] > 0


def test_a_model_without_cameras(tmp_path):
    model = small_export.model()
    folder, sidecar = export(model, tmp_path / "arn")
    graphs = to_openvino.load(folder)
    assert list(graphs) == ["images"] and sidecar["camera_rows"] == {}
    np.testing.assert_allclose(graphs["images"](IMAGES, None), model.embed(IMAGES), atol=1e-4)


def test_one_picture_that_disagrees_is_refused(model, tmp_path, monkeypatch):
    """The mean of all five is above the limit, and theirs alone is not."""
    load = to_openvino.load

    def bent(folder):
        def embed(images, rows):
            vectors = load(folder)["images"](images, rows)
            vectors[-1] = np.roll(vectors[-1], 1) if len(images) > 1 else vectors[-1]
            return vectors

        return load(folder) | {"images": embed}

    monkeypatch.setattr(to_openvino, "load", bent)
    with pytest.raises(UserError, match=r"least cosine -?0\.\d+, must be 0\.9999.*nothing was pub"):
        export(model, tmp_path / "arn")
    assert os.listdir(tmp_path / "arn") == [".last_version"]


def test_bfloat16_is_refused(model, tmp_path):
    with pytest.raises(UserError, match="format=openvino: this model computes in bfloat16"):
        export(model, tmp_path / "arn", "bfloat16")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match=r"pip install -r requirements-openvino\.txt"):
        to_openvino.versions()


def test_graphs_without_cameras_have_no_rows():
    assert list(runtime_graphs.graphs(small_export.served(small_export.model()))) == ["images"]


def test_what_openvino_can_t_do_is_said(model, tmp_path, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("Can't write\nmore")

    monkeypatch.setattr(openvino, "save_model", full)
    with pytest.raises(
        UserError, match=r"format=openvino: .*\(Can't write\); nothing was published"
    ):
        export(model, tmp_path / "arn")
    assert os.listdir(tmp_path / "arn") == [".last_version"]


def test_small_numbers_stay_what_they_are_outside(exported):
    """OpenVINO takes them for 0, and would go on doing so in the thread that it was called by."""
    to_openvino.load(exported[0])["images_by_camera"](IMAGES[:1], np.array([2], np.int32))
    assert (np.full(64, 1e-42, np.float32) * np.ones(64, np.float32)).all()
