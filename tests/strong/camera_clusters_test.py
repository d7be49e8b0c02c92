"""Clusters of single cameras and what joins them; which clustering the target is trained on."""

import math

import numpy as np
import pytest
from sklearn.preprocessing import normalize

from arn_tf.strong import camera_clusters, camera_links, clustering, target_clusters, tracklets
from tests.support.small_people import filmed


def pair_precision(labels, person, camera) -> float:
    used = labels >= 0
    same = labels[used][:, None] == labels[used]
    across = camera[used][:, None] != camera[used]
    right = person[used][:, None] == person[used]
    return (same & across & right).sum() / (same & across).sum()


def test_each_camera_is_clustered_as_if_there_were_no_other():
    embeddings, _, camera = filmed(12, look=0.4)
    order = np.random.default_rng(0).permutation(len(camera))
    embeddings, camera = embeddings[order], camera[order]
    labels, divided = camera_clusters.in_cameras(embeddings, tracklets.units(camera))
    assert divided == 0
    for one in range(2):
        rows = camera == one
        alone, _ = camera_clusters.in_cameras(embeddings[rows], tracklets.units(camera[rows]))
        pairs = np.unique([labels[rows], alone], axis=1)
        assert len(pairs[0]) == len(np.unique(alone)) == len(np.unique(labels[rows]))
    cameras_of = {label: set(camera[labels == label]) for label in range(labels.max() + 1)}
    assert all(len(each) == 1 for each in cameras_of.values())


def test_an_unknown_camera_and_a_camera_of_two_pictures_have_no_clusters():
    embeddings, _, camera = filmed(8)
    camera[:4] = -1
    camera[4:6] = 7
    labels, _ = camera_clusters.in_cameras(embeddings, tracklets.units(camera))
    assert (labels[:6] == -1).all() and (labels[6:] >= 0).any()


def test_cameras_of_one_look_are_clustered_together():
    embeddings, person, camera = filmed(30, look=0.0)
    found = target_clusters.find(embeddings, camera)
    labels, counts = clustering.cluster(embeddings, camera)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.counts == counts and not found.joined and found.stop_reason is None
    assert found.conflicts < 0.05 and clustering.purity(labels, person + 1) == 1
    assert found.cameras_compared == found.cameras_sharing == 1


def test_cameras_of_different_looks_are_clustered_alone_and_joined():
    embeddings, person, camera = filmed(60, look=1.2)
    labels, _ = clustering.cluster(embeddings, camera)
    found = target_clusters.find(embeddings, camera)
    assert found.joined and found.conflicts > 0.25 and found.stop_reason is None
    before, after = (pair_precision(each, person, camera) for each in (labels, found.labels))
    assert after > 0.8 > before
    assert found.counts.used == np.count_nonzero(found.labels >= 0)
    assert found.counts.clusters == found.labels.max() + 1
    # Numbered by their first pictures, as all clusters are.
    firsts = [np.flatnonzero(found.labels == label)[0] for label in range(found.counts.clusters)]
    assert firsts == sorted(firsts)


def test_joined_clusters_that_find_fewer_persons_are_left():
    embeddings, _, camera = filmed(40, cameras=5, look=1.5, noise=0.15)
    found = target_clusters.find(embeddings, camera)
    labels, counts = clustering.cluster(embeddings, camera)
    assert found.conflicts > 0.25 and not found.joined and found.counts == counts
    np.testing.assert_array_equal(found.labels, labels)
    units = tracklets.units(camera)
    own, _ = camera_clusters.in_cameras(embeddings, units)
    _, joined_counts, _ = camera_clusters.joined(embeddings, units, own)
    assert clustering.stop_reason(joined_counts) is None
    assert joined_counts.clusters < counts.clusters


def test_cameras_that_share_nobody_stop_training():
    embeddings, person, camera = filmed(120, pictures=8, look=0.5)
    apart = (person < 60) == (camera == 0)
    found = target_clusters.find(embeddings[apart], camera[apart])
    assert "no two cameras seem to share persons" in found.stop_reason
    assert found.cameras_sharing == 0 and found.cameras_compared == 1


def test_many_parts_of_a_person_in_a_camera_are_no_alarm():
    # Each person in several clusters of a camera, which pass for strangers who are much alike.
    embeddings, person, camera = filmed(25, pictures=12, noise=0.05)
    rng = np.random.default_rng(3)
    part = rng.integers(0, 3, len(person))
    embeddings += 0.25 * normalize(rng.normal(size=(3, 48)))[part]
    found = target_clusters.find(embeddings, camera)
    assert found.stop_reason is None


def test_tracklets_at_the_same_time_stay_apart():
    embeddings, person, camera = filmed(10, pictures=6, noise=0.02)
    # In each camera a person's pictures are two tracklets.
    half = np.arange(len(person)) % 6 // 3
    tracklet = (person * 2 + camera) * 2 + half
    time = np.where(half, 0.0, 0.5) + np.arange(len(person)) % 3
    units = tracklets.units(camera, tracklet, time)
    labels, divided = camera_clusters.in_cameras(embeddings, units)
    assert divided > 0
    own = labels[units.of_picture]
    for one in np.unique(camera):
        for who in range(10):
            rows = (camera == one) & (person == who)
            parts = [set(own[rows & (half == each)]) - {-1} for each in (0, 1)]
            assert not parts[0] & parts[1]
    joined = target_clusters.find(embeddings, camera, tracklet, time)
    assert joined.stop_reason is None


def test_conflicts_by_hand():
    labels = np.array([0, 0, 0, 0, 0, 1, 1, -1, 0])
    camera = np.array([1, 1, 1, 2, 2, 1, 1, 1, -1])
    own = np.array([0, 0, 1, 2, 2, 3, -1, 3, -1])
    # Pairs of one camera in cluster 0: three of camera 1, one together; one of camera 2, together.
    assert target_clusters.conflicts(labels, own, camera) == pytest.approx(0.5)
    assert math.isnan(target_clusters.conflicts(labels, np.full(9, -1), camera))


@pytest.mark.parametrize("camera", [-1, 3])
def test_one_camera_or_none_is_clustered_as_a_whole(camera):
    embeddings, _, _ = filmed(12)
    found = target_clusters.find(embeddings, np.full(len(embeddings), camera))
    labels, counts = clustering.cluster(embeddings, np.full(len(embeddings), camera))
    np.testing.assert_array_equal(found.labels, labels)
    assert found.counts == counts and math.isnan(found.conflicts) and not found.joined


def test_embeddings_that_are_all_the_same_are_told():
    found = target_clusters.find(np.ones((2000, 4)), np.arange(2000) % 2)
    assert found.counts.collapsed and "hardly tell images apart" in found.stop_reason


def counts(clusters: int = 20, used: int = 200, one_camera: int = 0) -> clustering.ClusterCounts:
    return clustering.ClusterCounts(400, used, clusters, 10, 0, one_camera, 0, 0.5)


@pytest.mark.parametrize(
    ("together", "joined", "conflicts", "takes_joined"),
    [
        (counts(20), counts(30), 0.26, True),
        # Too few conflicts, not known how many, not the more, or of no use.
        (counts(20), counts(30), 0.25, False),
        (counts(20), counts(30), math.nan, False),
        (counts(20), counts(20), 0.9, False),
        (counts(20), counts(30, used=79), 0.9, False),
    ],
)
def test_which_clusters_are_taken(monkeypatch, together, joined, conflicts, takes_joined):
    links = camera_links.Links(
        np.zeros((0, 2), int), np.zeros(0), 50, 40, 1, 1, background=np.zeros((2, 2))
    )
    found = choose(monkeypatch, together, joined, conflicts, links)
    assert found.joined == takes_joined
    assert found.counts == (joined if takes_joined else together)
    assert (found.labels[0] == 1) == takes_joined and found.stop_reason is None


@pytest.mark.parametrize(
    ("one_camera", "standing_out", "stops"),
    [(81, 10, True), (80, 10, False), (81, 40, False)],
    ids=["both", "a fifth of the clusters have two cameras", "most links stand out"],
)
def test_when_cameras_seem_to_share_nobody(monkeypatch, one_camera, standing_out, stops):
    links = camera_links.Links(
        np.zeros((0, 2), int), np.zeros(0), 50, standing_out, 1, 1, background=np.zeros((2, 2))
    )
    found = choose(monkeypatch, counts(20, one_camera=one_camera), counts(5), 0.0, links)
    assert ("no two cameras seem to share" in (found.stop_reason or "")) == stops


def choose(
    monkeypatch: pytest.MonkeyPatch,
    together: clustering.ClusterCounts,
    joined: clustering.ClusterCounts,
    conflicts: float,
    links: camera_links.Links,
) -> target_clusters.TargetClusters:
    """What `target_clusters.find` makes of such clusters: labels are 0 together and 1 joined."""
    labels, camera = np.zeros(400, int), np.arange(400) % 2
    monkeypatch.setattr(clustering, "cluster", lambda *_, **__: (labels, together))
    monkeypatch.setattr(camera_clusters, "in_cameras", lambda *_: (labels, 0))
    monkeypatch.setattr(camera_clusters, "joined", lambda *_: (labels + 1, joined, links))
    monkeypatch.setattr(target_clusters, "conflicts", lambda *_: conflicts)
    return target_clusters.find(np.ones((400, 4)), camera)
