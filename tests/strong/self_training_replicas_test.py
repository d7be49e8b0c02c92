"""A step of self-training on two replicas: what one learns.

The file runs itself as a program, as the CPU is split before TensorFlow starts.
"""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.layers import replicas
from arn_tf.strong.target_batches import batches
from tests.support import small_data, small_trainers
from tests.support.small_domains import both_domains
from tests.support.small_trainers import SEED, fit


def replicas_program() -> None:
    """Source and target batches differ in size, and each must be split evenly."""
    replicas.split_cpu(2)
    alone = "alone" in sys.argv
    identities, data = 6, both_domains()
    if alone:
        identities, data = 0, small_trainers.without_source(data)
    results = []
    for count in (1, 2):
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])
        with strategy.scope():
            trainer = small_trainers.trainer(identities)
            initial = [*trainer.get_weights(), trainer.memory.directions.numpy()]
            # With Adam, rounding decides the sign of a step where a gradient is 0.
            trainer.compile(optimizer=keras.optimizers.SGD(0.05, 0.9), jit_compile=False)
        logs = fit(trainer, batches(**data, steps=2, first_step=0, seed=SEED), 2)
        learnt = [(v.path, v.numpy()) for v in trainer.weights]
        learnt.append(("memory", trainer.memory.directions.numpy()))
        results.append((logs, learnt))
    (left_logs, left), (right_logs, right) = results
    assert right_logs == pytest.approx(left_logs, rel=1e-4)
    for (path, one), (_, two), old in zip(left, right, initial, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5, err_msg=path)
        given = path.startswith("encoder_i") and "moving" in path and alone
        assert np.any(one != old) or path.startswith("strong/") or given, path


def test_two_replicas_learn_what_one_does():
    small_data.run_again(__file__)


def test_two_replicas_learn_what_one_does_without_a_source():
    small_data.run_again(__file__, "alone")


if __name__ == "__main__":
    replicas_program()
