"""A memory of clusters: by hand, and whatever the order of a batch."""

import numpy as np
import tensorflow as tf

from arn_tf.strong.cluster_memory import ClusterMemory


def test_logits_are_cosines_over_the_temperature():
    memory = ClusterMemory(np.array([[3.0, 4], [0, -2]], np.float32))
    found = memory(tf.constant([[5.0, 0], [0, 0.1]]))
    np.testing.assert_allclose(found, np.array([[0.6, 0], [0.8, -1]]) / 0.05, atol=1e-5)
    assert not memory.trainable_variables


def test_clusters_follow_their_pictures_by_hand():
    memory = ClusterMemory(np.array([[1.0, 0], [0, 1], [0.6, 0.8]], np.float32))
    # Of cluster 0 two pictures, of any length; 1 has the opposite of what it was.
    features = tf.constant([[0.0, 7], [0, -3], [0.5, 0]])
    memory.follow(features, tf.constant([0, 1, 0]))
    diagonal = np.sqrt([0.5, 0.5])
    moved = 0.1 * np.array([1, 0]) + 0.9 * diagonal
    expected = [moved / np.linalg.norm(moved), [0, -1], [0.6, 0.8]]
    np.testing.assert_allclose(memory.directions, expected, rtol=1e-5, atol=1e-6)


def test_the_order_of_a_batch_decides_nothing():
    rng = np.random.default_rng(0)
    centroids = rng.normal(size=(4, 8)).astype(np.float32)
    features, labels = rng.normal(size=(24, 8)).astype(np.float32), np.arange(24) % 3
    found = []
    for order in (np.arange(24), rng.permutation(24)):
        memory = ClusterMemory(centroids)
        memory.follow(tf.constant(features[order]), tf.constant(labels[order]))
        found.append(memory.directions.numpy())
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)
    before = ClusterMemory(centroids).directions
    np.testing.assert_allclose(found[0][3], before[3], rtol=1e-6)
    assert np.abs(found[0] - before)[:3].max(axis=1).min() > 0.1


def test_pictures_that_cancel_leave_a_cluster_where_it_is():
    memory = ClusterMemory(np.array([[0.6, 0.8], [1, 0]], np.float32))
    memory.follow(tf.constant([[1.0, 0], [-1, 0]]), tf.constant([0, 0]))
    np.testing.assert_allclose(memory.directions, [[0.6, 0.8], [1, 0]], rtol=1e-6)
