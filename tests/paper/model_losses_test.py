"""ARN's objective against loops in NumPy: its terms, weights and dropout."""

import math

import numpy as np
import pytest
import tensorflow as tf

from arn_tf.paper.model import SOURCE, TARGET
from arn_tf.paper.optimizers import grouped_optimizer
from tests.support.small_arn import (
    NONE,
    fit,
    images_batch,
    maps_batch,
    random_maps,
    small_arn,
)
from tests.support.small_tolerance import rounding


def slow_losses(model, batch, kind):
    """The objective in loops, in float64, from the codes that the sub-networks give."""
    source, target = (batch[f"{d}_maps"] / model.feature_scale for d in ("source", "target"))
    code_s = model.encoder_c(source, domain=SOURCE, training=True)
    code_t = model.encoder_c(target, domain=TARGET, training=True)
    private_s = model.encoder_s(source, training=True)
    private_t = model.encoder_t(target, training=True)
    rebuilt = model.decoder_c(
        tf.concat([tf.concat([code_s, private_s], 1), tf.concat([code_t, private_t], 1)], 0),
        training=True,
    )
    logits = np.asarray(model.classifier_s(code_s), np.float64)
    source, target, code_s, code_t, private_s, private_t, rebuilt = (
        np.asarray(x, np.float64)
        for x in (source, target, code_s, code_t, private_s, private_t, rebuilt)
    )
    labels, count = batch["source_labels"], len(source)
    entropy = [
        math.log(sum(math.exp(x) for x in row)) - row[label]
        for row, label in zip(logits, labels, strict=True)
    ]
    contrastive = 0.0
    for i in range(count):
        for j in range(count):
            same = labels[i] == labels[j]
            if kind == "literal":
                entries = code_s[i] - code_s[j]
                contrastive += sum(
                    e**2 if same else max(0.0, model.margin - e) ** 2 for e in entries
                )
            elif i != j:
                ends = [code_s[k] / np.linalg.norm(code_s[k]) for k in (i, j)]
                distance = np.linalg.norm(ends[0] - ends[1])
                contrastive += distance**2 if same else max(0.0, model.margin - distance) ** 2

    def difference(shared, private):
        if kind == "normalized":
            shared, private = (x - x.mean(axis=0) for x in (shared, private))
            shared, private = (
                x / np.linalg.norm(x, axis=1, keepdims=True) for x in (shared, private)
            )
            return np.mean((private.T @ shared) ** 2)
        return np.sum((private.T @ shared) ** 2)

    reduce = np.sum if kind == "literal" else np.mean
    return {
        "class": np.mean(entropy),
        "contrastive": contrastive,
        "reconstruction": reduce((source - rebuilt[:count]) ** 2)
        + reduce((target - rebuilt[count:]) ** 2),
        "difference": difference(code_s, private_s) + difference(code_t, private_t),
    }, np.mean(np.linalg.norm(code_s, axis=1))


@pytest.mark.parametrize("kind", ["normalized", "literal"])
def test_losses_equal_loops(kind):
    model = small_arn(dropout=0.0, margin=1.2, loss_normalization=kind)
    model.calibrate(random_maps(9, 20))
    batch = maps_batch()
    expected, norm = slow_losses(model, batch, kind)
    for run in (model.compute_losses, tf.function(model.compute_losses)):
        terms, code_norm = run(batch)
        assert list(terms) == ["class", "contrastive", "reconstruction", "difference"]
        assert {k: float(v) for k, v in terms.items()} == pytest.approx(expected, rel=1e-4)
        assert float(code_norm) == pytest.approx(norm, rel=1e-5)


def test_losses_of_images_are_those_of_their_maps(calibrated_arn):
    shared = calibrated_arn
    images = images_batch()
    maps = {
        "source_labels": images["source_labels"],
        "source_maps": shared.feature_maps(images["source_images"]),
        "target_maps": shared.feature_maps(images["target_images"]),
    }
    left, right = (shared.compute_losses(batch)[0] for batch in (images, maps))
    # The 52 convolutions of MobileNetV2, the widest over 960 channels, and three of an encoder.
    rel = rounding(55, 1280)
    for name, value in left.items():
        assert float(value) == pytest.approx(float(right[name]), rel=rel), name


def test_logged_loss_is_the_weighted_sum():
    weights = {"class": 0.5, "contrastive": 0.25, "reconstruction": 3.0, "difference": 7.0}
    model = small_arn(dropout=0.0, loss_weights=weights)
    model.calibrate(random_maps(9, 20))
    model.compile(optimizer=grouped_optimizer(model), jit_compile=False)
    expected, norm = slow_losses(model, maps_batch(), "normalized")
    logs = fit(model, maps_batch())
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=1e-4), name
    assert logs["code_norm"] == pytest.approx(norm, rel=1e-4)
    total = sum(weights[name] * value for name, value in expected.items())
    assert logs["loss"] == pytest.approx(total, rel=1e-4)
    assert {k for k in logs if k.startswith("gradient_norm_")} == {
        f"gradient_norm_{name}" for name in model.variable_groups() if name != "encoder_i"
    }


def test_paper_weights_are_the_default():
    assert small_arn(loss_weights={"difference": 3.0}).loss_weights == {
        "class": 1.0,
        "contrastive": 0.01,
        "reconstruction": 2.0,
        "difference": 3.0,
    }


def test_dropout_follows_from_seed_and_step():
    model = small_arn(dropout=0.5, loss_weights=NONE | {"class": 1.0})
    model.calibrate(random_maps(9, 20))
    values = {
        step: float(model.compute_losses(maps_batch(), step)[0]["class"]) for step in (0, 1, 2)
    }
    assert len(set(values.values())) == 3
    assert float(model.compute_losses(maps_batch(), 1)[0]["class"]) == values[1]
    model.seed = 1
    assert float(model.compute_losses(maps_batch(), 1)[0]["class"]) != values[1]


def test_calibrated_losses_do_not_depend_on_the_scale_of_maps():
    values = []
    for factor in (1.0, 1e-4):
        model = small_arn(dropout=0.0)
        model.calibrate(factor * random_maps(9, 20))
        batch = maps_batch()
        for domain in ("source", "target"):
            batch[f"{domain}_maps"] = factor * batch[f"{domain}_maps"]
        values.append({k: float(v) for k, v in model.compute_losses(batch)[0].items()})
    assert values[0] == pytest.approx(values[1], rel=1e-4)
