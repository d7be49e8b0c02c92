"""What the server does with an export for OpenVINO that is not as it was written."""

import json
import os
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

from arn_tf.served import publish, to_openvino
from serving.errors import ServingError
from serving.server import model as models
from tests.support import small_export, small_strong

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


def test_its_threads_may_run_on_every_core(folder):
    """OpenVINO's default binds them, to the same cores in every process."""
    assert not load(folder)._graphs["images"].get_property("ENABLE_CPU_PINNING")


def test_the_least_numbers_are_nothing(folder):
    """Weights that have decayed in some channels would make it ten times as slow."""
    assert load(folder)._graphs["images"].get_property("CPU_DENORMALS_OPTIMIZATION")


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


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    """Changes one bit in the middle, where the weights are."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def make_newer(path):
    """As of a release whose form this one can't read."""
    text = path.read_text()
    assert 'version="11">' in text
    path.write_text(text.replace('version="11">', 'version="99">', 1))


@pytest.mark.parametrize(
    "name, damage",
    [
        ("images.bin", truncate),
        ("images.bin", flip),
        ("by_camera/images_by_camera.bin", flip),
        ("images.xml", truncate),
        ("images.xml", make_newer),
        ("by_camera/images_by_camera.xml", flip),
    ],
)
def test_damage_is_found(folder, name, damage):
    damage(folder / name)
    with pytest.raises(ServingError, match=rf"can't be loaded .*{name}.*Export it again"):
        load(folder)


def test_weights_of_another_model_of_the_same_kind(folder, tmp_path):
    other, _ = small_export.export_model(
        small_strong.model(seed=1), tmp_path / "other", small_export.PICTURES, runtime=to_openvino
    )
    shutil.copy(os.path.join(other, "images.bin"), folder / "images.bin")
    with pytest.raises(ServingError, match=r"can't be loaded .*images\.bin"):
        load(folder)


def test_an_export_of_before_there_were_digests(folder):
    path = folder / publish.SIDECAR
    sidecar = json.loads(path.read_text())
    del sidecar["sha256"]
    path.write_text(json.dumps(sidecar))
    assert load(folder).signature_defs


def test_two_forms_in_one_folder(folder):
    """Neither is taken for the other: which one was meant nobody can know."""
    shutil.copytree(small_strong.models() / "arn" / "1", folder, dirs_exist_ok=True)
    with pytest.raises(ServingError, match=r"saved_model\.pb and images\.xml"):
        load(folder)


def test_without_the_package(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ServingError, match=r"pip install -r requirements-openvino\.txt"):
        load(folder)


def test_small_numbers_stay_what_they_are_outside(folder):
    """OpenVINO takes them for 0, and would go on doing so in the thread that it was called by."""
    images = tf.zeros((2, *small_strong.SIZE, 3), tf.uint8)
    assert load(folder).run("images", {"images": images})["embedding"].any()
    assert (np.full(64, 1e-42, np.float32) * np.ones(64, np.float32)).all()
