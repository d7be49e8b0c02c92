"""Shapes, sizes, seeds and statistics of the trainable sub-networks."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.paper import networks
from arn_tf.paper.model import ARN
from tests.support.small_tolerance import rounding

SIZES = [(7, 7), (8, 4), (4, 2), (3, 3), (2, 1), (6, 5), (1, 1)]


def random_maps(seed, *shape):
    return np.random.default_rng(seed).exponential(size=shape).astype(np.float32)


def encoder(size=(4, 3), channels=5, hidden=6, dim=4, **options):
    layer = networks.ConvolutionalEncoder(hidden, dim, **options)
    layer.build((None, *size, channels))
    return layer


def decoder(map_shape=(4, 3, 5), hidden=6, width=4, **options):
    layer = networks.Decoder(map_shape, hidden, **options)
    layer.build((None, width))
    return layer


def kernels(layer):
    return [variable for variable in layer.trainable_variables if len(variable.shape) > 1]


def parameters(variables):
    return sum(math.prod(variable.shape) for variable in variables)


def slow_convolution(x, convolution):
    """A valid convolution, position by position, in float64."""
    kernel = np.asarray(convolution.kernel, np.float64)
    bias = 0 if convolution.bias is None else np.asarray(convolution.bias, np.float64)
    height, width = kernel.shape[:2]
    down, right = convolution.strides
    rows = range(0, x.shape[1] - height + 1, down)
    columns = range(0, x.shape[2] - width + 1, right)
    patches = [
        [np.einsum("bhwi,hwio->bo", x[:, r : r + height, c : c + width], kernel) for c in columns]
        for r in rows
    ]
    return np.stack([np.stack(row, axis=1) for row in patches], axis=1) + bias


def slow_encoder(layer, maps):
    """The code and each layer's statistics, were these taken from all of `maps`, in float64."""
    x, statistics = np.asarray(maps, np.float64), []
    for convolution, normalization in zip(layer.convolutions, layer.normalizations, strict=False):
        x = slow_convolution(x, convolution)
        mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
        statistics.append((mean, variance))
        x = np.maximum((x - mean) / np.sqrt(variance + normalization.epsilon), 0)
    return slow_convolution(x, layer.convolutions[-1])[:, 0, 0], statistics


@pytest.mark.parametrize("size", SIZES)
def test_encoder_shapes(size):
    layer, maps = encoder(size, domains=2), tf.constant(random_maps(0, 3, *size, 5))
    for domain, training in itertools.product(range(2), (False, True)):
        code = layer(maps, domain=domain, training=training)
        assert code.shape == (3, 4)
        assert np.all(np.isfinite(code))
    assert len(kernels(layer)) == 3


@pytest.mark.parametrize("size", SIZES)
def test_decoder_shapes(size):
    layer = decoder((*size, 5))
    for training in (False, True):
        maps = layer(tf.constant(random_maps(1, 3, 4)), training=training)
        assert maps.shape == (3, *size, 5)
        assert np.all(np.isfinite(maps))
    assert len(kernels(layer)) == 3


@pytest.mark.parametrize("size", SIZES)
def test_every_position_is_encoded(size):
    layer = encoder(size, hidden=16)
    maps = tf.constant(random_maps(2, 4, *size, 5))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        code = layer(maps, training=False)
    reached = np.abs(tape.gradient(code, maps)).max(axis=(0, 3))
    np.testing.assert_array_less(0, reached)


@pytest.mark.parametrize("size", SIZES)
def test_every_position_is_rebuilt_from_the_code(size):
    layer = decoder((*size, 5), hidden=16)
    maps = layer(tf.constant(random_maps(3, 8, 4)), training=True).numpy()
    np.testing.assert_array_less(1e-3, maps.std(axis=0).max(axis=2))


def test_pooling_encoder():
    maps = random_maps(4, 3, 7, 5, 6)
    layer = networks.PoolingEncoder()
    np.testing.assert_allclose(layer(tf.constant(maps)), maps.mean(axis=(1, 2)), rtol=1e-5)
    layer.estimate_statistics([maps], 0)
    assert layer.variables == []


def test_parameter_counts_of_the_default_size():
    """ResNet50 at 224 x 224; see the module's docstring for the layout."""
    shared = encoder((7, 7), 2048, 256, 2048, domains=2)
    private = encoder((7, 7), 2048, 256, 2048)
    rebuild = decoder((7, 7, 2048), 256, 4096)
    assert [tuple(v.shape) for v in kernels(shared)] == [
        (1, 1, 2048, 256),
        (3, 3, 256, 256),
        (3, 3, 256, 2048),
    ]
    assert parameters(shared.trainable_variables) == 5_835_776
    assert parameters(shared.non_trainable_variables) == 2_048
    assert parameters(private.trainable_variables) == 5_835_776
    assert parameters(private.non_trainable_variables) == 1_024
    assert parameters(rebuild.trainable_variables) == 10_554_368
    classifier = networks.IdentityClassifier(751)
    classifier.build((None, 2048))
    assert parameters(classifier.trainable_variables) == 2048 * 751 + 751


@pytest.mark.parametrize("compiled", [False, True])
def test_encoder_equals_loops(compiled):
    """In training the statistics are those of the batch."""
    layer, maps = encoder((5, 4), seed=3), random_maps(5, 6, 5, 4, 5)
    expected, _ = slow_encoder(layer, maps)
    run = tf.function(layer.call) if compiled else layer.call
    np.testing.assert_allclose(
        run(tf.constant(maps), training=True), expected, rtol=1e-4, atol=1e-5
    )


def test_decoder_is_the_transpose_of_a_convolution():
    """The middle layer sends each inner entry where a convolution of its kernel reads it."""
    layer = decoder((6, 5, 3), hidden=4)
    inner = random_maps(6, 2, *layer._inner, 4)
    up = layer.upsample(tf.constant(inner))
    probe = random_maps(7, 2, 6, 5, 4)
    back = tf.nn.conv2d(probe, layer.upsample.kernel, layer.upsample.strides, "VALID")
    assert float(tf.reduce_sum(up * probe)) == pytest.approx(
        float(tf.reduce_sum(back * inner)), rel=1e-5
    )


@pytest.mark.parametrize("split", [[12], [5, 7], [1, 3, 8]])
def test_estimated_statistics_are_those_of_all_pictures(split):
    maps = random_maps(8, 12, 5, 4, 5)
    batches = np.split(maps[np.random.default_rng(0).permutation(12)], np.cumsum(split)[:-1])
    layer = encoder((5, 4), domains=2)
    layer.estimate_statistics(batches, 1)
    expected, statistics = slow_encoder(layer, maps)
    for normalization, (mean, variance) in zip(layer.normalizations, statistics, strict=True):
        # Two convolutions and their statistics, over 12 x 5 x 4 positions.
        atol = rounding(4, 240, np.sqrt(variance).max())
        np.testing.assert_allclose(normalization.moving_mean[1], mean, rtol=1e-5, atol=atol)
        np.testing.assert_allclose(normalization.moving_variance[1], variance, rtol=1e-5)
        # The other domain keeps the statistics that it had.
        np.testing.assert_array_equal(normalization.moving_mean[0], np.zeros(6))
        np.testing.assert_array_equal(normalization.moving_variance[0], np.ones(6))
    np.testing.assert_allclose(layer(tf.constant(maps), domain=1), expected, rtol=1e-4, atol=1e-5)


def test_estimating_forgets_what_was_there():
    layer, maps = encoder(), random_maps(9, 8, 4, 3, 5)
    layer.estimate_statistics([maps], 0)
    first = [v.numpy() for v in layer.non_trainable_variables]
    layer.estimate_statistics([100 * maps + 7], 0)
    assert np.abs(first[0] - layer.non_trainable_variables[0]).max() > 1
    layer.estimate_statistics([maps], 0)
    for variable, old in zip(layer.non_trainable_variables, first, strict=True):
        np.testing.assert_array_equal(variable, old)


@pytest.mark.parametrize("make", [encoder, decoder])
def test_seeds_give_the_weights(make):
    first, again, other = make(seed=5), make(seed=5), make(seed=6)
    for left, right, foreign in zip(*map(kernels, (first, again, other)), strict=True):
        np.testing.assert_array_equal(left, right)
        assert not np.any(np.asarray(left) == np.asarray(foreign))


def test_no_two_layers_of_arn_draw_the_same_numbers():
    """Uniform draws of one seed are equal up to their range, whatever the shape."""
    drawn = {}
    for seed in range(3):
        model = ARN(
            5,
            backbone="MobileNetV2",
            backbone_weights="random",
            input_size=(32, 32),
            embedding_dim=16,
            hidden_width=8,
            seed=seed,
        )
        for name in ("encoder_c", "encoder_s", "encoder_t", "decoder_c", "classifier_s"):
            for variable in kernels(getattr(model, name)):
                start = np.ravel(variable)[:20]
                drawn[seed, name, variable.path] = start / np.linalg.norm(start)
    assert len(drawn) == 3 * (4 * 3 + 1)
    for (left, a), (right, b) in itertools.combinations(drawn.items(), 2):
        assert a @ b < 0.99, (left, right)


def test_classifier_without_dropout_is_a_dense_layer():
    layer, codes = networks.IdentityClassifier(3, dropout=0.5), random_maps(10, 4, 6)
    layer.build((None, 6))
    layer.dense.bias.assign([1.0, 2.0, 3.0])
    expected = codes @ np.asarray(layer.dense.kernel) + np.array([1, 2, 3])
    atol = rounding(1, 7, np.abs(expected).max())
    np.testing.assert_allclose(layer(tf.constant(codes)), expected, rtol=1e-5, atol=atol)
    never = networks.IdentityClassifier(3, dropout=0.0)
    never.build((None, 6))
    np.testing.assert_array_equal(
        never(tf.constant(codes), dropout_seed=[1, 2]), never(tf.constant(codes))
    )


def test_dropout_follows_from_its_seed():
    layer = networks.IdentityClassifier(400, dropout=0.25)
    layer.build((None, 400))
    layer.dense.kernel.assign(np.eye(400))  # Logits are what dropout leaves of the codes.
    codes = tf.ones((50, 400))
    keras.utils.set_random_seed(1)
    mask = layer(codes, dropout_seed=[3, 7]).numpy()
    keras.utils.set_random_seed(2)
    np.testing.assert_array_equal(layer(codes, dropout_seed=[3, 7]), mask)
    compiled = tf.function(lambda seed: layer(codes, dropout_seed=seed))
    np.testing.assert_array_equal(compiled(tf.constant([3, 7])), mask)
    for other in ([3, 8], [4, 7]):
        assert np.mean(layer(codes, dropout_seed=other).numpy() != mask) > 0.2
    np.testing.assert_allclose(np.unique(mask), [0, 1 / 0.75], rtol=1e-6)
    assert np.mean(mask == 0) == pytest.approx(0.25, abs=0.02)
    assert not np.array_equal(mask[0], mask[1])


@pytest.mark.parametrize(
    "layer",
    [
        networks.ConvolutionalEncoder(6, 4, domains=2, seed=9, name="a"),
        networks.PoolingEncoder(name="b"),
        networks.Decoder((4, 3, 5), 6, seed=9, name="c"),
        networks.IdentityClassifier(7, dropout=0.3, seed=9, name="d"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_config_round_trip(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    shape = (None, 4, 3, 5) if "Encoder" in type(layer).__name__ else (None, 8)
    for one in (layer, again):
        one.build(shape)
    for left, right in zip(layer.weights, again.weights, strict=True):
        np.testing.assert_array_equal(left, right)
