"""What a step of ARN trains, in its variants too, and by any optimizer of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.paper.model import PAPER_WEIGHTS, SOURCE, TARGET
from arn_tf.paper.optimizers import grouped_optimizer
from tests.support import gradient_sums
from tests.support.small_arn import (
    NONE,
    fit,
    group_values,
    images_batch,
    maps_batch,
    moved,
    random_images,
    random_maps,
    small_arn,
)

# What trains.


def test_encoder_i_is_frozen_until_told():
    model = small_arn()
    model.calibrate(model.feature_maps(random_images(1)))
    # Rates at which a step is seen in float32.
    model.compile(optimizer=grouped_optimizer(model, {"encoder_i": 1e-3}), jit_compile=False)
    before = [variable.numpy() for variable in model.encoder_i.variables]
    start = group_values(model)
    fit(model, images_batch(), steps=2)
    for variable, old in zip(model.encoder_i.variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)
    assert moved(model, start) == set(start) - {"encoder_i"}

    model.tune_encoder_i = True
    model.make_train_function(force=True)
    logs = fit(model, images_batch(), steps=1)
    assert moved(model, start) == set(start)
    assert logs["gradient_norm_encoder_i"] > 0
    # Its BatchNorm keeps its statistics.
    for variable, old in zip(model.encoder_i.variables, before, strict=True):
        assert np.array_equal(variable, old) != variable.trainable, variable.path


def test_the_target_of_the_reconstruction_is_detached():
    """E_I gets L_rec's gradient through the encoders alone."""
    model = small_arn(loss_weights=NONE | {"reconstruction": 1.0})
    batch = images_batch()
    model.calibrate(model.feature_maps(batch["source_images"]))
    model.tune_encoder_i = True
    variables = model.encoder_i.trainable_variables
    fixed = [
        model.scaled(model.feature_maps(batch[key])).numpy()
        for key in ("source_images", "target_images")
    ]

    def by_hand(detached):
        with tf.GradientTape() as tape:
            maps = [
                model.scaled(model.feature_maps(batch[key]))
                for key in ("source_images", "target_images")
            ]
            codes = [model.encoder_c(maps[d], domain=d, training=True) for d in range(2)]
            privates = [
                model.encoder_s(maps[0], training=True),
                model.encoder_t(maps[1], training=True),
            ]
            both = [tf.concat(pair, 1) for pair in zip(codes, privates, strict=True)]
            rebuilt = tf.split(model.decoder_c(tf.concat(both, 0), training=True), 2)
            value = sum(
                tf.reduce_mean(tf.square(target - guess))
                for target, guess in zip(fixed if detached else maps, rebuilt, strict=True)
            )
        return tape.gradient(value, variables)

    with tf.GradientTape() as tape:
        terms, _ = model.compute_losses(batch)
    ours = tape.gradient(terms["reconstruction"], variables)
    detached, attached = by_hand(True), by_hand(False)
    scale = float(tf.linalg.global_norm(detached))

    def distance(left, right):
        return float(tf.linalg.global_norm([a - b for a, b in zip(left, right, strict=True)]))

    assert scale > 0
    assert distance(ours, detached) < 1e-3 * scale
    assert distance(ours, attached) > 0.1 * scale


@pytest.mark.parametrize(
    ("weights", "terms", "expected"),
    [
        ({"class": 1.0}, {"class"}, {"encoder_c", "classifier_s"}),
        ({"contrastive": 1.0}, {"contrastive"}, {"encoder_c"}),
        (
            {"reconstruction": 1.0},
            {"reconstruction"},
            {"encoder_c", "encoder_s", "encoder_t", "decoder_c"},
        ),
        ({"difference": 1.0}, {"difference"}, {"encoder_c", "encoder_s", "encoder_t"}),
        (
            {"class": 1.0, "contrastive": 1.0},
            {"class", "contrastive"},
            {"encoder_c", "classifier_s"},
        ),
    ],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, dict) else "",
)
def test_terms_without_weight_are_absent(weights, terms, expected):
    model = small_arn(loss_weights=NONE | weights)
    model.calibrate(random_maps(9, 20))
    model.compile(optimizer=grouped_optimizer(model), run_eagerly=True)
    batch = maps_batch()
    if not terms & {"reconstruction", "difference"}:
        del batch["target_maps"]
    start = group_values(model)
    statistics = {
        name: [v.numpy() for v in getattr(model, name).non_trainable_variables] for name in start
    }
    logs = fit(model, batch, steps=2)
    assert moved(model, start) == expected
    assert set(logs) == {"loss", "code_norm"} | terms | {f"gradient_norm_{g}" for g in expected}
    for name in set(start) - expected:
        after = getattr(model, name).non_trainable_variables
        for variable, old in zip(after, statistics[name], strict=True):
            np.testing.assert_array_equal(variable, old)


def test_a_step_moves_the_statistics_of_both_domains_of_the_shared_encoder():
    model = small_arn()
    model.compile(optimizer=grouped_optimizer(model), run_eagerly=True)
    variable = model.encoder_c.normalizations[0].moving_mean
    before = variable.numpy().copy()
    model.loss_weights = PAPER_WEIGHTS | {"reconstruction": 0.0, "difference": 0.0}
    fit(model, maps_batch())
    np.testing.assert_array_equal(np.any(variable.numpy() != before, axis=1), [True, False])
    model.loss_weights = dict(PAPER_WEIGHTS)
    fit(model, maps_batch())
    np.testing.assert_array_equal(np.any(variable.numpy() != before, axis=1), [True, True])


# Variants.


def test_without_private_encoders():
    model = small_arn(private_encoders=False)
    assert model.encoder_s is model.encoder_t is None
    assert set(model.variable_groups()) == {"encoder_i", "encoder_c", "decoder_c", "classifier_s"}
    assert model.decoder_c.expand.kernel.shape[0] == 16
    model.calibrate(random_maps(9, 20))
    model.compile(optimizer=grouped_optimizer(model), run_eagerly=True)
    start = group_values(model)
    logs = fit(model, maps_batch())
    assert "difference" not in logs
    assert moved(model, start) == {"encoder_c", "decoder_c", "classifier_s"}


def test_pooling_shared_encoder():
    model = small_arn(shared_encoder="pooling", embedding_dim=16)
    assert model.embedding_dim == 24
    maps = random_maps(3)
    model.calibrate(random_maps(9, 20))
    expected = maps.mean(axis=(1, 2))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    for domain in (SOURCE, TARGET):
        np.testing.assert_allclose(
            model.embed_maps(tf.constant(maps), domain), expected, rtol=1e-4, atol=1e-6
        )
    model.compile(optimizer=grouped_optimizer(model), run_eagerly=True)
    start = group_values(model)
    logs = fit(model, maps_batch())
    assert set(PAPER_WEIGHTS) < set(logs)
    assert moved(model, start) == {"encoder_s", "encoder_t", "decoder_c", "classifier_s"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shared_encoder": "max"}, "shared_encoder must be .*'max'"),
        ({"loss_weights": {"triplet": 1.0}}, r"names no terms of ARN: \['triplet'\]"),
        ({"backbone": "ResNet51"}, "ResNet51: not a network"),
    ],
)
def test_arguments_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        small_arn(**options)


def test_map_of_one_position():
    model = small_arn(input_size=(8, 8))
    assert model.map_shape == (1, 1, 24)
    model.compile(optimizer=grouped_optimizer(model), run_eagerly=True)
    batch = {
        key: value[:, :1, :1] if key.endswith("maps") else value
        for key, value in maps_batch().items()
    }
    assert np.isfinite(fit(model, batch)["loss"])


# Plain Keras.


def test_any_keras_optimizer():
    model = small_arn(dropout=0.0)
    model.calibrate(random_maps(9, 20))
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    start = group_values(model)
    first, later = fit(model, maps_batch()), fit(model, maps_batch(), steps=10)
    assert moved(model, start) == set(start) - {"encoder_i"}
    assert later["loss"] < first["loss"]
    assert int(model.optimizer.iterations) == 11


@pytest.mark.parametrize("kind", ["literal", "normalized"])
def test_no_three_gradients_are_summed_in_an_order_that_varies(kind):
    model = small_arn(loss_normalization=kind)
    model.compile(optimizer=grouped_optimizer(model), jit_compile=False)
    batch = {name: tf.constant(value) for name, value in images_batch().items()}
    assert gradient_sums.widest(model.train_step, batch) == 2


def test_training_lowers_each_term():
    for term, rate in (("class", 0.1), ("contrastive", 0.1), ("reconstruction", 0.1)):
        model = small_arn(dropout=0.0, loss_weights=NONE | {term: 1.0})
        model.calibrate(random_maps(9, 20))
        model.compile(optimizer=keras.optimizers.Adam(rate / 10), run_eagerly=True)
        first = fit(model, maps_batch())[term]
        fit(model, maps_batch(), steps=5)
        assert fit(model, maps_batch())[term] < first, term
