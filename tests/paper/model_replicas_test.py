"""ARN on any number of replicas: the same weights, momentum and logs.

This file runs itself as a program, as the CPU is split before TensorFlow starts.
"""

import sys

import numpy as np
import pytest
import tensorflow as tf

from arn_tf.paper.model import PAPER_WEIGHTS
from arn_tf.paper.optimizers import grouped_optimizer
from tests.support import small_data
from tests.support.small_arn import random_images, small_arn


def replicas_program(case):
    """Trains with several numbers of replicas and compares weights, momentum and logs."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # Starts sooner.
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 4
    )
    literal = case == "literal"
    # The sums as printed explode after one step, whatever the number of replicas.
    steps, rate, counts = (1, 1e-9, (1, 2)) if literal else (3, 1e-3, (1, 2, 4))
    batches = {
        f"{domain}_images": np.stack([random_images(i + seed, 8) for i in range(steps)])
        for domain, seed in (("source", 0), ("target", 50))
    } | {"source_labels": np.stack([np.array([0, 0, 1, 1, 2, 2, 0, 1], np.int32)] * steps)}
    results, initial = {}, None
    for count in counts:
        # TensorFlow refuses a device in collectives of two sizes, unless their keys differ.
        keys = {"_collective_key_base": 1000 * count}
        strategy = type("Strategy", (tf.distribute.MirroredStrategy,), keys)(
            [f"CPU:{i}" for i in range(count)]
        )
        with strategy.scope():
            model = small_arn(
                loss_normalization="literal" if literal else "normalized",
                # The paper's 1500 is for codes of 2048 entries.
                loss_weights={"difference": 0.1},
            )
            if initial is None:
                model.calibrate(model.feature_maps(random_images(9, 20)))
                initial = model.get_weights()
            model.set_weights(initial)
            rates = dict.fromkeys(model.variable_groups(), rate)
            model.compile(optimizer=grouped_optimizer(model, rates), jit_compile=False)
        model.tune_encoder_i = not literal
        logs = model.fit(
            tf.data.Dataset.from_tensor_slices(batches), shuffle=False, verbose=0
        ).history
        optimizer = [(v.path, v.numpy()) for v in model.optimizer.variables]
        results[count] = logs, [(v.path, v.numpy()) for v in model.weights], optimizer
    logs, weights, optimizer = results[1]
    groups = {group for group in model.variable_groups() if not literal or group != "encoder_i"}
    assert set(logs) == {"loss", "code_norm", *PAPER_WEIGHTS} | {
        f"gradient_norm_{group}" for group in groups
    }, sorted(logs)
    for path, value in optimizer:
        if path.endswith("kernel_momentum"):
            assert np.any(value) == (path.split("/")[0] in groups), path
    for count in counts[1:]:
        for name, values in logs.items():
            np.testing.assert_allclose(
                results[count][0][name], values, rtol=1e-5, err_msg=f"{name}, {count} replicas"
            )
        for ours, others in zip((weights, optimizer), results[count][1:], strict=True):
            for (path, left), (_, right) in zip(ours, others, strict=True):
                error = np.abs(left - right).max()
                assert error <= 1e-5 * np.abs(left).max() + 1e-10, (path, error, count)


@pytest.mark.parametrize("case", ["normalized", "literal"])
def test_any_number_of_replicas_gives_the_same_model(case):
    small_data.run_again(__file__, case)


if __name__ == "__main__":
    replicas_program(sys.argv[1])
