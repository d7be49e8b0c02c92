"""Group normalisation beside Keras's own: the same numbers, and the same files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.backbones.group_normalization import GroupNormalization


def pair(groups: int, **options) -> list[keras.layers.Layer]:
    rng = np.random.default_rng(0)
    found = [
        each(groups=groups, epsilon=1e-5, **options)
        for each in (GroupNormalization, keras.layers.GroupNormalization)
    ]
    weights = rng.normal(size=(2, 6)).astype(np.float32)
    for layer in found:
        layer.build((None, 5, 4, 6))
        layer.set_weights(list(weights))
    return found


@pytest.mark.parametrize("groups", [-1, 6, 3, 1])
def test_keras_computes_the_same(groups):
    maps = np.random.default_rng(1).normal(3, 20, (7, 5, 4, 6)).astype(np.float32)
    own, keras_own = (layer(maps) for layer in pair(groups))
    np.testing.assert_allclose(own, keras_own, rtol=1e-4, atol=1e-5)


def test_moments_are_float32_under_another_policy():
    # Squares beyond the largest number of 16 bits, and a mean that 8 bits of fraction would lose.
    maps = tf.constant(np.random.default_rng(1).normal(500, 20, (2, 5, 4, 6)), tf.float16)
    own, _ = pair(-1, dtype="float16")
    exact, _ = pair(-1)
    found = own(maps)
    assert found.dtype == tf.float16
    expected = exact(tf.cast(maps, tf.float32))
    np.testing.assert_allclose(tf.cast(found, tf.float32), expected, rtol=2e-3, atol=2e-3)


def test_no_axis_is_added():
    """What a runtime without a fast path for five axes depends on."""
    own, keras_own = pair(-1)
    signature = [tf.TensorSpec([None, 5, 4, 6])]

    def most_axes(layer: keras.layers.Layer) -> int:
        graph = tf.function(layer.call, input_signature=signature).get_concrete_function().graph
        return max(out.shape.rank for op in graph.get_operations() for out in op.outputs)

    assert (most_axes(own), most_axes(keras_own)) == (4, 5)


def test_files_are_kerass(tmp_path):
    """Weights that a network with Keras's own layer wrote, and the other way round."""
    networks, path = [], tmp_path / "network.weights.h5"
    for layer in pair(-1):
        pictures = keras.Input((5, 4, 6))
        networks.append(keras.Model(pictures, layer(pictures)))
    maps = np.random.default_rng(1).normal(size=(2, 5, 4, 6)).astype(np.float32)
    expected = networks[0](maps)
    for writer, reader in (networks, networks[::-1]):
        writer.save_weights(path)
        reader.layers[1].set_weights([np.zeros(6), np.zeros(6)])
        reader.load_weights(path)
        np.testing.assert_allclose(reader(maps), expected, rtol=1e-4, atol=1e-5)
