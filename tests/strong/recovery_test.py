"""Statistics of normalisations that were folded: by hand, and with nothing changed by them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.layers.normalization import BatchStatistics, normalized_by
from arn_tf.strong import recovery, row_pictures, train
from arn_tf.strong.model import StrongModel
from arn_tf.strong.settings import StrongSettings
from tests.support import small_data
from tests.support.places import SHARED
from tests.support.small_backbones import normalizations

SIZE = (small_data.HEIGHT, small_data.WIDTH)
ZOO = SHARED / "weights/omz/person-reidentification-retail-0288.xml"
# In batches of 64, 64 and 63.
PICTURES = np.random.default_rng(0).integers(0, 256, (191, *SIZE, 3), np.uint8)


def folded() -> StrongModel:
    """Returns a model whose normalisations shift, each by its own, and do nothing else."""
    keras.utils.set_random_seed(0)
    model = StrongModel(3, backbone="Tiny", backbone_weights="random", input_size=SIZE)
    rng = np.random.default_rng(1)
    for layer in normalizations(model.encoder_i):
        layer.beta.assign(rng.normal(size=layer.beta.shape))
        layer.moving_variance.assign(np.full(layer.beta.shape, 1 - layer.epsilon))
    return model


@pytest.fixture(scope="module")
def models() -> tuple[StrongModel, StrongModel]:
    """A model of folded normalisations, and one that got statistics."""
    recovered = folded()
    recovery.recover(recovered, PICTURES)
    return folded(), recovered


def test_folded_is_seen(models):
    assert [recovery.is_folded(model) for model in models] == [True, False]
    at_random = StrongModel(3, backbone="Tiny", backbone_weights="random", input_size=SIZE)
    assert not recovery.is_folded(at_random)


def test_the_network_stays_the_same(models):
    before, after = (model.feature_maps(PICTURES[:32]).numpy() for model in models)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4 * np.abs(before).max())


def test_statistics_by_hand(models):
    """Those of what enters each layer of the network that nothing was done to, all at once."""
    before, after = models
    layers = normalizations(before.encoder_i)
    probe = keras.Model(before.encoder_i.input, [layer.input for layer in layers])
    seen = probe(before._preprocess(PICTURES.astype("f4")))
    for entering, old, new in zip(
        seen if isinstance(seen, list) else [seen],
        layers,
        normalizations(after.encoder_i),
        strict=True,
    ):
        x = np.asarray(entering, np.float64).reshape(-1, entering.shape[-1])
        np.testing.assert_allclose(new.moving_mean, x.mean(axis=0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(new.moving_variance, x.var(axis=0), rtol=1e-4)
        deviation = np.sqrt(x.var(axis=0) + old.epsilon)
        np.testing.assert_allclose(new.gamma, deviation, rtol=1e-4)
        np.testing.assert_allclose(new.beta, x.mean(axis=0) + old.beta, rtol=1e-4, atol=1e-5)


def test_again_changes_nothing(models):
    twice = folded()
    recovery.recover(twice, PICTURES)
    for one, other in zip(twice.weights, models[1].weights, strict=True):
        np.testing.assert_array_equal(one, other)
    recovery.recover(twice, PICTURES[::3])
    before, after = (model.feature_maps(PICTURES[:8]).numpy() for model in (models[0], twice))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4 * np.abs(before).max())


def test_statistics_of_a_batch_can_take_their_place(models):
    """Of the same pictures they are nearly the same; without recovery, the network is another."""
    same = [
        np.abs(model.batch_maps(PICTURES, update=False) - model.feature_maps(PICTURES))
        for model in models
    ]
    assert same[1].max() < 1e-3 * same[0].max()


def test_statistics_that_are_only_seen_move_nothing(models):
    model = models[1]
    found = BatchStatistics(applied=False)
    expected = model.feature_maps(PICTURES[:8])
    with normalized_by(found):
        np.testing.assert_array_equal(model.feature_maps(PICTURES[:8]), expected)
    assert found.keys() == {layer.name for layer in normalizations(model.encoder_i)}


def test_many_pictures_are_spread(monkeypatch):
    monkeypatch.setattr(row_pictures, "MOST_PICTURES", 3)
    few, spread = folded(), folded()
    recovery.recover(spread, PICTURES[:5])
    recovery.recover(few, PICTURES[[0, 2, 4]])
    for one, other in zip(few.weights, spread.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_pictures():
    with pytest.raises(ValueError, match="no pictures to recover statistics from"):
        recovery.recover(folded(), PICTURES[:0])


@pytest.mark.skipif(not ZOO.exists(), reason="no networks beside the repository")
def test_a_run_begins_with_statistics_of_the_target(tmp_path):
    settings = StrongSettings(
        model_dir=str(tmp_path),
        backbone="OSNetAIN",
        backbone_weights=str(ZOO),
        input_size="256x128",
    )
    rng = np.random.default_rng(2)
    target = tf.image.resize(rng.integers(0, 256, (6, 16, 8, 3)), (256, 128)).numpy().astype("u1")
    model = train._initial_model(settings, 3, target)
    plain = StrongModel(3, backbone="OSNetAIN", backbone_weights=str(ZOO), input_size=(256, 128))
    assert recovery.is_folded(plain)
    assert not recovery.is_folded(model)
    np.testing.assert_allclose(model(target), plain(target), atol=1e-5)
    path = str(tmp_path / "model.keras")
    model.save(path)
    np.testing.assert_array_equal(keras.models.load_model(path)(target), model(target))
