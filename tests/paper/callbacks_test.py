"""Warnings of collapse, on a stand-in for the model."""

import math
import types

import keras
import pytest
import tensorflow as tf

from arn_tf.paper import callbacks
from arn_tf.paper.callbacks import CollapseWarning


def warnings(epoch, steps=1000, **logs):
    written = []
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(callbacks.tf.summary, "text", lambda name, text: written.append(text))
    callback = CollapseWarning(100, tf.summary.create_noop_writer())
    callback.set_model(
        types.SimpleNamespace(
            optimizer=types.SimpleNamespace(iterations=keras.Variable(steps, dtype="int64")),
            initial_code_norm=keras.Variable(2.0),
        )
    )
    with monkeypatch.context():
        callback.on_epoch_end(epoch, logs)
    monkeypatch.undo()
    assert all(text.startswith(f"epoch {epoch + 1}: ") for text in written)
    return "\n".join(written)


@pytest.mark.parametrize("norm", [0.0, 0.5, 30.0, math.inf])
def test_codes_that_shrink_or_grow(norm):
    text = warnings(3, code_norm=norm, **{"class": 1.0})
    assert "the codes' norm is" in text
    assert "collapsing or exploding" in text
    assert "learning_rate_scale" in text


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
