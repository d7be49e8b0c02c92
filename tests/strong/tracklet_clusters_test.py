"""Clusters of tracklets: what they bind and separate, and that without them nothing changes."""

import numpy as np
import pytest

from arn_tf.ranking import reranking
from arn_tf.strong import clustering
from tests.support.small_people import people


def tracked(
    persons: int, length: int, noise: float = 0.02
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns embeddings, persons, cameras 1 and 2, and a tracklet for each of both."""
    embeddings, person = people([2 * length] * persons, noise=noise)
    camera = np.tile(np.repeat([1, 2], length), persons)
    return embeddings, person, camera, np.repeat(np.arange(2 * persons), length)


def test_a_tracklet_binds_what_looks_unlike():
    embeddings, person, camera, tracklet = tracked(12, 4)
    # A picture of each of the first eight tracklets looks like the next person.
    odd = np.arange(0, 32, 4)
    embeddings[odd] = np.roll(np.eye(64), -1, axis=0)[person[odd]]
    alone, _ = clustering.cluster(embeddings, camera)
    assert np.all(alone[odd] != alone[odd + 1])
    labels, found = clustering.cluster(embeddings, camera, tracklet=tracklet)
    np.testing.assert_array_equal(labels, person)
    assert labels.dtype == np.int64
    assert (found.clusters, found.used, found.largest, found.noise) == (12, 96, 8, 0)
    assert (found.images, found.tracklets) == (96, 24)
    assert (found.forbidden_pairs, found.divided) == (0, 0)


def slow(embeddings, tracklet, eps, min_samples, k1, k2) -> np.ndarray:
    """Units by loops, and DBSCAN on the whole matrix; labels of all clusters, in any order."""
    count = len(embeddings)
    key = [f"t{t}" if t >= 0 else f"p{row}" for row, t in enumerate(tracklet)]
    names = list(dict.fromkeys(key))
    rows = [[row for row in range(count) if key[row] == name] for name in names]
    directions = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    means = np.stack([directions[each].mean(axis=0) for each in rows])
    graph = reranking.jaccard_distance(means, k1=k1, k2=k2, radius=0.999).tocoo()
    matrix = np.ones(graph.shape)
    matrix[graph.row, graph.col] = graph.data
    near = matrix <= eps
    core = [sum(len(rows[j]) for j in np.flatnonzero(each)) >= min_samples for each in near]
    labels = np.full(len(names), -1)
    for unit in range(len(names)):
        if not core[unit] or labels[unit] >= 0:
            continue
        label, reached = labels.max() + 1, [unit]
        while reached:
            one = reached.pop()
            if labels[one] < 0:
                labels[one] = label
                reached += np.flatnonzero(near[one]).tolist() if core[one] else []
    return np.array([labels[names.index(name)] for name in key])


def test_against_slow_units():
    random = np.random.default_rng(3)
    embeddings = random.standard_normal((30, 8)).repeat(12, axis=0)
    embeddings += 0.7 * random.standard_normal(embeddings.shape)
    # Of each person a tracklet of five, of three, of one, and three pictures without.
    part = np.tile([0, 0, 0, 0, 0, 1, 1, 1, 2, -1, -1, -1], 30)
    tracklet = np.where(part < 0, -1, part + 3 * np.repeat(np.arange(30), 12))
    order = random.permutation(360)
    embeddings, tracklet = embeddings[order], tracklet[order]
    # 180 units of 360 pictures: half as many of 20 and of 6.
    expected = slow(embeddings, tracklet, 0.4, 4, 10, 3)
    labels, found = clustering.cluster(embeddings, np.ones(360, int), tracklet=tracklet, eps=0.4)
    assert found.clusters == len(np.unique(expected[expected >= 0])) > 10
    assert found.noise == np.sum(expected < 0) > 0
    np.testing.assert_array_equal(labels >= 0, expected >= 0)
    pairs = set(zip(labels.tolist(), expected.tolist(), strict=True))
    assert len(pairs) == found.clusters + 1
    firsts = [np.flatnonzero(labels == label)[0] for label in range(found.clusters)]
    assert firsts == sorted(firsts)
    assert found.tracklets == len(np.unique(tracklet[(labels >= 0) & (tracklet >= 0)]))


@pytest.mark.parametrize("time", [None, np.arange(200.0)])
def test_without_tracklets_nothing_changes(time):
    random = np.random.default_rng(2)
    embeddings = random.standard_normal((20, 8)).repeat(10, axis=0)
    embeddings += 0.6 * random.standard_normal(embeddings.shape)
    camera = np.arange(200) % 3
    expected, counts = clustering.cluster(embeddings, camera)
    assert counts.used > 100
    # As slowly as before there were any.
    slowly = slow(embeddings, np.full(200, -1), counts.eps, 4, 20, 6)
    used = expected >= 0
    pairs = set(zip(expected[used].tolist(), slowly[used].tolist(), strict=True))
    assert len(pairs) == counts.clusters
    for tracklet in (None, np.full(200, -1)):
        labels, found = clustering.cluster(embeddings, camera, tracklet=tracklet, time=time)
        np.testing.assert_array_equal(labels, expected)
        assert found == counts


def test_tracklets_of_one_picture_bind_nothing():
    random = np.random.default_rng(2)
    embeddings = random.standard_normal((20, 8)).repeat(10, axis=0)
    embeddings += 0.6 * random.standard_normal(embeddings.shape)
    camera = np.arange(200) % 3
    expected, _ = clustering.cluster(embeddings, camera)
    labels, found = clustering.cluster(embeddings, camera, tracklet=random.permutation(200))
    np.testing.assert_array_equal(labels, expected)
    assert found.tracklets == found.used


def test_two_at_the_same_time_are_two():
    embeddings, person, camera, tracklet = tracked(12, 4)
    # The first two look the same.
    embeddings[person == 1] = embeddings[person == 0]
    time = np.full(96, np.nan)
    alone, _ = clustering.cluster(embeddings, camera, tracklet=tracklet, time=time)
    assert len(np.unique(alone[:16])) == 1
    # In camera 1, where tracklets 0 and 2 are theirs.
    time[tracklet == 0], time[tracklet == 2] = np.arange(4), np.arange(4) + 2
    labels, found = clustering.cluster(embeddings, camera, tracklet=tracklet, time=time)
    assert len(np.unique(labels[:16])) == 2
    assert np.all(labels[tracklet == 0] != labels[tracklet == 2][0])
    np.testing.assert_array_equal(labels[16:] - labels[16:].min(), person[16:] - 2)
    assert (found.forbidden_pairs, found.divided) == (1, 1)
    # One after the other they may be one.
    time[tracklet == 2] += 5
    labels, found = clustering.cluster(embeddings, camera, tracklet=tracklet, time=time)
    np.testing.assert_array_equal(labels, alone)
    assert (found.forbidden_pairs, found.divided) == (0, 0)


@pytest.mark.parametrize("eps", [0.5, 0.6, 0.7])
def test_no_cluster_holds_a_forbidden_pair(eps):
    random = np.random.default_rng(5)
    embeddings = random.standard_normal((240, 6))
    tracklet = np.repeat(np.arange(80), 3)
    camera = tracklet % 4
    time = (random.uniform(0, 40, 80)[:, None] + [0, 3, 6]).ravel()
    labels, found = clustering.cluster(embeddings, camera, tracklet=tracklet, time=time, eps=eps)
    assert found.divided > 0 and found.clusters > 3
    first = np.arange(0, 240, 3)
    together = labels[first][:, None] == labels[first]
    overlap = np.abs(time[first][:, None] - time[first]) < 6
    forbidden = overlap & (camera[first][:, None] == camera[first]) & (labels[first] >= 0)
    np.fill_diagonal(forbidden, False)
    assert not np.any(forbidden & together)
    assert np.all(labels.reshape(-1, 3) == labels[first][:, None])


def test_one_tracklet_over_everything():
    embeddings = np.random.default_rng(0).standard_normal((50, 8))
    labels, found = clustering.cluster(
        embeddings, np.ones(50, int), tracklet=np.zeros(50, int), time=np.arange(50)
    )
    assert (labels == 0).all()
    assert (found.clusters, found.largest, found.tracklets) == (1, 50, 1)
    assert "1 usable clusters of 50 images" in clustering.stop_reason(found)


def test_all_tracklets_of_one_camera():
    embeddings, _, _, tracklet = tracked(10, 4)
    labels, found = clustering.cluster(embeddings, np.full(80, 3), tracklet=tracklet)
    assert found.noise == found.one_camera == 0 and found.used == 80
    # A second camera, whose pictures are of another person and have no tracklet.
    embeddings, person = people([8] * 11)
    camera, tracklet = np.where(person < 10, 3, 4), np.append(tracklet, np.full(8, -1))
    labels, found = clustering.cluster(embeddings, camera, tracklet=tracklet)
    assert (labels == clustering.UNUSED).all() and found.clusters == 0
    assert found.one_camera > 10 and found.noise == 0


def test_tracklets_beside_pictures_without():
    embeddings, person, camera, tracklet = tracked(12, 4)
    # Camera 2 has no tracker.
    tracklet[camera == 2] = -1
    labels, found = clustering.cluster(embeddings, camera, tracklet=tracklet)
    np.testing.assert_array_equal(labels, person)
    assert (found.tracklets, found.used) == (12, 96)


@pytest.mark.parametrize(("units", "kept"), [(40, True), (41, False)])
def test_a_cluster_may_hold_forty_tracklets(units, kept):
    # 41 are above 5% of 290 tracklets, though not of 870 pictures.
    embeddings, person = people([3 * units] + [30] * 25, noise=0.001)
    tracklet = np.arange(len(person)) // 3
    camera = tracklet % 2 + 1
    labels, found = clustering.cluster(embeddings, camera, tracklet=tracklet, k1=27, eps=0.9)
    assert (labels[0] == 0) == kept
    assert found.too_large == (not kept)
    assert found.largest == (3 * units if kept else 30)
