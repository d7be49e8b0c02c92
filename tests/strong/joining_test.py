"""Joined clusters of single cameras: strangers, groups."""

import numpy as np
import pytest
from sklearn.preprocessing import normalize

from arn_tf.strong import joining
from tests.support.clusters import seen


def test_persons_of_three_cameras_are_joined_though_each_camera_has_a_look_of_its_own():
    centroids, camera, person = seen(20, 3, seed=0, shift=1.5)
    # Without a correction the nearest of all is somebody of the own camera.
    similarity = centroids @ centroids.T - 2 * np.eye(len(camera))
    assert np.mean(camera[similarity.argmax(axis=1)] == camera) > 0.9
    group, found = joining.join(centroids, camera)
    np.testing.assert_array_equal(group, person)
    assert found.cameras_sharing == found.cameras_compared == 3 and not found.strangers


def test_cameras_that_share_nobody_are_strangers():
    centroids, camera, _ = seen(60, 2, seed=1, shift=0.5)
    # The second camera sees others.
    others = seen(60, 2, seed=2, shift=0.5)[0]
    apart = np.concatenate([centroids[camera == 0], others[camera == 1]])
    group, found = joining.join(apart, camera)
    assert found.strangers and found.cameras_sharing == 0 and not len(found.pairs)
    np.testing.assert_array_equal(group, np.arange(120))
    assert not joining.join(centroids, camera)[1].strangers


@pytest.mark.parametrize("seed", range(5))
def test_no_group_has_two_clusters_of_one_camera(seed):
    rng = np.random.default_rng(seed)
    centroids, camera, _ = seen(30, 4, seed, noise=0.2)
    # Some persons in two clusters of a camera, and cameras of unequal size.
    rows = np.concatenate([rng.permutation(len(camera))[:40], rng.permutation(10)])
    centroids = normalize(centroids[rows] + 0.2 * rng.normal(size=(50, 32)))
    camera = np.unique(camera[rows], return_inverse=True)[1]
    group, _ = joining.join(centroids, camera)
    pairs = np.stack([group, camera], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs) and len(np.unique(group)) < 50


@pytest.mark.parametrize("counts", [(0, 0), (1, 1), (2, 9), (1, 0)])
def test_cameras_of_few_clusters_are_not_compared(counts):
    camera = np.repeat(np.arange(len(counts)), counts)
    centroids = np.eye(16)[: len(camera)]
    group, found = joining.join(centroids, camera)
    assert group.tolist() == list(range(len(camera)))
    assert found.cameras_compared == 0 and not found.strangers
