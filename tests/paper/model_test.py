"""ARN as a model of Keras: its calibration, what it embeds, saving and configuration."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.paper.model import ARN, SOURCE, TARGET
from tests.support.small_arn import MAP, random_images, random_maps, small_arn
from tests.support.small_tolerance import rounding


@pytest.fixture(scope="module")
def shared(calibrated_arn):
    return calibrated_arn


# Calibration and embedding.


def test_calibrate():
    model, maps = small_arn(), random_maps(4, 30) * 1e-3
    model.calibrate(maps)
    rms = math.sqrt(np.mean(maps.astype(np.float64) ** 2))
    assert float(model.feature_scale) == pytest.approx(rms, rel=1e-6)
    scaled = np.asarray(model.scaled(tf.constant(maps)))
    assert np.mean(scaled.astype(np.float64) ** 2) == pytest.approx(1, rel=1e-5)
    # The source's statistics are those of these pictures, the target's still the initial ones.
    first = np.asarray(model.encoder_c.convolutions[0](scaled))
    means = model.encoder_c.normalizations[0].moving_mean.numpy()
    # A convolution, and means over 30 x 4 x 2 positions.
    atol = rounding(2, 240, np.abs(first).max())
    np.testing.assert_allclose(means[SOURCE], first.mean(axis=(0, 1, 2)), rtol=1e-4, atol=atol)
    np.testing.assert_array_equal(means[TARGET], np.zeros(8))
    codes = np.asarray(model.encoder_c(scaled, domain=SOURCE))
    assert float(model.initial_code_norm) == pytest.approx(
        np.linalg.norm(codes, axis=1).mean(), rel=1e-5
    )


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_calibrate_refuses_unusable_maps(shared, value):
    scale = float(shared.feature_scale)
    with pytest.raises(ValueError, match="root mean square of"):
        shared.calibrate(np.full((2, *MAP), value, np.float32))
    assert float(shared.feature_scale) == scale


def test_embeddings(shared):
    images = random_images(5, 7)
    found = shared.embed(images, batch_size=3)
    assert found.shape == (7, 16)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.ones(7), rtol=1e-5)
    # One by one, as floats, through `call`, `predict` and the compiled functions: the same.
    np.testing.assert_allclose(shared.embed(images, batch_size=1), found, atol=1e-4)
    np.testing.assert_allclose(shared.embed(images.astype(np.float32)), found, atol=1e-4)
    np.testing.assert_allclose(shared(images), found, atol=1e-4)
    np.testing.assert_allclose(shared.predict(images, verbose=0), found, atol=1e-4)
    maps = shared.compiled_feature_maps(tf.constant(images))
    np.testing.assert_allclose(shared.compiled_embed_maps(maps, TARGET), found, atol=1e-4)
    assert shared.embed(images[:0]).shape == (0, 16)


def test_feature_maps_are_those_of_the_preprocessed_pictures(shared):
    images = random_images(6, 2)
    expected = shared.encoder_i(images / np.float32(127.5) - 1, training=False)
    # MobileNetV2: 52 convolutions, the widest over 960 channels.
    atol = rounding(52, 960, np.abs(expected).max())
    np.testing.assert_allclose(shared.feature_maps(images), expected, rtol=1e-4, atol=atol)


def test_the_domain_chooses_the_statistics(shared):
    images = random_images(5, 3)
    source, target = (shared.embed(images, domain=domain) for domain in (SOURCE, TARGET))
    np.testing.assert_array_equal(shared.embed(images), target)
    assert np.abs(source - target).max() > 1e-3


@pytest.mark.parametrize("shape", [(2, 32, 64, 3), (2, 64, 32, 1), (64, 32, 3), (2, 64, 32)])
def test_embed_refuses_other_shapes(shared, shape):
    with pytest.raises(ValueError, match=r"images must be \[N, 64, 32, 3\], received: \["):
        shared.embed(np.zeros(shape, np.uint8))


# Saving.


def test_saved_and_loaded(tmp_path):
    model = small_arn(
        margin=0.7,
        dropout=0.25,
        seed=5,
        loss_weights={"difference": 12.0},
        loss_normalization="literal",
    )
    model.calibrate(random_maps(9, 20))
    model.encoder_c.estimate_statistics([model.scaled(random_maps(8, 20))], TARGET)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    assert again.loss_weights == model.loss_weights
    assert (again.margin, again.seed, again.loss_normalization) == (0.7, 5, "literal")
    for left, right in zip(model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(left, right, err_msg=left.path)
    images = random_images(7, 3)
    for domain in (SOURCE, TARGET):
        np.testing.assert_array_equal(
            again.embed(images, domain=domain), model.embed(images, domain=domain)
        )


def test_config_round_trip():
    model = small_arn(shared_encoder="pooling", private_encoders=False, hidden_width=4, name="x")
    again = ARN.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert again.name == "x"
    assert [tuple(v.shape) for v in again.weights] == [tuple(v.shape) for v in model.weights]
