"""Parts of other systems, each in a round of self-training: by hand, and by plain NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.data.split import Split
from arn_tf.errors import UserError
from arn_tf.strong import camera_statistics
from arn_tf.strong.cluster_memory import TEMPERATURE
from arn_tf.strong.model import StrongModel
from arn_tf.strong.self_training import SelfTrainer
from studies import adaptation, components
from tests.support import small_domains, small_strong


def small_trainer() -> SelfTrainer:
    keras.utils.set_random_seed(0)
    model = small_strong.model(num_identities=0, cameras=[0, 1])
    centroids = np.random.default_rng(1).normal(size=(4, model.embedding_dim))
    return SelfTrainer(model, centroids.astype(np.float32))


def features_and_labels(trainer: SelfTrainer) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    labels = np.array([0, 1, 1, 3, 0, 2], np.int32)
    return rng.normal(size=(6, trainer.model.embedding_dim)).astype(np.float32), labels


def normalized(features: np.ndarray) -> np.ndarray:
    """A new neck has scale 1 and no shift."""
    return (features - features.mean(axis=0)) / np.sqrt(features.var(axis=0) + 1e-3)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_weights_by_the_entropy_of_cameras_by_hand():
    # Cluster 0: two cameras, two pictures each; 1: one camera; 2: three pictures and one.
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 2, -1])
    camera = np.array([0, 0, 7, 7, 7, 7, 0, 0, 0, 7, 0])
    skewed = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    mean = (4 * 2 + 2 * 1 + 4 * skewed) / 10
    np.testing.assert_allclose(
        components.camera_entropy_weights(labels, camera), np.array([2, 1, skewed]) / mean, 1e-6
    )


def test_a_weighted_loss_beside_numpy():
    trainer = small_trainer()
    weights = np.array([0.5, 2, 1, 1.5], np.float32)
    weighted = components.EntropyTrainer(trainer, weights)
    features, labels = features_and_labels(trainer)
    (cost, triplet), _ = weighted.target_losses(tf.constant(features), tf.constant(labels))
    (_, expected), _ = trainer.target_losses(tf.constant(features), tf.constant(labels))
    np.testing.assert_allclose(triplet, expected, rtol=1e-6)
    codes = normalized(features)
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    logs = log_softmax(codes @ trainer.memory.directions.numpy().T / TEMPERATURE)
    of_each = -logs[np.arange(6), labels]
    np.testing.assert_allclose(cost, np.mean(weights[labels] * of_each), rtol=1e-5)
    weighted.weigh(3 * weights)
    (more, _), _ = weighted.target_losses(tf.constant(features), tf.constant(labels))
    np.testing.assert_allclose(more, 3 * cost, rtol=1e-5)


def test_equal_weights_are_the_plain_loss():
    trainer = small_trainer()
    features, labels = map(tf.constant, features_and_labels(trainer))
    weighted = components.EntropyTrainer(trainer, np.ones(4, np.float32))
    for left, right in zip(
        weighted.target_losses(features, labels)[0],
        trainer.target_losses(features, labels)[0],
        strict=True,
    ):
        np.testing.assert_allclose(left, right, rtol=1e-6)


def test_an_average_of_weights_by_hand():
    trainer = small_trainer()
    encoder = trainer.model.encoder_i
    begun = encoder.get_weights()
    average = components.Average(encoder, begun)
    for value in (1.0, 2.0):
        encoder.set_weights([np.full_like(each, value) for each in begun])
        average.on_train_batch_end(0)
    for mean, first in zip(average.weights, begun, strict=True):
        np.testing.assert_allclose(mean, (0.98 * first + 0.02) * 0.98 + 0.04, rtol=1e-4, atol=1e-5)


def test_a_generalised_mean_beside_numpy():
    maps = np.random.default_rng(3).uniform(0, 6, (2, 4, 3, 5)).astype(np.float32)
    layer = components.GeneralisedMean()
    found = layer(maps)
    assert found.shape == (2, 1, 1, 5)
    np.testing.assert_allclose(found[:, 0, 0], np.cbrt((maps**3).mean(axis=(1, 2))), rtol=1e-5)
    layer.power.assign(1)
    np.testing.assert_allclose(layer(maps)[:, 0, 0], maps.mean(axis=(1, 2)), rtol=1e-5)


def test_a_model_with_a_generalised_mean_is_the_same_below_it():
    begun = small_strong.model(num_identities=0, cameras=[0, 1])
    found = components.with_gem(begun)
    images = np.random.default_rng(4).integers(0, 256, (2, *small_domains.SIZE, 3))
    maps = begun.feature_maps(tf.constant(images)).numpy()
    expected = np.cbrt((np.maximum(maps, 1e-6) ** 3).mean(axis=(1, 2)))
    np.testing.assert_allclose(found.plain_features(tf.constant(images)), expected, rtol=1e-4)
    with pytest.raises(UserError, match="no positions to pool"):
        components.with_gem(found)


def test_what_a_generalised_mean_learns_goes_from_round_to_round():
    begun = components.with_gem(small_strong.model(num_identities=0, cameras=[0, 1]))
    begun.encoder_i.get_layer("gem").power.assign(2)
    copy = camera_statistics.with_cameras(begun, begun.cameras)
    images = tf.constant(np.full((1, *small_domains.SIZE, 3), 77, np.uint8))
    np.testing.assert_array_equal(copy.plain_features(images), begun.plain_features(images))
    power = copy.encoder_i.get_layer("gem").power
    assert any(power is each for each in copy.encoder_i.trainable_variables)


def weights_of(model: StrongModel) -> np.ndarray:
    return np.concatenate([each.ravel() for each in model.encoder_i.get_weights()])


@pytest.mark.parametrize("row", ["clusters", "entropy", "both", "average", "gem"])
def test_a_round_of_each(row, monkeypatch):
    rng = np.random.default_rng(0)
    person, camera = np.tile(np.arange(12), 8), np.repeat([0, 1], 48)
    pictures = rng.integers(0, 256, (96, *small_domains.SIZE, 3)).astype(np.uint8)
    split = Split(np.empty(96, object), person + 1, camera, [f"{at}.jpg" for at in range(96)])
    monkeypatch.setattr(adaptation, "labels_of", lambda *_: person)
    begun = small_strong.model(num_identities=0, cameras=[0, 1])
    if row == "gem":
        begun = components.with_gem(begun)
    settings = small_strong.settings("runs/none", source="none", self_training_steps=2)
    training = adaptation.RowRounds(begun, settings, row, split, pictures)
    start, after = weights_of(begun), []
    for number in (1, 2):
        assert training.train(number)
        after.append(np.abs(weights_of(training.shown) - start).max())
    if row == "average":
        # Four steps of a fiftieth each leave it near where it began.
        plain = adaptation.RowRounds(begun, settings, "clusters", split, pictures)
        plain.train(1)
        moved = np.abs(weights_of(plain.shown) - start).max()
        assert 0 < after[0] < 0.1 * moved and after[0] < after[1] < 0.3 * moved
    else:
        assert 0 < after[0] != after[1]
    np.testing.assert_array_equal(weights_of(begun), start)
