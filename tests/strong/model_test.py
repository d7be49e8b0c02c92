"""The model of the strong recipe: what it embeds, one step by hand, replicas, saving."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.layers import replicas
from arn_tf.layers.normalization import SOURCE, TARGET, BatchStatistics, normalized_by
from arn_tf.strong.embedding import embed_by_camera, embed_plain
from arn_tf.strong.losses import batch_hard_triplet, smoothed_classification
from arn_tf.strong.model import StrongModel, pooled
from tests.support import gradient_sums, small_data, small_tables
from tests.support.small_backbones import normalizations
from tests.support.small_tolerance import rounding

SIZE = (small_data.HEIGHT, small_data.WIDTH)
LABELS = np.array([0, 0, 1, 1, 2, 2, 0, 1], np.int32)
# Of unit embeddings: two convolutions of up to 300 products, a normalisation and a mean.
CLOSE = rounding(4, 300)


def small_model(**options: Any) -> StrongModel:
    keras.utils.set_random_seed(0)
    return StrongModel(
        **{
            "num_identities": 3,
            "backbone": "Tiny",
            "backbone_weights": "random",
            "input_size": SIZE,
            **options,
        }
    )


def random_images(seed: int, count: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *SIZE, 3), np.uint8)


def batch(seed: int = 0) -> dict[str, np.ndarray]:
    return {"source_images": random_images(seed).astype("f4"), "source_labels": LABELS}


def fit(model: StrongModel, steps: int = 1, seed: int = 0) -> dict[str, float]:
    data = tf.data.Dataset.from_tensors(batch(seed)).repeat(steps)
    history = model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0).history
    return {name: value[0] for name, value in history.items()}


@pytest.fixture(scope="module")
def calibrated() -> StrongModel:
    model = small_model(cameras=[4, 1, 9])
    small_tables.fill(model)
    return model


# Embedding.


def test_plain_embeddings(calibrated):
    images = random_images(0)
    found = calibrated(images).numpy()
    assert found.shape == (8, 24)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.ones(8), rtol=1e-6)
    maps = calibrated.encoder_i(images / np.float32(127.5) - 1)
    expected = maps.numpy().mean(axis=(1, 2))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=CLOSE)
    np.testing.assert_allclose(calibrated(images.astype("f4")), found, rtol=1e-5, atol=CLOSE)
    np.testing.assert_allclose(embed_plain(calibrated, images), found, rtol=1e-5, atol=CLOSE)


def test_embeddings_by_rows_by_hand(calibrated):
    """Each picture in turn, with the row's statistics put where the running ones are."""
    images, rows = random_images(1, 5), np.array([3, SOURCE, 4, 2, TARGET])
    table = {key: value.numpy() for key, value in small_tables.columns(calibrated).items()}
    again = small_model(cameras=[4, 1, 9])
    again.set_weights(calibrated.get_weights())
    [layer] = normalizations(again.encoder_i)
    expected = []
    for image, row in zip(images, rows, strict=True):
        layer.moving_mean.assign(table["mean"][row])
        layer.moving_variance.assign(table["variance"][row])
        total = 0
        for view in (image, image[:, ::-1]):
            vector = pooled(again.feature_maps(view[None])).numpy()[0]
            vector = (vector - table["embedding_mean"][row]) / table["embedding_deviation"][row]
            total = total + vector / np.linalg.norm(vector)
        expected.append(total / np.linalg.norm(total))
    found = calibrated(images, rows)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.ones(5), rtol=1e-6)
    np.testing.assert_allclose(calibrated.traced.embeddings(images, rows), found, atol=1e-5)
    cameras = [1, 77, 9, 4, -1]
    rows[1] = TARGET
    np.testing.assert_allclose(
        embed_by_camera(calibrated, images, cameras), calibrated(images, rows), atol=1e-5
    )
    assert np.abs(calibrated(images, rows[::-1].copy()) - found).max() > 0.1


def test_a_picture_and_its_mirror_image_have_one_embedding(calibrated):
    images, rows = random_images(2), np.arange(8) % 5
    mirrored = images[:, :, ::-1].copy()
    found = calibrated(images, rows)
    np.testing.assert_allclose(calibrated(mirrored, rows), found, atol=CLOSE)
    # Plain, they differ.
    assert np.abs(calibrated(mirrored) - calibrated(images)).max() > 1e-3


def test_more_pictures_than_a_batch(calibrated):
    images, cameras = random_images(3, 150), np.arange(150) % 10
    for found in (
        embed_plain(calibrated, images) - calibrated(images),
        embed_by_camera(calibrated, images, cameras)
        - calibrated(images, calibrated.table.rows_of(cameras)),
    ):
        np.testing.assert_allclose(found, np.zeros((150, 24)), atol=1e-5)


def test_a_fresh_table_changes_nothing_but_adds_the_mirror_image():
    """Rows begin as what a fresh network has: mean 0 and variance 1."""
    model, images = small_model(), random_images(4)
    one, other = (model(view).numpy() for view in (images, images[:, :, ::-1]))
    both = one + other
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    np.testing.assert_allclose(model(images, np.full(8, SOURCE)), both, atol=1e-5)


# Training.


def test_one_step_by_hand():
    """With plain SGD: weights less rate times gradient and decay, statistics of the batch."""
    model, other = small_model(weight_decay=0.01), small_model()
    other.set_weights(model.get_weights())
    model.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=False)
    names = [v.path for v in model.trainable_variables]
    assert not any("moving" in name or "table" in name for name in names)
    assert [n for n in names if "source" in n] == [
        "source_neck/gamma",
        "source_classifier/kernel",
    ]
    assert gradient_sums.widest(model.train_step, batch()) <= 2
    before = [v.numpy() for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        with normalized_by(moments := BatchStatistics()):
            maps = other.encoder_i(batch()["source_images"] / 127.5 - 1)
        vectors = tf.reduce_mean(maps, [1, 2])
        mean, variance = tf.nn.moments(vectors, [0])
        codes = other.neck.gamma * (vectors - mean) / tf.sqrt(variance + 1e-3)
        terms = [
            smoothed_classification(tf.matmul(codes, other.classifier.kernel), LABELS, 0.1),
            batch_hard_triplet(vectors, tf.constant(LABELS), 0.3),
        ]
        total = sum(terms)
    gradients = tape.gradient(total, [v.value for v in other.trainable_variables])
    logs = fit(model)
    assert logs == pytest.approx(
        {"loss": float(total), "class": float(terms[0]), "triplet": float(terms[1])}, rel=1e-4
    )
    for name, new, old, gradient in zip(
        names, model.trainable_variables, before, gradients, strict=True
    ):
        np.testing.assert_allclose(
            new, old - 0.1 * (gradient + 0.01 * old), rtol=1e-4, atol=1e-5, err_msg=name
        )
    [layer] = normalizations(model.encoder_i)
    [(of_batch, spread)] = moments.values()
    np.testing.assert_allclose(layer.moving_mean, 0.1 * of_batch, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * spread, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.neck.moving_mean[0], 0.1 * mean, rtol=1e-4, atol=1e-6)
    for left, right in zip(model.table.weights, other.table.weights, strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_loss_falls():
    model = small_model()
    model.compile(optimizer=keras.optimizers.Adam(3e-3), jit_compile=False)
    first = fit(model)
    fit(model, 20)
    last = fit(model)
    for name in ("loss", "class", "triplet"):
        assert last[name] < 0.9 * first[name], name
    assert int(model.optimizer.iterations) == 22


def test_the_classifier_follows_the_seed():
    first, again, other = (small_model(seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.classifier.kernel, again.classifier.kernel)
    assert np.any(first.classifier.kernel.numpy() != other.classifier.kernel.numpy())


# Saving.


def test_its_configuration_is_told_without_a_copy_of_it(calibrated, monkeypatch):
    monkeypatch.setattr(StrongModel, "__init__", lambda *_, **__: pytest.fail("another model"))
    assert calibrated.get_config()["cameras"] == [4, 1, 9]


def test_saved_and_loaded(tmp_path, calibrated):
    calibrated.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.cameras == [4, 1, 9]
    assert again.get_config() == calibrated.get_config()
    # Whoever changes what is returned changes no model.
    calibrated.get_config()["input_size"].append(3)
    assert again.get_config() == calibrated.get_config()
    for left, right in zip(calibrated.variables, again.variables, strict=True):
        assert left.path == right.path
        np.testing.assert_array_equal(left, right, err_msg=left.path)
    for left, right in zip(calibrated.table.weights, again.table.weights, strict=True):
        assert left.shape[0] == 5
        np.testing.assert_array_equal(left, right)
    images, rows = random_images(5), again.table.rows_of([9, 4, 1, 5, 9, 4, 1, -1])
    np.testing.assert_array_equal(again(images), calibrated(images))
    np.testing.assert_array_equal(again(images, rows), calibrated(images, rows))


def test_every_option_is_saved(tmp_path):
    options = {
        "num_identities": 5,
        "last_stride": 2,
        "label_smoothing": 0.2,
        "margin": 0.5,
        "weight_decay": 1e-3,
        "cameras": [3],
        "seed": 6,
        "name": "other",
    }
    model = small_model(**options)
    assert model.encoder_i.output_shape == (None, 4, 2, 24)
    assert small_model().encoder_i.output_shape == (None, 16, 8, 24)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    assert again.get_config().items() >= options.items()
    assert (again.label_smoothing, again.margin, again.weight_decay) == (0.2, 0.5, 1e-3)


def test_a_model_without_identities_has_no_classifier(tmp_path):
    model = small_model(num_identities=0, cameras=[3])
    assert not [v.path for v in model.variables if v.path.startswith("source")]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.num_identities == 0
    images, rows = random_images(5), again.table.rows_of([3] * 8)
    np.testing.assert_array_equal(again(images, rows), model(images, rows))


def test_training_goes_on_from_a_file(tmp_path):
    model = small_model()
    model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    fit(model, 2)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for one in (model, again):
        fit(one, 2, seed=1)
    for left, right in zip(
        model.variables + model.optimizer.variables,
        again.variables + again.optimizer.variables,
        strict=True,
    ):
        np.testing.assert_array_equal(left, right, err_msg=left.path)


# Replicas: this file runs itself as a program, as the CPU is split before TensorFlow starts.


def replicas_program() -> None:
    """Compares two epochs on one replica and on two."""
    replicas.split_cpu(2)
    results, initial = [], None
    for count in (1, 2):
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])
        with strategy.scope():
            model = small_model()
            initial = initial or model.get_weights()
            model.set_weights(initial)
            # With Adam, rounding decides the sign of a step where a gradient is 0.
            model.compile(optimizer=keras.optimizers.SGD(0.1, 0.9), jit_compile=False)
        data = tf.data.Dataset.from_tensor_slices(batch()).repeat(2).batch(8)
        logs = model.fit(data, shuffle=False, verbose=0).history
        variables = model.weights + model.optimizer.variables
        results.append((logs, [(v.path, v.numpy()) for v in variables]))
    (left_logs, left), (right_logs, right) = results
    assert set(left_logs) == {"loss", "class", "triplet"}
    for name, values in left_logs.items():
        # Four layers there and back, sums over 8 x 16 x 8 positions; L_triplet is the difference of
        # distances up to ten times as large.
        rtol = 10 * rounding(8, 1024)
        np.testing.assert_allclose(right_logs[name], values, rtol=rtol, err_msg=name)
    moved = 0.0
    for (path, one), (_, two) in zip(left, right, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5, err_msg=path)
    for one, old in zip(left, initial, strict=False):
        moved = max(moved, np.abs(one[1] - old).max())
    assert moved > 1e-2


def test_two_replicas_give_the_model_of_one():
    small_data.run_again(__file__)


if __name__ == "__main__":
    replicas_program()
