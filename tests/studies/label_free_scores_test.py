"""Scores of studies: worked examples, slow oracles, and what must not matter."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import special, stats
from sklearn.metrics import silhouette_score

from arn_tf.strong import clustering
from studies import label_free_scores
from tests.support.small_embeddings import CrossCameraTests, at, cosines, persons


class TestClassifierEntropy:
    def test_even_odds_and_certainty(self):
        assert label_free_scores.classifier_entropy(np.zeros((3, 8))) == pytest.approx(math.log(8))
        assert label_free_scores.classifier_entropy([[1000.0, 0, 0]]) == pytest.approx(0)

    def test_is_the_mean_over_pictures(self):
        logits = np.random.default_rng(0).standard_normal((7, 5)) * 3
        expected = stats.entropy(special.softmax(logits, axis=1), axis=1).mean()
        assert label_free_scores.classifier_entropy(logits) == pytest.approx(expected)

    def test_names_logits_that_are_not_a_matrix(self):
        with pytest.raises(ValueError, match="logits"):
            label_free_scores.classifier_entropy(np.zeros(4))


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


class TestCrossCamera(CrossCameraTests):
    @pytest.fixture
    def cross_camera(self) -> Callable[[np.ndarray, np.ndarray], float]:
        return lambda embeddings, camera: label_free_scores.mirror_overlap(
            embeddings, np.roll(embeddings, 1, axis=1), camera
        )
