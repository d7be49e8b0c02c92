"""Batch normalisation by domain against Keras's own and against NumPy."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.layers.normalization import DomainBatchNormalization
from tests.support.small_tolerance import rounding


def pictures(seed: int, *shape: int) -> np.ndarray:
    return (2 + 3 * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


def built(channels: int, **options: Any) -> DomainBatchNormalization:
    layer = DomainBatchNormalization(**options)
    layer.build((None, 4, 4, channels))
    return layer


@pytest.mark.parametrize("shape", [(8, 5), (6, 3, 2, 5)])
@pytest.mark.parametrize("compiled", [False, True])
def test_equals_keras_for_one_domain(shape, compiled):
    """Outputs in training and inference, running statistics and all gradients, over four steps."""
    ours = DomainBatchNormalization(momentum=0.9, epsilon=1e-3)
    keras_layer = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3)
    target = pictures(99, *shape)
    gamma, beta = pictures(97, 5), pictures(98, 5)

    def step(layer: keras.layers.Layer, x: tf.Tensor) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            value = tf.reduce_sum(tf.square(y - target) * target)
        return y, *tape.gradient(value, [x, layer.gamma, layer.beta])

    results = []
    for layer in (ours, keras_layer):
        layer.build(shape)
        layer.gamma.assign(gamma)
        layer.beta.assign(beta)
        run = tf.function(lambda x, layer=layer: step(layer, x)) if compiled else None
        for seed in range(4):
            x = tf.constant(pictures(seed, *shape))
            outcome = run(x) if compiled else step(layer, x)
        moving = [np.reshape(v, 5) for v in (layer.moving_mean, layer.moving_variance)]
        results.append([*outcome, *moving, layer(x, training=False)])
    for left, right in zip(*results, strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-4, atol=2e-4)


def test_one_training_step_by_hand():
    layer = built(1, momentum=0.9, epsilon=0.0)
    y = layer(tf.constant([[1.0], [3.0], [5.0], [7.0]]), training=True)
    # Mean 4, variance (9 + 1 + 1 + 9) / 4 = 5.
    np.testing.assert_allclose(y[:, 0], np.array([-3, -1, 1, 3]) / np.sqrt(5), rtol=1e-6)
    np.testing.assert_allclose(layer.moving_mean, [[0.9 * 0 + 0.1 * 4]], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, [[0.9 * 1 + 0.1 * 5]], rtol=1e-6)


def test_affine_map_and_epsilon():
    layer = built(1, epsilon=1.0)
    layer.gamma.assign([2.0])
    layer.beta.assign([10.0])
    layer.set_statistics(0, [1.0], [3.0])
    # 2 (x - 1) / sqrt(3 + 1) + 10.
    np.testing.assert_allclose(layer(tf.constant([[5.0]])), [[14.0]], rtol=1e-6)


def test_domains_do_not_touch_each_other():
    layer = built(3, domains=3)
    before = [v.numpy().copy() for v in (layer.moving_mean, layer.moving_variance)]
    layer(tf.constant(pictures(0, 6, 2, 2, 3)), domain=1, training=True)
    for variable, old in zip((layer.moving_mean, layer.moving_variance), before, strict=True):
        changed = np.any(variable.numpy() != old, axis=1)
        np.testing.assert_array_equal(changed, [False, True, False])


def test_training_output_does_not_depend_on_running_statistics():
    layer, x = built(3, domains=2), tf.constant(pictures(1, 6, 3))
    first = layer(x, domain=0, training=True)
    layer.set_statistics(0, np.full(3, 50.0, "f4"), np.full(3, 9.0, "f4"))
    np.testing.assert_array_equal(layer(x, domain=0, training=True), first)


def test_inference_uses_and_keeps_the_statistics_of_its_domain():
    layer, x = built(2, domains=2, epsilon=0.0), tf.constant([[4.0, 4.0]])
    layer.set_statistics(0, [2.0, 4.0], [4.0, 1.0])
    layer.set_statistics(1, [0.0, 0.0], [16.0, 64.0])
    weights = [v.numpy().copy() for v in layer.weights]
    np.testing.assert_allclose(layer(x, domain=0), [[1.0, 0.0]])
    np.testing.assert_allclose(layer(x, domain=1), [[1.0, 0.5]])
    np.testing.assert_allclose(layer(x), layer(x, domain=0))
    for variable, old in zip(layer.weights, weights, strict=True):
        np.testing.assert_array_equal(variable, old)


def test_running_statistics_get_no_gradient_and_do_not_train():
    layer = built(4, domains=2)
    assert [v.name for v in layer.trainable_variables] == ["gamma", "beta"]
    assert [v.shape for v in layer.non_trainable_variables] == [(2, 4), (2, 4)]


def test_variance_keeps_its_digits_where_the_mean_is_large():
    x = (1e4 + 0.1 * np.random.default_rng(0).normal(size=(64, 4, 4, 3))).astype(np.float32)
    exact = x.astype(np.float64).var(axis=(0, 1, 2))
    layer = built(3, momentum=0.0)
    layer(tf.constant(x), training=True)
    # What the mean of 64 x 4 x 4 numbers is off by comes in squared.
    atol = rounding(1, 1024, 1e4) ** 2
    np.testing.assert_allclose(layer.moving_variance[0], exact, rtol=1e-2, atol=atol)
    squares = tf.reduce_mean(tf.square(x), [0, 1, 2]) - tf.square(tf.reduce_mean(x, [0, 1, 2]))
    assert np.abs(squares / exact - 1).max() > 10


def test_constant_channel_stays_finite():
    layer = built(1)
    x = tf.fill([4, 2, 2, 1], 7.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    np.testing.assert_array_equal(y, np.zeros_like(y))
    assert np.all(np.isfinite(tape.gradient(y, x)))


def test_config_round_trip():
    layer = DomainBatchNormalization(domains=2, momentum=0.8, epsilon=1e-5, name="twins")
    again = DomainBatchNormalization.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (again.domains, again.momentum, again.epsilon) == (2, 0.8, 1e-5)
    bare = DomainBatchNormalization(domains=None, center=False, scale=False)
    bare = DomainBatchNormalization.from_config(bare.get_config())
    assert (bare.domains, bare.center, bare.scale) == (None, False, False)


def test_one_set_of_statistics_has_no_axis_for_it():
    layer, one = built(3, domains=None), built(3)
    for each in (layer, one):
        each(tf.constant(pictures(0, 6, 2, 2, 3)), training=True)
    assert layer.moving_mean.shape == layer.moving_variance.shape == (3,)
    np.testing.assert_array_equal(layer.moving_mean, one.moving_mean[0])
    np.testing.assert_array_equal(layer.moving_variance, one.moving_variance[0])
    x = tf.constant(pictures(1, 6, 2, 2, 3))
    np.testing.assert_array_equal(layer(x), one(x))


def test_saved_and_loaded_in_a_model(tmp_path):
    model = keras.Sequential([keras.Input((3,)), DomainBatchNormalization(domains=2)])
    model(tf.constant(pictures(2, 8, 3)), training=True)
    model.layers[0].set_statistics(1, [1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = tf.constant(pictures(3, 4, 3))
    for domain in range(2):
        np.testing.assert_array_equal(
            again.layers[0](x, domain=domain), model.layers[0](x, domain=domain)
        )
