"""Gradients of several uses: their sum, in an order that doesn't depend on timing."""

import numpy as np
import tensorflow as tf

from arn_tf.layers import gradient_order
from tests.support import gradient_sums


def test_the_gradient_is_the_sum_in_the_order_of_the_copies():
    """In float32 1e8 - 1e8 + 1 is 1, and 1 + 1e8 - 1e8 is 0."""
    value = tf.constant([2.0])
    for factors, expected in (([1e8, -1e8, 1.0], 1), ([1.0, 1e8, -1e8], 0)):
        with tf.GradientTape() as tape:
            tape.watch(value)
            copies = gradient_order.copies(value, 3)
            total = sum(factor * copy for factor, copy in zip(factors, copies, strict=True))
        assert all(np.array_equal(copy, value) for copy in copies)
        np.testing.assert_array_equal(tape.gradient(total, value), [expected])


def test_a_copy_that_is_not_used_counts_nothing():
    value = tf.constant([2.0, 3.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(value)
        one, _ = gradient_order.copies(value, 2)
        squared, fixed = one**2, tf.constant(1.0)
    np.testing.assert_array_equal(tape.gradient(squared, value), [4, 6])
    assert tape.gradient(fixed, value) is None


def test_three_uses_are_summed_by_one_operation_without_copies():
    """What the tests of steps look for is there where nothing is done."""

    def step(batch: dict[str, tf.Tensor], copied: bool = False) -> tf.Tensor:
        value = batch["value"]
        with tf.GradientTape() as tape:
            tape.watch(value)
            uses = gradient_order.copies(value, 3) if copied else [value] * 3
            total = tf.sin(uses[0]) * tf.cos(uses[1]) + tf.exp(uses[2])
        return tf.add_n([tape.gradient(total, value), value])

    batch = {"value": tf.constant([0.5])}
    assert gradient_sums.widest(step, batch) == 3
    assert gradient_sums.widest(lambda each: step(each, copied=True), batch) == 2
