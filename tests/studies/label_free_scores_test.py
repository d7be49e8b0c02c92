"""Label-free scores of a target: worked examples, slow oracles, and what must not matter."""

import math

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from arn_tf.strong import clustering
from studies import label_free_scores


def at(*degrees):
    """Embeddings in the plane at these angles."""
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def persons(seed, count=12, pictures=6, cameras=3, noise=0.3, width=32):
    """Pictures of persons by every camera in turn: embeddings and camera_id."""
    random = np.random.default_rng(seed)
    centres = np.repeat(random.standard_normal((count, width)), pictures, axis=0)
    embeddings = centres + noise * random.standard_normal(centres.shape)
    return embeddings.astype(np.float32), np.tile(
        np.arange(1, cameras + 1), len(centres) // cameras
    )


def cosines(embeddings, others=None):
    units = [np.array([row / np.linalg.norm(row) for row in each], np.float64)
             for each in (embeddings, embeddings if others is None else others)]  # fmt: skip
    return units[0] @ units[1].T


def entropy(logits):
    weights = [math.exp(value - max(logits)) for value in logits]
    shares = [weight / sum(weights) for weight in weights]
    return -sum(share * math.log(share) for share in shares if share)


CROSS_CAMERA = {
    "share": label_free_scores.other_camera_share,
    "mutual": label_free_scores.mutual_rate,
    "entropy": label_free_scores.similarity_entropy,
    "overlap": lambda e, c: label_free_scores.mirror_overlap(e, np.roll(e, 1, axis=1), c),
}


@pytest.fixture(params=CROSS_CAMERA.values(), ids=CROSS_CAMERA)
def cross_camera(request):
    return request.param


class TestClassifierEntropy:
    def test_even_odds_and_certainty(self):
        assert label_free_scores.classifier_entropy(np.zeros((3, 8))) == pytest.approx(math.log(8))
        assert label_free_scores.classifier_entropy([[1000.0, 0, 0]]) == pytest.approx(0)

    def test_is_the_mean_over_pictures(self):
        logits = np.random.default_rng(0).standard_normal((7, 5)) * 3
        expected = np.mean([entropy(row) for row in logits])
        assert label_free_scores.classifier_entropy(logits) == pytest.approx(expected)

    def test_names_logits_that_are_not_a_matrix(self):
        with pytest.raises(ValueError, match="logits"):
            label_free_scores.classifier_entropy(np.zeros(4))


class TestOtherCameraShare:
    def test_cameras_apart_and_mixed(self):
        apart = at(0, 1, 2, 90, 91, 92)
        camera = np.array([1, 1, 1, 2, 2, 2])
        assert label_free_scores.other_camera_share(apart, camera, k=2) == 0
        # Each picture's nearest is of the other camera; 3 of 5 others are.
        pairs = at(0, 1, 40, 41, 80, 81)
        camera = np.array([1, 2, 1, 2, 1, 2])
        assert label_free_scores.other_camera_share(pairs, camera, k=1) == pytest.approx(5 / 3)

    def test_all_others_are_what_chance_gives(self):
        embeddings, camera = persons(0)
        share = label_free_scores.other_camera_share(embeddings, camera, k=1000)
        assert share == pytest.approx(1)

    def test_oracle(self):
        embeddings, camera = persons(1, noise=2)
        camera[::4] = 3
        similarity = cosines(embeddings)
        found, chance = [], []
        for i, row in enumerate(similarity):
            others = [j for j in range(len(row)) if j != i]
            nearest = sorted(others, key=lambda j: -row[j])[:10]
            found.append(np.mean(camera[nearest] != camera[i]))
            chance.append(np.mean(camera[others] != camera[i]))
        share = label_free_scores.other_camera_share(embeddings, camera)
        assert share == pytest.approx(np.mean(found) / np.mean(chance))


class TestMutualRate:
    def test_by_hand(self):
        # 0 and 1 are each other's nearest; that of 30 is 1, whose own is 0.
        camera = np.array([1, 2, 1])
        assert label_free_scores.mutual_rate(at(0, 1, 30), camera) == pytest.approx(2 / 3)

    def test_only_other_cameras_count(self):
        # Copies within a camera stand in nobody's way.
        camera = np.array([1, 1, 2, 2])
        assert label_free_scores.mutual_rate(at(0, 60, 1, 61), camera) == 1


class TestSimilarityEntropy:
    def test_oracle(self):
        embeddings, camera = persons(2, noise=1)
        similarity = cosines(embeddings) / 0.05
        expected = np.mean([
            entropy(row[camera != camera[i]].tolist()) for i, row in enumerate(similarity)
        ])  # fmt: skip
        found = label_free_scores.similarity_entropy(embeddings, camera)
        assert found == pytest.approx(expected, rel=1e-5)

    def test_equal_embeddings_have_the_most(self):
        camera = np.array([1, 2, 2, 2, 2])
        found = label_free_scores.similarity_entropy(np.ones((5, 3)), camera)
        assert found == pytest.approx(math.log(4) / 5)

    def test_refuses_a_temperature_of_0(self):
        with pytest.raises(ValueError, match="temperature"):
            label_free_scores.similarity_entropy(at(0, 1), np.array([1, 2]), temperature=0)


class TestMirror:
    def test_copies_agree(self):
        embeddings, camera = persons(3)
        assert label_free_scores.mirror_rate(embeddings, embeddings) == 1
        assert label_free_scores.mirror_overlap(embeddings, embeddings, camera) == 1

    def test_rate_by_hand(self):
        assert label_free_scores.mirror_rate(at(0, 10, 50), at(1, 2, 49)) == pytest.approx(2 / 3)

    def test_overlap_oracle(self):
        embeddings, camera = persons(4, noise=1)
        mirrored = embeddings + np.random.default_rng(5).standard_normal(embeddings.shape)
        shares = []
        for i in range(len(embeddings)):
            others = np.flatnonzero(camera != camera[i])
            lists = [
                set(others[np.argsort(-cosines(view[i : i + 1], embeddings[others])[0])[:10]])
                for view in (embeddings, mirrored)
            ]
            shares.append(len(lists[0] & lists[1]) / 10)
        found = label_free_scores.mirror_overlap(embeddings, mirrored, camera)
        assert found == pytest.approx(np.mean(shares))

    def test_fewer_pictures_than_neighbours(self):
        camera = np.array([1, 2, 1])
        assert label_free_scores.mirror_overlap(at(0, 1, 2), at(9, 8, 7), camera) == 1

    def test_refuses_other_pictures(self):
        with pytest.raises(ValueError, match="mirrored"):
            label_free_scores.mirror_rate(at(0, 1), at(0))


class TestClusterScores:
    def test_agree_with_the_clustering(self):
        embeddings, camera = persons(6)
        labels, counts = clustering.cluster(embeddings, camera)
        used = labels >= 0
        found = label_free_scores.cluster_scores(embeddings, camera)
        assert found["clusters"] == counts.clusters == 12
        assert found["used"] == pytest.approx(used.mean())
        expected = silhouette_score(embeddings[used], labels[used], metric="cosine")
        assert found["silhouette"] == pytest.approx(expected)

    def test_no_clusters(self):
        embeddings, _ = persons(6, count=3, pictures=42)
        one_camera_each = np.repeat([1, 2, 3], 42)
        found = label_free_scores.cluster_scores(embeddings, one_camera_each)
        assert found == {"used": 0, "clusters": 0, "silhouette": -1}


class TestCrossCamera:
    def test_unknown_cameras_are_left_out(self, cross_camera):
        embeddings, camera = persons(7, noise=1)
        unknown = np.full(len(camera), -1)
        more = np.concatenate([embeddings, np.roll(embeddings, 7, axis=1)])
        found = cross_camera(more, np.concatenate([camera, unknown]))
        assert found == pytest.approx(cross_camera(embeddings, camera))

    @pytest.mark.parametrize("camera", [np.full(8, 1), np.full(8, -1), np.array([-1] * 7 + [1])])
    def test_is_nan_without_two_cameras(self, cross_camera, camera):
        assert math.isnan(cross_camera(np.eye(8), camera))

    def test_neither_length_nor_order_matters(self, cross_camera):
        embeddings, camera = persons(8, noise=1)
        order = np.random.default_rng(9).permutation(len(camera))
        scale = np.linspace(0.5, 9, len(camera))[:, np.newaxis]
        found = cross_camera((embeddings * scale)[order], camera[order])
        assert found == pytest.approx(cross_camera(embeddings, camera), rel=1e-5)

    def test_blocks_do_not_matter(self, cross_camera, monkeypatch):
        embeddings, camera = persons(10, noise=1)
        whole = cross_camera(embeddings, camera)
        monkeypatch.setattr(label_free_scores, "_BLOCK", 7)
        assert cross_camera(embeddings, camera) == pytest.approx(whole, rel=1e-6)

    def test_names_cameras_of_other_pictures(self, cross_camera):
        with pytest.raises(ValueError, match="camera_id"):
            cross_camera(np.eye(8), np.arange(7))
