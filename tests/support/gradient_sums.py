"""How gradients are summed in a traced step."""

from collections.abc import Callable, Mapping

import tensorflow as tf


def widest(step: Callable[..., object], batch: Mapping[str, tf.Tensor]) -> int:
    """Returns the most gradients that one operation of a step adds up; of three the order varies.

    Args:
        step: as Keras's `train_step`; its optimizer is built.
        batch: for it.
    """
    graph = tf.function(step).get_concrete_function(batch).graph
    sums = [len(each.inputs) for each in graph.get_operations() if each.type == "AddN"]
    return max(sums, default=0)
