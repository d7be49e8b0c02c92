"""Label-free scores that runs log: worked examples, slow oracles, and what must not matter."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from arn_tf.strong import unlabelled_scores
from tests.support.small_embeddings import CrossCameraTests, at, cosines, persons


def entropy(logits: Sequence[float]) -> float:
    """Returns the entropy of softmax, nats."""
    weights = [math.exp(value - max(logits)) for value in logits]
    shares = [weight / sum(weights) for weight in weights]
    return -sum(share * math.log(share) for share in shares if share)


CROSS_CAMERA = {
    "share": unlabelled_scores.other_camera_share,
    "mutual": unlabelled_scores.mutual_rate,
    "entropy": unlabelled_scores.similarity_entropy,
}


@pytest.fixture(params=CROSS_CAMERA.values(), ids=CROSS_CAMERA)
def cross_camera(request: pytest.FixtureRequest) -> Callable[[np.ndarray, np.ndarray], float]:
    return request.param


class TestOtherCameraShare:
    def test_cameras_apart_and_mixed(self):
        apart = at(0, 1, 2, 90, 91, 92)
        camera = np.array([1, 1, 1, 2, 2, 2])
        assert unlabelled_scores.other_camera_share(apart, camera, k=2) == 0
        # Each picture's nearest is of the other camera; 3 of 5 others are.
        pairs = at(0, 1, 40, 41, 80, 81)
        camera = np.array([1, 2, 1, 2, 1, 2])
        assert unlabelled_scores.other_camera_share(pairs, camera, k=1) == pytest.approx(5 / 3)

    def test_all_others_are_what_chance_gives(self):
        embeddings, camera = persons(0)
        share = unlabelled_scores.other_camera_share(embeddings, camera, k=1000)
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
        share = unlabelled_scores.other_camera_share(embeddings, camera)
        assert share == pytest.approx(np.mean(found) / np.mean(chance))


class TestMutualRate:
    def test_by_hand(self):
        # 0 and 1 are each other's nearest; that of 30 is 1, whose own is 0.
        camera = np.array([1, 2, 1])
        assert unlabelled_scores.mutual_rate(at(0, 1, 30), camera) == pytest.approx(2 / 3)

    def test_only_other_cameras_count(self):
        # Copies within a camera stand in nobody's way.
        camera = np.array([1, 1, 2, 2])
        assert unlabelled_scores.mutual_rate(at(0, 60, 1, 61), camera) == 1


class TestSimilarityEntropy:
    def test_oracle(self):
        embeddings, camera = persons(2, noise=1)
        similarity = cosines(embeddings) / 0.05
        expected = np.mean(
            [entropy(row[camera != camera[i]].tolist()) for i, row in enumerate(similarity)]
        )
        found = unlabelled_scores.similarity_entropy(embeddings, camera)
        assert found == pytest.approx(expected, rel=1e-5)

    def test_equal_embeddings_have_the_most(self):
        camera = np.array([1, 2, 2, 2, 2])
        found = unlabelled_scores.similarity_entropy(np.ones((5, 3)), camera)
        assert found == pytest.approx(math.log(4) / 5)

    def test_refuses_a_temperature_of_0(self):
        with pytest.raises(ValueError, match="temperature"):
            unlabelled_scores.similarity_entropy(at(0, 1), np.array([1, 2]), temperature=0)


class TestCrossCamera(CrossCameraTests):
    pass
