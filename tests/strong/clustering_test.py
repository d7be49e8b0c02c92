"""Pseudo-identities: which clusters are kept, when self-training must stop, and purity."""

import math

import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from arn_tf.ranking import reranking
from arn_tf.strong import clustering
from tests.support.small_people import people


def alternating(person: np.ndarray, cameras: int = 2) -> np.ndarray:
    return np.arange(len(person)) % cameras + 1


def counts(**changes: float) -> clustering.ClusterCounts:
    healthy = {
        "images": 1000,
        "used": 600,
        "clusters": 30,
        "largest": 45,
        "too_large": 1,
        "one_camera": 2,
        "noise": 100,
        "eps": 0.5,
    }
    return clustering.ClusterCounts(**(healthy | changes))


def test_separate_people_become_clusters():
    embeddings, person = people([10] * 12)
    labels, found = clustering.cluster(embeddings, alternating(person), k1=9)
    np.testing.assert_array_equal(labels, person)
    assert labels.dtype == np.int64
    assert found == clustering.ClusterCounts(120, 120, 12, 10, 0, 0, 0, clustering.EPS[0])
    assert found.used_share == 1 and found.largest_share == 1 / 12
    assert clustering.stop_reason(found) is None
    assert clustering.purity(labels, person + 1) == 1


def test_labels_are_numbered_by_first_appearance():
    embeddings, person = people([10] * 6)
    order = np.random.default_rng(1).permutation(len(person))
    labels, _ = clustering.cluster(embeddings[order], alternating(person), k1=9)
    firsts = [np.flatnonzero(labels == label)[0] for label in range(6)]
    assert firsts == sorted(firsts)
    assert len({(a, b) for a, b in zip(labels, person[order], strict=True)}) == 6


def test_same_clusters_as_dbscan_on_the_whole_matrix():
    random = np.random.default_rng(2)
    embeddings = random.standard_normal((20, 8)).repeat(10, axis=0)
    embeddings += 0.5 * random.standard_normal(embeddings.shape)
    graph = reranking.jaccard_distance(embeddings, radius=0.999)
    matrix = np.ones(graph.shape)
    matrix[graph.nonzero()] = graph.data[graph.data > 0]
    np.fill_diagonal(matrix, 0)
    expected = DBSCAN(eps=0.5, min_samples=4, metric="precomputed").fit(matrix).labels_
    labels, found = clustering.cluster(embeddings, np.ones(200, int), eps=0.5)
    assert found.noise == np.sum(expected == -1) > 0 and found.clusters > 5
    np.testing.assert_array_equal(labels >= 0, expected >= 0)
    pairs = {(a, b) for a, b in zip(labels, expected, strict=True)}
    assert len(pairs) == found.clusters + 1


def test_of_several_radii_the_one_with_most_clusters_is_taken():
    random = np.random.default_rng(2)
    embeddings = random.standard_normal((20, 8)).repeat(10, axis=0)
    embeddings += 0.6 * random.standard_normal(embeddings.shape)
    camera = np.arange(200) % 2
    single = [clustering.cluster(embeddings, camera, eps=eps) for eps in clustering.EPS]
    numbers = [found.clusters for _, found in single]
    assert len(set(numbers)) > 1
    labels, found = clustering.cluster(embeddings, camera)
    best = int(np.argmax(numbers))
    assert found == single[best][1] and found.eps == clustering.EPS[best]
    np.testing.assert_array_equal(labels, single[best][0])


def test_clusters_of_one_camera_are_dropped_where_there_are_more():
    embeddings, person = people([10, 10, 10])
    camera = np.where(person == 1, 1, alternating(person))
    labels, found = clustering.cluster(embeddings, camera, k1=9)
    np.testing.assert_array_equal(labels, np.repeat([0, -1, 1], 10))
    assert (found.one_camera, found.clusters, found.used, found.noise) == (1, 2, 20, 0)

    labels, found = clustering.cluster(embeddings, np.full(30, 7), k1=9)
    np.testing.assert_array_equal(labels, person)
    assert found.one_camera == 0


def test_an_unknown_camera_is_no_camera():
    embeddings, person = people([10, 10, 10])
    camera = alternating(person)
    camera[10:20] = [3] * 5 + [-1] * 5
    labels, found = clustering.cluster(embeddings, camera, k1=9)
    np.testing.assert_array_equal(labels, np.repeat([0, -1, 1], 10))
    assert found.one_camera == 1
    labels, found = clustering.cluster(embeddings, np.full(30, -1), k1=9)
    assert found.clusters == 3 and found.one_camera == 0
    camera[:] = -1
    camera[3] = 2  # one known camera is no choice either
    assert clustering.cluster(embeddings, camera, k1=9)[1].clusters == 3


@pytest.mark.parametrize(("size", "kept"), [(40, True), (41, False)])
def test_a_cluster_may_hold_forty_images(size, kept):
    embeddings, person = people([size, 10, 10])
    labels, found = clustering.cluster(embeddings, alternating(person), k1=9, eps=0.9)
    assert (labels[0] == 0) == kept
    assert found.too_large == (not kept)
    assert found.largest == (size if kept else 10)


@pytest.mark.parametrize(("size", "kept"), [(50, True), (51, False)])
def test_or_five_percent_of_many_images(size, kept):
    embeddings, person = people([size] + [10] * 95 + [1000 - 950 - size] * (size < 50), width=128)
    labels, _ = clustering.cluster(embeddings, alternating(person), k1=9, eps=0.9)
    assert (labels[0] == 0) == kept


def test_a_large_cluster_of_one_camera_counts_once():
    embeddings, person = people([60, 10])
    _, found = clustering.cluster(embeddings, np.where(person == 0, 1, 2), k1=9, eps=0.9)
    assert (found.too_large, found.one_camera, found.clusters) == (1, 1, 0)


def test_all_noise():
    embeddings = np.random.default_rng(4).standard_normal((50, 64))
    labels, found = clustering.cluster(embeddings, alternating(embeddings), k1=3)
    assert (labels == clustering.UNUSED).all()
    assert found == clustering.ClusterCounts(50, 0, 0, 0, 0, 0, 50, clustering.EPS[0])
    assert found.largest_share == 0
    assert "0 usable clusters of 50 images" in clustering.stop_reason(found)
    assert "50 images in no cluster" in clustering.stop_reason(found)
    assert math.isnan(clustering.purity(labels, np.ones(50, int)))


@pytest.mark.parametrize("images", [1, 3, 200])
def test_all_images_the_same(images):
    labels, found = clustering.cluster(np.ones((images, 8)), np.arange(images) % 2)
    assert (labels == clustering.UNUSED).all() and found.clusters == 0
    assert clustering.stop_reason(found)


def test_a_collapse_stops_without_a_traceback(monkeypatch):
    monkeypatch.setattr(reranking, "_CROWD", 10)
    labels, found = clustering.cluster(np.ones((100, 8)), np.arange(100) % 2)
    assert (labels == clustering.UNUSED).all() and found.collapsed
    assert "hardly tell images apart" in clustering.stop_reason(found)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"clusters": 8}, None),
        ({"clusters": 7}, "7 usable clusters of 1000 images, below the least of 8"),
        ({"used": 200, "largest": 40}, None),
        ({"used": 199, "largest": 30}, "hold 199 of 1000 images, below the least of 20%"),
        ({"used": 250, "largest": 50}, None),  # 20% of the used, and 5% of all
        ({"used": 250, "largest": 51}, "one cluster holds 51 of the 250 images used"),
        ({"used": 600, "largest": 120}, None),  # above 5% of all, 20% of the used
        ({"used": 600, "largest": 121}, "one cluster holds 121 of the 600 images used"),
    ],
)
def test_when_self_training_must_stop(changes, reason):
    actual = clustering.stop_reason(counts(**changes))
    assert actual is None if reason is None else reason in actual


def test_purity_by_hand():
    # Two of three in cluster 0, two of two in cluster 1, the unused do not count.
    assert clustering.purity([0, 0, 0, 1, 1, -1], np.array([5, 5, 6, 6, 6, 9])) == 4 / 5


def test_purity_where_not_everyone_is_known():
    labels = np.array([0] * 10 + [1, 1, 1])
    person = np.array([-1] * 9 + [5] + [0, 0, 7])
    # One of one in cluster 0, one of three in cluster 1: distractors are not one person.
    assert clustering.purity(labels, person) == 2 / 4
    assert clustering.purity(labels, np.where(labels == 0, person, 0)) == 1 / 4
    assert math.isnan(clustering.purity(labels, np.full(13, -1)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embeddings": np.ones(3)}, "embeddings must be real numbers"),
        ({"embeddings": np.zeros((3, 2))}, "embeddings: row 0 is all zeros"),
        ({"camera_id": [1, 2]}, "camera_id must be 3 integers"),
        ({"camera_id": [1.0, 2.0, 3.0]}, "camera_id must be 3 integers.*float64"),
        ({"eps": 1.0}, "eps must lie above 0 and below 1, not 1.0"),
        ({"eps": 0}, "eps must lie"),
        ({"min_samples": 0}, "min_samples must be an integer"),
        ({"k1": 0}, "k1 must be an integer"),
    ],
)
def test_wrong_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        clustering.cluster(**({"embeddings": np.eye(3), "camera_id": [1, 2, 3]} | changes))
