"""The callbacks that watch a run, on a stand-in for the model."""

import math
import types

import keras
import numpy as np
import pytest

from arn_tf.errors import UserError
from arn_tf.run.callbacks import CollapseWarning, NonFiniteGuard


def watched(callback, norm=2.0, steps=7):
    variables = [keras.Variable(np.ones(3), name="kernel"), keras.Variable(5, dtype="int64")]
    model = types.SimpleNamespace(
        optimizer=types.SimpleNamespace(iterations=keras.Variable(steps, dtype="int64")),
        initial_code_norm=keras.Variable(norm),
        variables=variables,
    )
    callback.set_model(model)
    return callback


@pytest.fixture
def guard():
    return watched(NonFiniteGuard(lambda: "runs/a/checkpoints/arn-0004.keras"))


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
    assert "--learning_rate_scale" in text


def test_a_gradient_that_is_not_finite_is_named(guard):
    with pytest.raises(UserError, match=r"^gradient_norm_encoder_c is not finite at step 7"):
        guard.on_train_batch_end(0, LOGS | {"gradient_norm_encoder_c": math.inf})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_the_last_step_spoilt_are_never_saved(guard, value):
    guard.model.variables[0].assign([1.0, value, 1.0])
    guard.on_train_batch_end(0, LOGS)
    with pytest.raises(UserError, match=r"^kernel is not finite at step 7. .*arn-0004.keras"):
        guard.on_epoch_end(0, LOGS)


def warnings(epoch, steps=1000, **logs):
    told = []
    callback = watched(CollapseWarning(100, lambda text, at: told.append((text, at))))
    callback.model.optimizer.iterations.assign(steps)
    callback.on_epoch_end(epoch, logs)
    assert all(at == epoch and text.startswith(f"epoch {epoch + 1}: ") for text, at in told)
    return "\n".join(text for text, _ in told)


@pytest.mark.parametrize("norm", [0.0, 0.5, 30.0, math.inf])
def test_codes_that_shrink_or_grow(norm):
    text = warnings(3, code_norm=norm, **{"class": 1.0})
    assert "the codes' norm is" in text
    assert "collapsing or exploding" in text
    assert "--learning_rate_scale" in text


@pytest.mark.parametrize("norm", [0.7, 2.0, 19.0])
def test_codes_that_keep_their_size(norm):
    assert not warnings(3, code_norm=norm, **{"class": 1.0})


def test_a_classifier_that_stays_at_chance():
    text = warnings(1, code_norm=2.0, **{"class": 4.6})
    assert "after 1000 steps L_class is 4.600" in text
    assert "log(identities) = 4.605: the codes carry no identity" in text
    assert "Train longer" in text


def test_chance_is_no_news_after_few_steps_nor_where_there_is_no_classifier():
    assert not warnings(5, steps=499, code_norm=2.0, **{"class": 4.6})
    assert not warnings(1, code_norm=2.0, **{"class": 4.4})
    assert not warnings(1, code_norm=2.0)
