"""Inter-camera proxies: means by hand, the loss by hand and by loops, its gradient."""

import numpy as np
import pytest
import tensorflow as tf

from arn_tf.strong import inter_camera


def test_proxies_by_hand():
    embeddings = np.array([[1, 0], [0, 1], [0, 1], [1, 0], [0.6, 0.8], [1, 0]])
    labels = np.array([0, 0, 0, 1, -1, 0])
    camera = np.array([0, 0, 1, 1, 0, -1])
    found = inter_camera.of_clusters(embeddings, labels, camera)
    assert found.cluster.tolist() == [0, 0, 1] and found.camera.tolist() == [0, 1, 1]
    half = np.sqrt(0.5)
    np.testing.assert_allclose(found.directions, [[half, half], [0, 1], [1, 0]], rtol=1e-6)
    assert found.directions.dtype == np.float32


def test_a_cluster_that_looks_both_ways_has_a_proxy_without_direction():
    found = inter_camera.of_clusters(
        np.array([[1.0, 0], [-1, 0]]), np.zeros(2, int), np.zeros(2, int)
    )
    assert np.isfinite(found.directions).all()


def loss(codes, labels, camera, found) -> float:
    similarities = tf.matmul(tf.constant(codes, tf.float32), found.directions, transpose_b=True)
    return inter_camera.loss(
        similarities, tf.constant(labels, tf.int32), tf.constant(camera, tf.int32), found
    )


def test_loss_by_hand():
    found = inter_camera.Proxies(
        np.array([[1, 0], [0, 1], [0.8, 0.6]], np.float32),
        np.array([0, 0, 1], np.int32),
        np.array([0, 1, 0], np.int32),
    )
    # Of cluster 0 in camera 0: its proxy in camera 1 against the one of cluster 1. Its own proxy in
    # camera 0 is neither. Cluster 1 has no other camera, so its picture is left out.
    expected = -np.log(1 / (1 + np.exp((0.8 - 0) / 0.07)))
    value = loss([[1, 0], [0.8, 0.6]], [0, 1], [0, 0], found)
    assert float(value) == pytest.approx(expected, rel=1e-6)
    assert float(loss([[0.8, 0.6]], [1], [0], found)) == 0


def slow_loss(codes, labels, camera, found) -> float:
    values = []
    for code, label, own in zip(codes, labels, camera, strict=True):
        positive, negative = [], []
        for direction, cluster, of_camera in zip(
            found.directions, found.cluster, found.camera, strict=True
        ):
            similarity = float(code @ direction) / 0.07
            if cluster != label:
                negative.append(similarity)
            elif of_camera != own:
                positive.append(similarity)
        if positive:
            all_of_them = np.exp(positive).sum() + np.exp(sorted(negative)[-50:]).sum()
            values.append(-np.mean([np.log(np.exp(s) / all_of_them) for s in positive]))
    return float(np.mean(values))


@pytest.mark.parametrize("clusters", [3, 90])
def test_loss_and_gradient_are_those_of_loops(clusters):
    rng = np.random.default_rng(clusters)
    labels, camera = rng.integers(0, clusters, 400), rng.integers(0, 3, 400)
    embeddings = rng.normal(size=(400, 8))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = inter_camera.of_clusters(embeddings, labels, camera)
    codes = tf.constant(embeddings[:16], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(codes)
        value = loss(codes, labels[:16], camera[:16], found)
    expected = slow_loss(embeddings[:16], labels[:16], camera[:16], found)
    assert float(value) == pytest.approx(expected, rel=1e-4)
    gradient = tape.gradient(value, codes).numpy()
    moved = embeddings[:16].copy()
    for place in ((0, 0), (3, 5), (15, 7)):
        moved[place] += 1e-4
        up = slow_loss(moved, labels[:16], camera[:16], found)
        moved[place] -= 2e-4
        down = slow_loss(moved, labels[:16], camera[:16], found)
        moved[place] += 1e-4
        assert gradient[place] == pytest.approx((up - down) / 2e-4, rel=2e-2, abs=1e-4)
