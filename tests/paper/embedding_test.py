"""Embedding whole splits: from pictures, from cached maps, and the target's batch statistics."""

import dataclasses

import numpy as np
import pytest

from arn_tf.data.images import decode
from arn_tf.data.reid_data import ReidData
from arn_tf.paper import embedding
from arn_tf.paper.feature_cache import cached_maps
from arn_tf.paper.model import ARN, SOURCE, TARGET
from tests.support import small_data


@pytest.fixture(scope="module")
def split():
    return ReidData("market", **small_data.inputs()).split("train")


@pytest.fixture
def model():
    model = ARN(
        6,
        backbone="Tiny",
        backbone_weights="random",
        input_size=(small_data.HEIGHT, small_data.WIDTH),
        embedding_dim=8,
        hidden_width=8,
    )
    rng = np.random.default_rng(1)
    for layer in model.encoder_c.normalizations:
        for domain in (SOURCE, TARGET):
            mean, variance = rng.normal(0, 1, 8), rng.uniform(1, 2, 8)
            layer.set_statistics(domain, mean.astype("f4"), variance.astype("f4"))
    return model


@pytest.fixture(scope="module")
def images(split):
    size = (small_data.HEIGHT, small_data.WIDTH)
    return np.stack([decode(image, size).numpy() for image in split.images])


@pytest.fixture
def maps(model, split, tmp_path):
    return cached_maps(model, split, 2, str(tmp_path), "title")


def statistics(model):
    return {v.path: v.numpy() for v in model.encoder_c.variables if "moving" in v.path}


def test_maps_come_in_order_in_small_batches(model, split, images, monkeypatch):
    monkeypatch.setattr(embedding, "_BATCH", 10)
    batches = list(embedding.map_batches(model, split))
    assert [len(batch) for batch in batches] == [10, 10, 4]
    expected = model.feature_maps(images).numpy()
    np.testing.assert_allclose(np.concatenate(batches), expected, rtol=1e-5, atol=1e-5)


def test_maps_of_some_rows(model, split, images, maps):
    rows = [7, 2, 2, 23]
    expected = model.feature_maps(images[rows]).numpy()
    for given in (None, maps):
        [found] = embedding.map_batches(model, split, given, rows)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("domain", [SOURCE, TARGET])
def test_embeddings_are_those_of_the_model(model, split, images, maps, domain):
    expected = model.embed(images, domain=domain)
    np.testing.assert_allclose(
        embedding.embed_split(model, split, domain=domain), expected, atol=1e-5
    )
    np.testing.assert_allclose(
        embedding.embed_split(model, split, maps, domain), expected, atol=1e-3
    )
    other = model.embed(images, domain=TARGET if domain == SOURCE else SOURCE)
    assert np.abs(other - expected).max() > 0.01


def test_the_target_is_the_default(model, split, images):
    np.testing.assert_allclose(
        embedding.embed_split(model, split), model.embed(images, domain=TARGET), atol=1e-5
    )


def test_pooling_is_the_average_over_positions(model, split, images, maps):
    x = model.feature_maps(images).numpy()
    expected = x.reshape(len(x), -1, x.shape[-1]).mean(axis=1)
    np.testing.assert_allclose(embedding.pool_split(model, split), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        embedding.pool_split(model, split, maps), expected, rtol=1e-2, atol=1e-4
    )


@pytest.mark.parametrize("from_maps", [True, False])
def test_statistics_are_those_of_all_pictures_at_once(
    model, split, images, maps, monkeypatch, from_maps
):
    before = statistics(model)
    embedding.estimate_target_statistics(model, split, maps if from_maps else None)
    found = statistics(model)
    model.encoder_c.estimate_statistics([model.scaled(model.feature_maps(images))], TARGET)
    expected = statistics(model)
    assert expected
    for name in expected:
        np.testing.assert_allclose(
            found[name][TARGET], expected[name][TARGET], rtol=5e-3, atol=2e-3
        )
        np.testing.assert_array_equal(found[name][SOURCE], before[name][SOURCE])
        assert np.abs(found[name][TARGET] - before[name][TARGET]).max() > 0.01


def test_statistics_of_a_large_split_come_from_evenly_spread_pictures(
    model, split, images, monkeypatch
):
    monkeypatch.setattr(embedding, "STATISTICS_PICTURES", 5)
    embedding.estimate_target_statistics(model, split)
    found = statistics(model)
    few = images[[0, 5, 11, 17, 23]]
    model.encoder_c.estimate_statistics([model.scaled(model.feature_maps(few))], TARGET)
    for name, expected in statistics(model).items():
        np.testing.assert_allclose(found[name], expected, rtol=5e-3, atol=2e-3)


def test_labels_of_the_target_are_not_read(model, split):
    nobody = dataclasses.replace(split, person_id=None, camera_id=None, file_name=None)
    embedding.estimate_target_statistics(model, split)
    expected = statistics(model)
    embedding.estimate_target_statistics(model, nobody)
    for name, value in statistics(model).items():
        np.testing.assert_array_equal(value, expected[name])
