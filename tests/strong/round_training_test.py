"""What a round of self-training hands to its trainer, and by which radius it clusters."""

import dataclasses

import numpy as np
import pytest

from arn_tf.data.split import Split
from arn_tf.run.folder import RunDir
from arn_tf.strong import clustering, round_labels, round_training
from arn_tf.strong.self_training import SelfTrainer
from tests.support import small_strong

LABELS = np.array([0, 1, -1, 0, 1, 1])
# By index 1, 0, 1, 0, 1, 0.
CAMERAS = np.array([7, 3, 7, 3, 7, 3])
WIDTH = small_strong.model().embedding_dim


def embeddings(seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(6, WIDTH))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def direction(*rows: np.ndarray) -> np.ndarray:
    mean = np.mean(rows, axis=0)
    return mean / np.linalg.norm(mean)


def check(trainer: SelfTrainer, rows: np.ndarray) -> None:
    """The memory has the mean of each cluster, and a proxy is that of a cluster in a camera."""
    expected = [direction(rows[0], rows[3]), direction(rows[1], rows[4], rows[5])]
    np.testing.assert_allclose(trainer.memory.directions, expected, rtol=1e-5, atol=1e-6)
    found = trainer.proxies
    assert found.cluster.numpy().tolist() == [0, 0, 1, 1]
    assert found.camera.numpy().tolist() == [0, 1, 0, 1]
    expected = [rows[3], rows[0], direction(rows[1], rows[5]), rows[4]]
    np.testing.assert_allclose(found.directions, expected, rtol=1e-5, atol=1e-6)


def test_a_trainer_begins_with_the_clusters_and_goes_on_with_others(tmp_path):
    model, settings = small_strong.model(), small_strong.settings(tmp_path)
    first = round_training.trainer(model, settings, embeddings(0), LABELS, CAMERAS, True)
    check(first, embeddings(0))
    assert first.optimizer.learning_rate.numpy() == np.float32(settings.self_training_learning_rate)
    again = round_training.trainer(model, settings, embeddings(1), LABELS, CAMERAS, True, first)
    assert again is first
    check(again, embeddings(1))
    alone = round_training.trainer(model, settings, embeddings(0), LABELS, CAMERAS, False)
    assert alone.proxies is None


def test_cameras_of_batches_are_those_of_proxies(tmp_path):
    settings = small_strong.settings(tmp_path)
    split = Split(np.empty(6, object), np.full(6, -1), CAMERAS, list("abcdef"))
    sampler = round_training.pairs(settings, LABELS, split)
    assert sampler.cameras.tolist() == [1, 0, 1, 0, 1, 0]
    assert sampler.batch_size == settings.batch_size


@pytest.mark.parametrize(("given", "used"), [(0.0, None), (0.45, 0.45)])
def test_the_radius_that_is_given_finds_the_clusters(tmp_path, monkeypatch, given, used):
    asked = []

    def find(*arguments):
        asked.append(arguments[-1])
        raise StopIteration

    monkeypatch.setattr(round_labels.target_clusters, "find", find)
    settings = dataclasses.replace(small_strong.settings(tmp_path), cluster_eps=given)
    split = Split(np.empty(6, object), np.full(6, -1), CAMERAS, list("abcdef"))
    with pytest.raises(StopIteration):
        round_labels.find(settings, RunDir(str(tmp_path)), 1, embeddings(0), split)
    assert asked == [used or clustering.EPS]
