"""What the server does with an export for OpenVINO that is not as it was written."""

import json
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

from arn_tf.served import publish, to_openvino
from serving.errors import ServingError
from serving.server import model as models
from tests.support import small_strong

pytest.importorskip("openvino")


@pytest.fixture
def folder(tmp_path):
    copied = tmp_path / "arn" / "1"
    shutil.copytree(small_strong.models(to_openvino) / "arn" / "1", copied)
    return copied


def load(folder):
    return models.load(str(folder), 1)


def test_signatures_are_those_of_the_saved_model(folder):
    ours = load(folder).signature_defs
    theirs = models.load(str(small_strong.models() / "arn" / "1"), 1).signature_defs
    theirs.pop("__saved_model_init_op", None)
    assert sorted(ours) == sorted(theirs)

    def shapes(tensors):
        return {
            name: (info.dtype, tf.TensorShape(info.tensor_shape).as_list())
            for name, info in tensors.items()
        }

    for name, definition in theirs.items():
        assert shapes(ours[name].inputs) == shapes(definition.inputs)
        assert shapes(ours[name].outputs) == shapes(definition.outputs)


def test_an_answer_outlives_the_next(folder):
    model = load(folder)
    images = np.random.default_rng(0).integers(0, 256, (2, 2, *small_strong.SIZE, 3), np.uint8)
    first = model.run("images", {"images": tf.constant(images[0])})["embedding"]
    kept = first.copy()
    model.run("images", {"images": tf.constant(images[1])})
    np.testing.assert_array_equal(first, kept)


def change(folder, **changes):
    path = folder / publish.SIDECAR
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_graphs_of_another_model(folder):
    change(folder, embedding_space="0123456789abcdef")
    with pytest.raises(ServingError, match=r"of embedding space .*says 0123456789abcdef.*again"):
        load(folder)


@pytest.mark.parametrize(
    "name", ["images.bin", "by_camera/images_by_camera.xml", "decoder", "assets.extra/arn.json"]
)
def test_a_part_is_missing(folder, name):
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ServingError, match=r"can't be loaded .*Export it again"):
        load(folder)


def test_without_the_package(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ServingError, match=r"pip install -r requirements-openvino\.txt"):
        load(folder)
