"""Sums that add up in one order: equal steps give equal bits, however busy the machine is.

Of a tensor that is used three times or more TensorFlow sums the gradients with AddN, and so it does
with three losses that are added up. It begins with whichever of them it may overwrite, and that is
a matter of timing; determinism that is asked for doesn't change it. Two have one sum.
"""

from collections.abc import Sequence

import tensorflow as tf


def summed(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the sum of gradients, or of losses, of one shape, in their order."""
    return tf.reduce_sum(tf.stack(values), axis=0)


def copies(value: tf.Tensor, count: int) -> list[tf.Tensor]:
    """Returns a tensor as often as it is to be used; gradients are summed in the copies' order.

    Args:
        value: float, of any shape.
        count: of the copies, each of which is for one use, or two.
    """

    @tf.custom_gradient
    def copied(value: tf.Tensor) -> tuple[list[tf.Tensor], object]:
        return [tf.identity(value) for _ in range(count)], lambda *each: summed(each)

    return copied(value)
