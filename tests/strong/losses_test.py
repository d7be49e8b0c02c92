"""Smoothed cross-entropy and batch-hard triplet loss against hand-worked numbers and loops."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.strong.losses import batch_hard_triplet, smoothed_classification


def triplet(features: object, labels: object, margin: float = 0.3) -> tf.Tensor:
    return batch_hard_triplet(tf.constant(features, tf.float32), tf.constant(labels), margin)


def slow_triplet(features: np.ndarray, labels: np.ndarray, margin: float) -> float:
    """Hermans et al. 2017, equation 5, anchor by anchor in float64."""
    features = np.asarray(features, np.float64)
    costs = []
    for anchor, own in zip(features, labels, strict=True):
        distances = [math.dist(anchor, other) for other in features]
        same = [d for d, label in zip(distances, labels, strict=True) if label == own]
        others = [d for d, label in zip(distances, labels, strict=True) if label != own]
        costs.append(max(0.0, margin + max(same) - min(others)) if others else 0.0)
    return np.mean(costs)


def slow_classification(logits: np.ndarray, labels: np.ndarray, smoothing: float) -> float:
    """Cross-entropy with (1 - s) on the label and s / K on every identity, in float64."""
    costs = []
    for row, label in zip(np.asarray(logits, np.float64), labels, strict=True):
        total = math.log(sum(math.exp(value) for value in row))
        for k, value in enumerate(row):
            share = smoothing / len(row) + (1 - smoothing) * (k == label)
            costs.append(share * (total - value))
    return np.sum(costs) / len(labels)


def random_batch(
    seed: int, count: int = 12, width: int = 5, identities: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % identities
    return rng.normal(size=(count, width)).astype("f4"), rng.permutation(labels).astype("i4")


def test_cross_entropy_by_hand():
    """Probabilities 3/4 and 1/4; with smoothing 0.2 the label weighs 0.9, the other 0.1."""
    logits = tf.constant([[math.log(3.0), 0.0]])
    found = smoothed_classification(logits, tf.constant([0]), 0.2)
    assert float(found) == pytest.approx(-(0.9 * math.log(0.75) + 0.1 * math.log(0.25)), rel=1e-6)


def test_equal_logits_cost_the_logarithm_of_their_number():
    for smoothing in (0.0, 0.1, 0.9):
        found = smoothed_classification(tf.zeros([3, 7]), tf.constant([0, 3, 6]), smoothing)
        assert float(found) == pytest.approx(math.log(7), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_cross_entropy_equals_loops_and_keras(smoothing):
    logits, labels = random_batch(0)
    logits *= 3
    found = float(smoothed_classification(tf.constant(logits), tf.constant(labels), smoothing))
    assert found == pytest.approx(slow_classification(logits, labels, smoothing), rel=1e-5)
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    assert found == pytest.approx(float(theirs(np.eye(5, dtype="f4")[labels], logits)), rel=1e-5)


def test_large_logits_stay_finite():
    logits = tf.Variable([[1e4, -1e4], [-1e4, 1e4]])
    with tf.GradientTape() as tape:
        found = smoothed_classification(logits, tf.constant([0, 0]), 0.0)
    assert float(found) == pytest.approx(1e4)
    assert np.isfinite(tape.gradient(found, logits)).all()


def test_triplet_by_hand():
    """On a line: A at 0 and 1, B at 3 and 7, margin 0.5.

    0: 0.5 + 1 - 3 < 0; 1: 0.5 + 1 - 2 < 0; 3: 0.5 + 4 - 2 = 2.5; 7: 0.5 + 4 - 6 < 0.
    """
    found = triplet([[0.0], [1.0], [3.0], [7.0]], [5, 5, 2, 2], 0.5)
    assert float(found) == pytest.approx(2.5 / 4, rel=1e-6)


def test_distances_are_euclidean():
    """3-4-5 and 6-8-10: each of A has 0.3 + 5 - 10 < 0 or, at the other end, 0.3 + 5 - 5."""
    found = triplet([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]], [0, 0, 1], 0.3)
    # Alone, the last has itself at distance 0, and its nearest other at 5.
    assert float(found) == pytest.approx(0.3 / 3, abs=1e-5)


@pytest.mark.parametrize("margin", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("identities", [2, 4, 12])
def test_triplet_equals_loops(margin, identities):
    features, labels = random_batch(identities, identities=identities)
    found = float(triplet(features, labels, margin))
    assert found == pytest.approx(slow_triplet(features, labels, margin), rel=1e-4, abs=1e-5)


def test_gradient_of_triplet_equals_differences():
    features, labels = random_batch(1)
    variable = tf.Variable(features)
    with tf.GradientTape() as tape:
        cost = batch_hard_triplet(variable, tf.constant(labels), 2.0)
    gradient = tape.gradient(cost, variable).numpy()
    direction = np.random.default_rng(2).normal(size=features.shape)
    up, down = (slow_triplet(features + s * 1e-5 * direction, labels, 2.0) for s in (1, -1))
    assert np.sum(gradient * direction) == pytest.approx((up - down) / 2e-5, rel=1e-3)


def test_order_of_pictures_and_names_of_identities_do_not_matter():
    features, labels = random_batch(3)
    order = np.random.default_rng(4).permutation(len(labels))
    first = float(triplet(features, labels))
    assert float(triplet(features[order], labels[order])) == pytest.approx(first, rel=1e-5)
    assert float(triplet(features, 100 - labels)) == first


@pytest.mark.parametrize("labels", [[0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 2, 3]])
def test_gradient_is_finite_where_all_pictures_are_equal(labels):
    features = tf.Variable(tf.fill([4, 3], 2.0))
    with tf.GradientTape() as tape:
        cost = batch_hard_triplet(features, tf.constant(labels), 0.3)
    expected = 0.0 if len(set(labels)) == 1 else 0.3
    assert float(cost) == pytest.approx(expected, abs=1e-6)
    assert np.isfinite(tape.gradient(cost, features)).all()


def test_a_single_identity_costs_nothing():
    features = tf.Variable(random_batch(5)[0])
    with tf.GradientTape() as tape:
        cost = batch_hard_triplet(features, tf.fill([12], 7), 0.3)
    assert float(cost) == 0
    np.testing.assert_array_equal(tape.gradient(cost, features), np.zeros([12, 5]))


def test_compiled():
    features, labels = random_batch(6)
    compiled = tf.function(batch_hard_triplet)
    assert float(compiled(tf.constant(features), tf.constant(labels), 0.3)) == pytest.approx(
        float(triplet(features, labels)), rel=1e-6
    )
