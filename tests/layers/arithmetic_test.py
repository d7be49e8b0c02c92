"""Both models give the same numbers under every dtype policy of Keras's, made there or loaded."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import arn_tf
from arn_tf.layers.arithmetic import in_float32
from tests.support import small_data
from tests.support.user_errors import refused

POLICIES = ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64"]
SIZE = (small_data.HEIGHT, small_data.WIDTH)
IMAGES = np.random.default_rng(0).integers(0, 256, (8, *SIZE, 3), np.uint8)
LABELS = np.arange(8) // 2


def arn(**changes):
    return arn_tf.ARN(
        4,
        backbone="Tiny",
        backbone_weights="random",
        input_size=SIZE,
        embedding_dim=64,
        hidden_width=32,
        **changes,
    )


def strong(**changes):
    return arn_tf.StrongModel(
        4, backbone="Tiny", backbone_weights="random", input_size=SIZE, last_stride=2, **changes
    )


def trained_arn():
    """One step with the paper's losses, gamma of 1500 and rates of 1e-7 upwards."""
    model = arn()
    model.calibrate(model.feature_maps(IMAGES))
    model.tune_encoder_i = True
    model.compile(optimizer=arn_tf.grouped_optimizer(model), run_eagerly=True)
    batch = {"source_images": IMAGES, "source_labels": LABELS, "target_images": IMAGES[::-1]}
    return model, model.fit(tf.data.Dataset.from_tensors(batch), verbose=0).history


def trained_strong():
    model = strong()
    model.compile(optimizer=keras.optimizers.Adam(1e-3), run_eagerly=True)
    batch = {"source_images": IMAGES.astype(np.float32), "source_labels": LABELS}
    return model, model.fit(tf.data.Dataset.from_tensors(batch), verbose=0).history


# Embeddings of pictures as decoding makes them, and as float.
MODELS = {
    "arn": (trained_arn, lambda model: [model.embed(IMAGES), model(IMAGES.astype("f4"), domain=0)]),
    "strong": (
        trained_strong,
        lambda model: [model(IMAGES), model(IMAGES.astype("f4"), rows=tf.zeros(8, tf.int32))],
    ),
}


def run(name):
    """Trains; returns the losses, the embeddings and the model."""
    keras.utils.set_random_seed(0)
    train, embed = MODELS[name]
    model, losses = train()
    return losses, embed(model), model


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Of each model under float32: losses, embeddings, and the file that holds it."""
    found = {}
    for name in MODELS:
        losses, embeddings, model = run(name)
        path = tmp_path_factory.mktemp(name) / "model.keras"
        model.save(path)
        found[name] = losses, embeddings, path
    return found


@pytest.fixture(params=POLICIES)
def policy(request):
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("name", MODELS)
def test_training_and_embedding(expected, policy, name):
    with pytest.warns(UserWarning, match=f"policy, {policy}, has no effect"):
        losses, embeddings, model = run(name)
    assert losses == expected[name][0]
    np.testing.assert_array_equal(embeddings, expected[name][1])
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert keras.config.dtype_policy().name == policy


@pytest.mark.parametrize("name", MODELS)
def test_files_of_float32(expected, policy, name):
    with pytest.warns(UserWarning, match="computes in float32"):
        model = keras.models.load_model(expected[name][2])
    np.testing.assert_array_equal(MODELS[name][1](model), expected[name][1])


@pytest.mark.parametrize("make", [arn, strong])
def test_files_made_under_another_policy(policy, make, tmp_path):
    with pytest.warns(UserWarning, match="computes in float32"):
        model = make()
    model.save(tmp_path / "model.keras")
    keras.config.set_dtype_policy("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(found(IMAGES), model(IMAGES))


@pytest.mark.parametrize("make", [arn, strong])
@pytest.mark.parametrize("dtype", ["mixed_float16", keras.DTypePolicy("float64")])
def test_another_dtype_is_refused(make, dtype):
    with refused(r"dtype=(mixed_float16|float64): \w+ computes in float32; leave dtype out"):
        make(dtype=dtype)
    assert make(dtype="float32").dtype_policy.name == "float32"


@pytest.mark.parametrize("name", MODELS)
def test_another_floatx_is_refused(expected, name):
    keras.config.set_floatx("float16")
    try:
        with refused(r'floatx is float16, .* call keras.config.set_floatx\("float32"\)'):
            keras.models.load_model(expected[name][2])
    finally:
        keras.config.set_floatx("float32")


def test_the_strong_recipe_keeps_its_own_precision(policy):
    with pytest.warns(UserWarning, match="computes in float32"):
        model = strong(precision="bfloat16")
    policies = {
        layer.dtype_policy.name for layer in model.encoder_i.layers if layer.trainable_weights
    }
    assert policies == {"mixed_bfloat16"}
    assert model.classifier.dtype_policy.name == "float32"


def test_the_policy_comes_back_after_an_error():
    @in_float32
    def construct(self):
        raise ValueError

    keras.config.set_dtype_policy("mixed_float16")
    try:
        with pytest.warns(UserWarning), pytest.raises(ValueError):
            construct(object())
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy("float32")
