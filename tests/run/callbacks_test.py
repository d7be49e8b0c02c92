"""The callbacks that watch a run, on a stand-in for the model."""

import math
import types

import keras
import numpy as np
import pytest

from arn_tf.errors import UserError
from arn_tf.paper.constants import SYMBOLS
from arn_tf.run import command_line
from arn_tf.run.callbacks import NonFiniteGuard


def watched(callback, steps=7):
    variables = [keras.Variable(np.ones(3), name="kernel"), keras.Variable(5, dtype="int64")]
    model = types.SimpleNamespace(
        optimizer=types.SimpleNamespace(iterations=keras.Variable(steps, dtype="int64")),
        variables=variables,
    )
    callback.set_model(model)
    return callback


@pytest.fixture
def guard():
    last_good = "runs/a/checkpoints/arn-0004.keras"
    return watched(
        NonFiniteGuard(
            lambda: last_good, "learning_rate_scale", ", or margin=0", ["margin"], SYMBOLS
        )
    )


LOGS = {"loss": 3.0, "class": 1.0, "contrastive": 2.0, "gradient_norm_encoder_c": 1.0}


def test_finite_numbers_pass(guard):
    guard.on_train_batch_end(0, LOGS)
    guard.on_train_batch_end(0, None)
    guard.on_epoch_end(0, LOGS)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "terms, named",
    [
        (["contrastive"], "L_ctrs"),
        (["class", "difference"], "L_class, L_diff"),
        (["reconstruction"], "L_rec"),
    ],
)
def test_terms_that_are_not_finite_are_named(guard, value, terms, named):
    logs = LOGS | dict.fromkeys([*terms, "loss"], value)
    with pytest.raises(UserError) as caught:
        guard.on_train_batch_end(0, logs)
    text = str(caught.value)
    assert text.startswith(f"{named}, loss is not finite at step 7. The last good state is runs/a/")
    assert "arn-0004.keras" in text
    assert text.endswith(
        "In a new model_dir, make the steps smaller with learning_rate_scale, or margin=0"
    )
    assert command_line.message(caught.value).endswith(
        "In a new --model_dir, make the steps smaller with --learning_rate_scale, or --margin=0"
    )


def test_a_gradient_that_is_not_finite_is_named(guard):
    with pytest.raises(UserError, match=r"^gradient_norm_encoder_c is not finite at step 7"):
        guard.on_train_batch_end(0, LOGS | {"gradient_norm_encoder_c": math.inf})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_the_last_step_spoilt_are_never_saved(guard, value):
    guard.model.variables[0].assign([1.0, value, 1.0])
    guard.on_train_batch_end(0, LOGS)
    with pytest.raises(UserError, match=r"^kernel is not finite at step 7. .*arn-0004.keras"):
        guard.on_epoch_end(0, LOGS)
