"""Our code against numbers that tensorflow-addons computed (tests/oracle/README.md)."""

import json
import pathlib
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.paper import losses
from arn_tf.paper.optimizers import apply_groups, grouped_optimizer

RECORD = json.loads((pathlib.Path(__file__).parent / "tfa_values.json").read_text())
# TFA's two layers, in two of ARN's groups.
GROUPS = {"trunk": "encoder_c", "head": "classifier_s"}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("entry", RECORD["contrastive_loss"]["margins"], ids=lambda e: e["margin"])
def test_contrastive_loss_of_tensorflow_addons(entry, compiled):
    record = RECORD["contrastive_loss"]
    function = losses.contrastive_of_distances
    pairs = (tf.function(function) if compiled else function)(
        tf.constant(record["distance"]), tf.constant(record["same_person"]), entry["margin"]
    )
    np.testing.assert_allclose(pairs, entry["per_pair"], rtol=1e-6, atol=1e-12)
    assert float(tf.reduce_mean(pairs)) == pytest.approx(entry["mean"], rel=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_multi_optimizer_of_tensorflow_addons(compiled):
    record = RECORD["multi_optimizer"]
    weights = {
        name: keras.Variable(value, name=name.replace("/", "_"))
        for name, value in record["initial_weights"].items()
    }
    groups = {
        group: [weights[f"{layer}/{part}"] for part in ("kernel", "bias")]
        for layer, group in GROUPS.items()
    }
    optimizer = grouped_optimizer(
        types.SimpleNamespace(
            variable_groups=lambda: groups, trainable_variables=list(weights.values())
        ),
        {group: record["learning_rates"][layer] for layer, group in GROUPS.items()},
        momentum=record["momentum"],
    )
    inputs, targets = tf.constant(record["inputs"]), tf.constant(record["targets"])

    def step():
        with tf.GradientTape() as tape:
            hidden = inputs @ weights["trunk/kernel"] + weights["trunk/bias"]
            outputs = hidden @ weights["head/kernel"] + weights["head/bias"]
            value = tf.reduce_mean(tf.square(outputs - targets))
        gradients = tape.gradient(value, groups)
        apply_groups(optimizer, gradients, groups)
        return value, gradients

    step = tf.function(step) if compiled else step
    assert len(record["steps"]) == 6
    for entry in record["steps"]:
        value, gradients = step()
        assert float(value) == pytest.approx(entry["loss"], rel=1e-5)
        for layer, group in GROUPS.items():
            for part, gradient in zip(("kernel", "bias"), gradients[group], strict=True):
                name = f"{layer}/{part}"
                np.testing.assert_allclose(
                    gradient, entry["gradients"][name], rtol=1e-5, atol=1e-5, err_msg=name
                )
                np.testing.assert_allclose(
                    weights[name].numpy(),
                    entry["weights"][name],
                    rtol=1e-6,
                    atol=1e-6,
                    err_msg=name,
                )
