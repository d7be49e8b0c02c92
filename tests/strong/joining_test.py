"""Joined clusters of single cameras: links by hand and by loops, strangers, groups."""

import itertools

import numpy as np
import pytest
from sklearn.preprocessing import normalize

from arn_tf.strong import joining


def seen(
    persons: int, cameras: int, seed: int, noise: float = 0.05, shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a unit centroid of each person in each camera, its camera and its person.

    Persons of a camera move together: by `shift` along a direction of the camera's.
    """
    rng = np.random.default_rng(seed)
    look = normalize(rng.normal(size=(persons, 32)))
    moved = normalize(rng.normal(size=(cameras, 32))) * shift
    camera, person = np.divmod(np.arange(persons * cameras), persons)
    centroids = look[person] + moved[camera] + noise * rng.normal(size=(len(person), 32))
    return normalize(centroids), camera, person


def test_links_by_hand():
    # In the plane of two cameras: what is alike is told by the angle.
    angles = np.radians([0, 90, 180, 10, 100, 185])
    centroids = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    camera = np.array([0, 0, 0, 1, 1, 1])
    found = joining.links(centroids, camera)
    assert sorted(found.pairs.tolist()) == [[0, 3], [1, 4], [2, 5]]
    cosine = np.cos(np.radians([[10, 100, 185], [80, 10, 95], [170, 80, 5]]))
    np.testing.assert_allclose(found.background[:3, 1], cosine.mean(axis=1))
    np.testing.assert_allclose(found.background[3:, 0], cosine.mean(axis=0))
    assert np.isnan(found.background[:3, 0]).all()
    by_pair = dict(zip(map(tuple, found.pairs.tolist()), found.prominence, strict=True))
    expected = cosine[0, 0] - (cosine[0].mean() + cosine[:, 0].mean()) / 2
    assert by_pair[0, 3] == pytest.approx(expected)
    assert (found.compared, found.cameras_compared, found.cameras_sharing) == (3, 1, 1)
    assert np.all(np.diff(found.prominence) <= 0)


def slow_links(centroids, camera) -> dict[tuple[int, int], float]:
    """Links of all pairs of cameras and their prominence, by loops."""

    def background(one, of_camera):
        others = [k for k in range(len(camera)) if camera[k] == of_camera and k != one]
        return np.mean(sorted(float(centroids[one] @ centroids[k]) for k in others)[-5:])

    def prominence(one, other):
        both = background(one, camera[other]) + background(other, camera[one])
        return float(centroids[one] @ centroids[other]) - both / 2

    def nearest(one, of_camera):
        others = [k for k in range(len(camera)) if camera[k] == of_camera and k != one]
        return max(
            others,
            key=lambda k: centroids[one] @ centroids[k] - background(k, camera[one]),
        )

    def most_alike(one):
        others = [k for k in range(len(camera)) if camera[k] == camera[one] and k != one]
        return max(others, key=lambda k: centroids[one] @ centroids[k])

    strangers = [prominence(one, most_alike(one)) for one in range(len(camera))]
    low, high = np.quantile(strangers, [0.25, 0.75])
    links = {}
    for a, b in itertools.combinations(sorted(set(camera.tolist())), 2):
        mutual = [
            (one, nearest(one, b))
            for one in np.flatnonzero(camera == a)
            if nearest(nearest(one, b), a) == one
        ]
        above = sum(prominence(*pair) > high for pair in mutual)
        if above > 0.25 * len(mutual) + np.sqrt(0.25 * 0.75 * len(mutual)):
            links |= {pair: prominence(*pair) for pair in mutual if prominence(*pair) > low}
    return links


@pytest.mark.parametrize("seed", range(3))
def test_links_are_those_of_loops(seed):
    centroids, camera, _ = seen(12, 3, seed, noise=0.15, shift=0.5)
    order = np.random.default_rng(seed).permutation(len(camera))
    centroids, camera = centroids[order], camera[order]
    found = joining.links(centroids, camera)
    expected = slow_links(centroids, camera)
    assert len(found.pairs) and set(map(tuple, found.pairs.tolist())) == set(expected)
    for pair, value in zip(found.pairs.tolist(), found.prominence, strict=True):
        assert value == pytest.approx(expected[tuple(pair)])


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
