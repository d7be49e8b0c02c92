"""Links between clusters of two cameras: by hand, by loops, and in blocks."""

import itertools
import tracemalloc

import numpy as np
import pytest

from arn_tf.strong import camera_links, directions
from tests.support.clusters import seen


def test_links_by_hand():
    # In the plane of two cameras: what is alike is told by the angle.
    angles = np.radians([0, 90, 180, 10, 100, 185])
    centroids = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    camera = np.array([0, 0, 0, 1, 1, 1])
    found = camera_links.links(centroids, camera)
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
    found = camera_links.links(centroids, camera)
    expected = slow_links(centroids, camera)
    assert len(found.pairs) and set(map(tuple, found.pairs.tolist())) == set(expected)
    for pair, value in zip(found.pairs.tolist(), found.prominence, strict=True):
        assert value == pytest.approx(expected[tuple(pair)])


def test_blocks_of_any_size_find_the_same_links(monkeypatch):
    centroids, camera, _ = seen(40, 3, seed=4, noise=0.15, shift=0.5)
    # Copies: of equal ones the first is the nearest, whatever the blocks are.
    centroids[[7, 45, 90]] = centroids[[6, 44, 89]]
    whole = camera_links.links(centroids, camera)
    monkeypatch.setattr(directions, "_BLOCK", 7)
    parts = camera_links.links(centroids, camera)
    np.testing.assert_array_equal(parts.pairs, whole.pairs)
    np.testing.assert_allclose(parts.prominence, whole.prominence, rtol=1e-12)
    np.testing.assert_allclose(parts.background, whole.background, rtol=1e-12)
    assert len(whole.pairs) > 20 and parts.standing_out == whole.standing_out


def test_no_matrix_of_all_clusters_is_held():
    centroids, camera, _ = seen(5000, 2, seed=0)
    tracemalloc.start()
    camera_links.links(centroids, camera)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5000 * 5000 * 8 / 2
