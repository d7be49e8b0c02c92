"""Self-training: which pictures make a batch, and how they are changed."""

from typing import Any

import numpy as np
import pytest

from arn_tf.strong.target_batches import PairSampler
from tests.support.small_domains import SIZE, both_domains, taken

# What is erased, and what padding brings in.
GREY = 127.5


def clusters(
    seed: int = 0, count: int = 300, labels: int = 10, cameras: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels -1 to 9 and cameras; camera 3 sees clusters 0 and 1 only."""
    rng = np.random.default_rng(seed)
    label, camera = rng.integers(-1, labels, count), rng.integers(0, cameras, count)
    label[(camera == 3) & (label > 1)] = -1
    return label, camera


def drawn(sampler: PairSampler, steps: int = 200) -> np.ndarray:
    return np.stack([sampler.step(step) for step in range(steps)])


# Pairs of cameras.


def test_a_batch_holds_two_cameras_and_the_same_cluster_at_the_same_place():
    labels, camera_id = clusters()
    rows = drawn(PairSampler(labels, camera_id, 16, 0))
    assert rows.shape == (200, 2, 8)
    assert rows.dtype == np.int64
    for first, second in rows:
        np.testing.assert_array_equal(labels[first], labels[second])
        assert np.all(labels[first] >= 0)
        [one], [other] = np.unique(camera_id[first]), np.unique(camera_id[second])
        assert one != other


def test_only_clusters_that_both_cameras_have_seen():
    """Three cameras; cluster 0 is seen by 0 and 1, cluster 1 by 1 and 2, cluster 2 by 2 alone."""
    camera_id = np.array([0, 1, 1, 2, 2, 0, 2])
    labels = np.array([0, 0, 1, 1, 2, -1, -1])
    rows = drawn(PairSampler(labels, camera_id, 4, 0), 60)
    seen = {tuple(map(tuple, pair)) for pair in rows}
    assert seen == {((0, 0), (1, 1)), ((2, 2), (3, 3))}


def test_a_batch_has_up_to_eight_clusters_evenly():
    labels, camera_id = clusters(labels=20, count=2000, cameras=2)
    for first, _ in drawn(PairSampler(labels, camera_id, 32, 0), 40):
        found, times = np.unique(labels[first], return_counts=True)
        assert len(found) == 8
        assert set(times) == {2}
    # Three clusters fill a half of eight.
    few = np.where(labels < 3, labels, -1)
    for first, _ in drawn(PairSampler(few, camera_id, 16, 0), 40):
        assert sorted(np.unique(few[first], return_counts=True)[1]) == [2, 3, 3]


def test_every_usable_picture_comes_up_and_pairs_by_what_they_share():
    labels, camera_id = clusters()
    rows = drawn(PairSampler(labels, camera_id, 16, 0), 1500)
    np.testing.assert_array_equal(np.unique(rows), np.flatnonzero(labels >= 0))
    # Camera 3 shares 2 clusters with each of three, the others 10 with each other: 6 of 36.
    share = np.mean(camera_id[rows[:, 1, 0]] == 3)
    assert share == pytest.approx(6 / 36, abs=0.04)


def test_a_target_of_one_camera():
    labels, _ = clusters()
    rows = drawn(PairSampler(labels, np.full(300, 5), 16, 0))
    np.testing.assert_array_equal(labels[rows[:, 0]], labels[rows[:, 1]])
    assert np.all(labels[rows] >= 0)
    assert np.mean(rows[:, 0] != rows[:, 1]) > 0.9


def test_a_target_with_one_camera_that_is_known_is_drawn_from_as_a_whole():
    labels, _ = clusters()
    camera_id = np.full(300, -1)
    camera_id[labels == 4] = 7
    rows = drawn(PairSampler(labels, camera_id, 16, 0), 1500)
    np.testing.assert_array_equal(np.unique(rows), np.flatnonzero(labels >= 0))
    np.testing.assert_array_equal(labels[rows[:, 0]], labels[rows[:, 1]])


def test_beside_two_cameras_pictures_of_none_are_left():
    labels, camera_id = clusters(cameras=3)
    camera_id[::3] = -1
    rows = drawn(PairSampler(labels, camera_id, 16, 0), 1500)
    np.testing.assert_array_equal(np.unique(rows), np.flatnonzero((labels >= 0) & (camera_id >= 0)))


def test_batches_follow_from_seed_and_step():
    labels, camera_id = clusters()
    first = PairSampler(labels, camera_id, 16, 3)
    again = PairSampler(labels.copy(), camera_id.copy(), 16, 3)
    for step in (7, 0, 7, 100):
        np.testing.assert_array_equal(first.step(step), again.step(step))
    assert np.any(first.step(7) != first.step(8))
    assert np.any(first.step(7) != PairSampler(labels, camera_id, 16, 4).step(7))


# Tracklets.


def before_tracklets(labels: np.ndarray, camera_id: np.ndarray, step: int) -> np.ndarray:
    """The draws of seed 3 for 16 pictures of two cameras, every picture of a cluster alike."""
    rng = np.random.default_rng([3, step])
    shared = [c for c in dict.fromkeys(labels.tolist()) if c >= 0]
    shared = [c for c in shared if all(((labels == c) & (camera_id == k)).any() for k in (0, 1))]
    rng.choice(1, p=[1.0])
    firsts = [c for c in dict.fromkeys(labels[(labels >= 0) & (camera_id == 0)].tolist())]
    clusters = np.resize(rng.permutation([c for c in firsts if c in shared])[:8], 8)
    return np.array(
        [
            [rng.choice(np.flatnonzero((labels == c) & (camera_id == k))) for c in clusters]
            for k in (0, 1)
        ]
    )


def test_without_tracklets_the_draws_stay():
    labels, camera_id = clusters(cameras=2)
    for tracklet in (None, np.full(300, -1)):
        sampler = PairSampler(labels, camera_id, 16, 3, tracklet)
        for step in range(30):
            expected = before_tracklets(labels, camera_id, step)
            np.testing.assert_array_equal(sampler.step(step), expected)


def test_a_long_tracklet_counts_as_a_short_one():
    """Of a cluster in camera 0: a tracklet of 90 pictures, one of 8, and 2 pictures without."""
    camera_id = np.repeat([0, 1], [100, 10])
    tracklet = np.repeat([7, 3, -1, 4], [90, 8, 2, 10])
    rows = drawn(PairSampler(np.zeros(110, int), camera_id, 16, 0, tracklet), 600)
    share = np.bincount(rows[:, 0].ravel(), minlength=110) / rows[:, 0].size
    assert share[:90].sum() == pytest.approx(1 / 4, abs=0.03)
    assert share[90:98].sum() == pytest.approx(1 / 4, abs=0.03)
    assert share[98:100] == pytest.approx(1 / 4, abs=0.03)
    # Within a tracklet, all alike.
    assert np.all(share[:90] > 0)
    assert share[90:98] == pytest.approx(1 / 32, abs=0.01)
    second = np.bincount(rows[:, 1].ravel(), minlength=110)[100:] / rows[:, 1].size
    assert second == pytest.approx(1 / 10, abs=0.02)


def test_a_tracklet_of_another_cluster_or_camera_counts_for_itself():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, -1])
    camera_id = np.array([0, 0, 0, 1, 0, 0, 1, 0])
    tracklet = np.array([5, 5, 6, 8, -1, -1, 8, 5])
    rows = drawn(PairSampler(labels, camera_id, 8, 1, tracklet), 400)
    share = np.bincount(rows[:, 0].ravel(), minlength=8) / rows[:, 0].size
    assert share == pytest.approx([1 / 8, 1 / 8, 1 / 4, 0, 1 / 4, 1 / 4, 0, 0], abs=0.03)


# Batches.


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return both_domains()


def test_batches_hold_both_domains(data):
    found = taken(data, 5, 2)
    assert len(found) == 5
    per_epoch = data["source_sampler"].steps_per_epoch
    assert per_epoch == 3
    for step, batch in enumerate(found, start=2):
        assert batch["source_images"].shape == (8, *SIZE, 3)
        assert batch["first_images"].shape == batch["second_images"].shape == (4, *SIZE, 3)
        rows = data["source_sampler"].epoch(step // per_epoch).source_rows[step % per_epoch]
        np.testing.assert_array_equal(batch["source_labels"], data["source_sampler"].labels[rows])
        first, second = data["target_sampler"].step(step)
        np.testing.assert_array_equal(batch["target_labels"], data["target_sampler"].labels[first])
        cameras = [batch[f"{each}_cameras"] for each in ("first", "second")]
        np.testing.assert_array_equal(cameras, np.repeat([[0], [1]], 4, axis=1))
        for images, pictures in (
            (batch["source_images"], data["source"][rows]),
            (batch["first_images"], data["target"][first]),
            (batch["second_images"], data["target"][second]),
        ):
            # Changed at random, but it is these pictures: by mean colour of what isn't erased.
            kept = [image[~(image == GREY).all(axis=-1)].mean(axis=0) for image in images]
            expected = pictures.astype("f4").mean(axis=(1, 2))
            assert np.abs(kept - expected).max() < 0.5 * expected.max()
            direction = np.corrcoef(np.ravel(kept), expected.ravel())[0, 1]
            assert direction > 0.7
            assert images.min() >= 0
            assert images.max() <= 255


def test_half_of_the_target_loses_a_part_and_the_source_none(data):
    """The centre of a picture, which no padding reaches."""
    lost = {}
    for batch in taken(data, 100, 0):
        for name in ("source", "first", "second"):
            grey = (batch[f"{name}_images"][:, 8:-8, 8:-8] == GREY).all(axis=-1)
            lost.setdefault(name, []).extend(grey.any(axis=(1, 2)))
    assert not any(lost["source"])
    # 400 pictures each, half of them drawn, of which a few lose a part near the edge only.
    for name in ("first", "second"):
        assert 0.4 < np.mean(lost[name]) < 0.58
    assert lost["first"] != lost["second"]


def test_batches_without_a_source_hold_the_same_of_the_target(data):
    alone = taken(data | {"source_sampler": None, "source": None}, 3, 4)
    for batch, both in zip(alone, taken(data, 3, 4), strict=True):
        assert set(batch) == {key for key in both if not key.startswith("source")}
        for key in batch:
            np.testing.assert_array_equal(batch[key], both[key], err_msg=key)


def test_batches_are_functions_of_seed_and_step(data):
    whole, part = taken(data, 5, 2), taken(data, 2, 5)
    for left, right in zip(whole[3:], part, strict=True):
        for key in left:
            np.testing.assert_array_equal(left[key], right[key], err_msg=key)
    other = taken(data, 1, 5, seed=1)[0]
    assert np.abs(other["source_images"] - part[0]["source_images"]).mean() > 1
    # Of equal pictures, the two cameras' and the source's are changed by draws of their own.
    same = np.repeat(data["source"][:1], 48, axis=0)
    batch = taken(data | {"source": same, "target": same}, 1, 0)[0]
    images = [batch[f"{name}_images"][:4] for name in ("source", "first", "second")]
    for left, right in zip(images, images[1:] + images[:1], strict=True):
        whole = ((left != GREY) & (right != GREY)).all(axis=-1)
        assert np.abs(left - right)[whole].mean() > 1
