"""Adam by one kernel beside the equations in NumPy, beside Keras's own, saved and loaded."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.layers import replicas
from arn_tf.layers.adam import Adam

RATE, STEPS = 0.02, 6
SHAPES = [(3, 4), (5,), ()]


def gradients(seed: int = 0) -> list[list[np.ndarray]]:
    """Of each step, of each variable; from 1e-6 to 100."""
    rng = np.random.default_rng(seed)
    return [
        [(10 ** rng.uniform(-6, 2) * rng.normal(size=shape)).astype("f4") for shape in SHAPES]
        for _ in range(STEPS)
    ]


def variables() -> list[keras.Variable]:
    rng = np.random.default_rng(1)
    return [
        keras.Variable(rng.normal(size=shape).astype("f4"), name=f"weight_{at}")
        for at, shape in enumerate(SHAPES)
    ]


def after(optimizer: keras.optimizers.Optimizer, traced: bool) -> list[keras.Variable]:
    found = variables()
    optimizer.build(found)
    apply = tf.function(lambda each: optimizer.apply(each, found)) if traced else None
    for each in gradients():
        if apply:
            apply([tf.constant(value) for value in each])
        else:
            optimizer.apply([tf.constant(value) for value in each], found)
    return found


@pytest.mark.parametrize("traced", [False, True])
def test_beside_the_equations(traced):
    optimizer = Adam(RATE, beta_1=0.8, beta_2=0.95, epsilon=1e-4)
    found = after(optimizer, traced)
    values = [each.numpy().astype(np.float64) for each in variables()]
    first, second = ([np.zeros_like(each) for each in values] for _ in range(2))
    for step, of_step in enumerate(gradients(), start=1):
        for at, gradient in enumerate(of_step):
            first[at] = 0.8 * first[at] + 0.2 * gradient
            second[at] = 0.95 * second[at] + 0.05 * gradient.astype(np.float64) ** 2
            rate = RATE * np.sqrt(1 - 0.95**step) / (1 - 0.8**step)
            values[at] = values[at] - rate * first[at] / (np.sqrt(second[at]) + 1e-4)
    for left, right in zip(found, values, strict=True):
        np.testing.assert_allclose(left.numpy(), right, rtol=2e-5, atol=1e-6)
    assert int(optimizer.iterations) == STEPS


def test_beside_kerass_own_with_a_schedule():
    def schedule() -> keras.optimizers.schedules.LearningRateSchedule:
        return keras.optimizers.schedules.CosineDecay(0.0, 4, warmup_target=0.05, warmup_steps=2)

    own, kerass = Adam(schedule()), keras.optimizers.Adam(schedule())
    for left, right in zip(after(own, True), after(kerass, True), strict=True):
        np.testing.assert_allclose(left.numpy(), right.numpy(), rtol=5e-5, atol=1e-6)
    for left, right in zip(own.variables, kerass.variables, strict=True):
        assert left.path.split("/")[1:] == right.path.split("/")[1:]
        # 1 - .999 is another number in float32 than in Python's float.
        np.testing.assert_allclose(left.numpy(), right.numpy(), rtol=1e-4, atol=1e-12)


def test_a_saved_one_goes_on(tmp_path):
    def model(optimizer: keras.optimizers.Optimizer) -> keras.Model:
        keras.utils.set_random_seed(0)
        found = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        found.compile(optimizer, "mse", jit_compile=False)
        return found

    def fit(each: keras.Model, batches: range) -> None:
        rng = np.random.default_rng(2)
        x, y = rng.normal(size=(6, 8, 4)), rng.normal(size=(6, 8, 2))
        for at in batches:
            each.train_on_batch(x[at], y[at])

    through, stopped = model(Adam(0.1)), model(Adam(0.1))
    fit(through, range(6))
    fit(stopped, range(3))
    stopped.save(tmp_path / "stopped.keras")
    again = keras.models.load_model(tmp_path / "stopped.keras")
    assert type(again.optimizer) is Adam
    fit(again, range(3, 6))
    for left, right in zip(through.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def replicas_program() -> None:
    """Two replicas move alike, as Keras's own does with the sum of their gradients."""
    replicas.split_cpu(2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        found, own = variables(), Adam(RATE)
        own.build(found)

    @tf.function
    def step(each: list[tf.Tensor]) -> None:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        share = 0.25 + 0.5 * tf.cast(replica, tf.float32)
        own.apply([share * value for value in each], found)

    for each in gradients():
        strategy.run(step, args=([tf.constant(value) for value in each],))
    expected = after(keras.optimizers.Adam(RATE), traced=True)
    for left, right in zip(found, expected, strict=True):
        one, other = (value.numpy() for value in left.value.values)
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, right.numpy(), rtol=5e-5, atol=1e-6)
    for left in own.variables[2:]:
        one, other = (value.numpy() for value in left.value.values)
        np.testing.assert_array_equal(one, other)


def test_two_replicas():
    done = subprocess.run(
        [sys.executable, "-m", "tests.layers.adam_test"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def test_what_the_kernel_has_not():
    with pytest.raises(ValueError, match="amsgrad=True"):
        after(Adam(RATE, amsgrad=True), traced=False)


if __name__ == "__main__":
    replicas_program()
