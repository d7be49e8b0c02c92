"""The strong recipe on an OSNet with public weights: cameras, files, exports and replicas."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.backbones import osnet_config
from arn_tf.data.images import decode
from arn_tf.layers import replicas
from arn_tf.strong import train as strong_train
from arn_tf.strong.model import StrongModel
from arn_tf.strong.served_model import served_model
from tests.support import small_data, small_export, small_osnets, small_strong
from tests.support.small_export import PICTURES, SIZE
from tests.support.user_errors import refused

NAME = "OSNetAIN_x0_25"


@functools.cache
def images() -> np.ndarray:
    """Not at the top: as a program this file splits the CPU before TensorFlow computes."""
    return np.stack([decode(picture, SIZE).numpy() for picture in PICTURES])


def small_model(weights="random", **options):
    keras.utils.set_random_seed(0)
    return StrongModel(3, "OSNetAIN" if weights != "random" else NAME, weights, SIZE, **options)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Of a file that is gone, with two cameras whose statistics are not the target's."""
    path = tmp_path_factory.mktemp("weights") / "ain.pth"
    made = small_model(small_osnets.saved(path, NAME), cameras=[4, 1])
    path.unlink()
    rng = np.random.default_rng(0)
    for weight in made.table.weights:
        low, high = (-0.1, 0.1) if "mean" in weight.path else (0.5, 2)
        weight.assign(rng.uniform(low, high, weight.shape))
    return made


def test_plain_embeddings_are_the_feature_of_the_file(model):
    network = small_osnets.network(NAME)
    scaled = (images() / np.float32(255) - np.float32([0.485, 0.456, 0.406])) / np.float32(
        [0.229, 0.224, 0.225]
    )
    feature = network(scaled).numpy()[:, 0, 0]
    expected = feature / np.linalg.norm(feature, axis=1, keepdims=True)
    np.testing.assert_allclose(model(images()), expected, atol=1e-5)
    assert model.embedding_dim == 512


def test_every_batch_normalisation_takes_statistics_of_cameras(model):
    network = small_osnets.network(NAME)
    names = [n.name for n in network.layers if isinstance(n, keras.layers.BatchNormalization)]
    assert sorted(model._channels) == sorted(names)
    assert "fc.1" in names
    # The head's alone, moved, moves the embedding.
    own = model._channels["fc.1"]
    moved = model.table.moments(tf.constant([3]))[0].numpy()
    before = model.camera_features(images()[:1], tf.constant([3])).numpy()
    weight = next(w for w in model.table.weights if w.shape[-1] == moved.shape[-1])
    old = weight.numpy()
    new = old.copy()
    new[..., own] += 0.5
    weight.assign(new)
    after = model.camera_features(images()[:1], tf.constant([3])).numpy()
    weight.assign(old)
    assert np.abs(after - before).max() > 0.1


def test_saved_and_loaded_without_the_weights_file(model, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    rows = model.table.rows_of([4, 1, 7, -1, 4])
    np.testing.assert_array_equal(again(images(), rows), model(images(), rows))
    facts = json.loads(json.dumps(model.get_config()["network"]))
    assert facts["architecture"]["channels"] == [16, 64, 96, 128]
    assert facts["preprocessing"]["order"] == "RGB"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_exported_and_loaded(model, precision, tmp_path):
    folder, sidecar = small_export.export_model(model, tmp_path / "arn", PICTURES, precision)
    loaded = tf.saved_model.load(str(folder)).signatures
    cameras = [4, 1, 7, -1, 4]
    found = loaded["by_camera"](
        image_bytes=tf.constant(PICTURES), camera_id=tf.constant(cameras, tf.int64)
    )["embedding"].numpy()
    expected = model(images(), model.table.rows_of(cameras)).numpy()
    assert (found * expected).sum(axis=1).min() > (1 - 1e-5 if precision == "float32" else 0.98)
    assert (sidecar["backbone"], sidecar["embedding_dim"]) == ("OSNetAIN", 512)


def test_another_preprocessing_is_another_embedding_space(model):
    config = model.get_config()
    network = config["network"]
    network |= {"preprocessing": network["preprocessing"] | {"order": "BGR"}}
    other = StrongModel.from_config(config | {"network": network})
    other.set_weights(model.get_weights())
    assert served_model(other).embedding_space != served_model(model).embedding_space
    np.testing.assert_allclose(other(images()[..., ::-1]), model(images()), atol=1e-6)


def test_there_is_no_last_stride_to_take_away():
    assert small_model().encoder_i.output_shape == (None, 1, 1, 512)
    for build in (
        lambda: small_model(last_stride=2),
        small_strong.settings("runs/none", backbone=NAME, last_stride=2).check,
    ):
        with refused("^--last_stride=2: OSNetAIN_x0_25 has no last stride"):
            build()


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("imagenet", "no weights are fetched"),
        ("nowhere.pth", "can't be read"),
        ("small.pth", "not a file of PyTorch's"),
    ],
)
def test_wrong_weights_are_told_before_a_picture_is_read(weights, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.pth").write_bytes(b"<html>not found")
    # No such data set is prepared, and no archive is there to prepare it from.
    nothing = {"manual_dir": str(tmp_path / "none"), "data_dir": str(tmp_path / "none")}
    settings = small_strong.settings(
        tmp_path / "run", backbone=NAME, backbone_weights=weights, **nothing
    )
    with refused(f"^--backbone_weights={weights}: .*{words}"):
        strong_train.train(settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", [*osnet_config.OSNETS, NAME])
def test_the_paper_needs_a_map(name):
    settings = small_data.settings("runs/none", backbone=name)
    with refused(f"^--backbone={name}: it ends in one vector.*--preset=strong"):
        settings.check()


# Replicas: this file runs itself as a program, as the CPU is split before TensorFlow starts.


def replicas_program() -> None:
    """Compares a step on one replica and on two: its loss, and the statistics that it leaves.

    Weights stay: behind so many normalisations of eight pictures gradients multiply rounding.
    """
    replicas.split_cpu(2)
    rng = np.random.default_rng(0)
    # Of colours far apart: where pictures are alike, normalising by the batch multiplies rounding.
    colours = rng.uniform(0, 255, (8, 1, 1, 3))
    batch = {
        "source_images": (colours + rng.normal(0, 20, (8, *SIZE, 3))).astype("f4"),
        "source_labels": np.array([0, 1, 2, 0, 1, 2, 0, 1], "i4"),
    }
    results, initial = [], None
    for count in (1, 2):
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])
        with strategy.scope():
            model = small_model()
            initial = initial or model.get_weights()
            model.set_weights(initial)
            model.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
        data = tf.data.Dataset.from_tensor_slices(batch).batch(8)
        logs = model.fit(data, shuffle=False, verbose=0).history
        results.append((logs["loss"], [(v.path, v.numpy()) for v in model.weights]))
    (left_loss, left), (right_loss, right) = results
    np.testing.assert_allclose(right_loss, left_loss, rtol=1e-4)
    moved = 0.0
    for (path, one), (_, two), old in zip(left, right, initial, strict=True):
        scale = max(np.abs(one).max(), 1e-2)
        np.testing.assert_allclose(two, one, atol=1e-3 * scale, err_msg=path)
        moved = max(moved, np.abs(one - old).max() / scale)
    assert moved > 1e-2


def test_two_replicas_give_the_model_of_one():
    small_data.run_again(__file__)


if __name__ == "__main__":
    replicas_program()
