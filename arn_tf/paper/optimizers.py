"""One SGD per sub-network, in a `keras.optimizers.MultiOptimizer`.

Groups are lists of variables that their sub-networks own, never path patterns: the variables of a
`keras.applications` network carry no common prefix, so a pattern would hand E_I the default rate
without a word. The map's keys are the exact paths, which keeps the optimizer serialisable.
"""

import re
from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from arn_tf.paper.constants import MOMENTUM, PAPER_LEARNING_RATES


@keras.saving.register_keras_serializable(package="arn_tf")
class ConstantThenCosine(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate stays constant, then falls to zero along half a cosine.

    Keras's `CosineDecay`, warmed up from the rate to itself, is the same but for the last bits: in
    a compiled step TensorFlow folds its constants differently, and equal seeds would no longer give
    the runs that were measured.

    Args:
        learning_rate: the constant rate.
        constant_steps: steps at that rate.
        cosine_steps: steps from there to zero; 0 keeps the rate constant for ever.
    """

    def __init__(self, learning_rate: float, constant_steps: int, cosine_steps: int) -> None:
        self.learning_rate = learning_rate
        self.constant_steps = constant_steps
        self.cosine_steps = cosine_steps

    def __call__(self, step: int | tf.Tensor) -> tf.Tensor:
        passed = tf.cast(step, tf.float32) - self.constant_steps
        share = tf.clip_by_value(passed / max(self.cosine_steps, 1), 0.0, 1.0)
        share = share if self.cosine_steps else 0.0 * share
        return self.learning_rate * 0.5 * (1.0 + tf.cos(3.141592653589793 * share))

    def get_config(self) -> dict:
        return {
            "learning_rate": self.learning_rate,
            "constant_steps": self.constant_steps,
            "cosine_steps": self.cosine_steps,
        }


def grouped_optimizer(
    model: keras.Model,
    learning_rates: Mapping[str, float | keras.optimizers.schedules.LearningRateSchedule]
    | None = None,
    momentum: float = MOMENTUM,
) -> keras.optimizers.MultiOptimizer:
    """Returns SGD with one learning rate per variable group of an `ARN`.

    Args:
        model: has `variable_groups()` -> {group: variables} and `trainable_variables`.
        learning_rates: {group: float or schedule}; what is left out takes the paper's rate.
        momentum: of every group.

    Returns:
        A built `keras.optimizers.MultiOptimizer`; each inner optimizer bears its group's name.

    Raises:
        ValueError: a variable in two groups or in none, or a rate for a group that isn't there.
    """
    groups = {name: list(owned) for name, owned in model.variable_groups().items() if owned}
    rates = PAPER_LEARNING_RATES | (learning_rates or {})
    unknown = sorted(set(learning_rates or {}) - set(PAPER_LEARNING_RATES))
    if unknown:
        raise ValueError(f"no such variable group: {unknown}; there are {sorted(rates)}")
    check_partition(groups, model.trainable_variables)
    optimizers = {
        # An alternation of exact paths: one key, and so one optimizer, for each group.
        "|".join(re.escape(variable.path) for variable in owned): keras.optimizers.SGD(
            rates[name], momentum=momentum, name=name
        )
        for name, owned in groups.items()
    }
    # Never used, as every variable is in a group; were one not, it would stand still.
    default = keras.optimizers.SGD(0.0, name="no_group")
    optimizer = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(default, optimizers), name="grouped_sgd"
    )
    optimizer.build(model.trainable_variables)
    return optimizer


def check_partition(
    groups: Mapping[str, Sequence[keras.Variable]], variables: Sequence[keras.Variable]
) -> None:
    """Raises ValueError unless every variable is in exactly one group and bears a unique path."""
    owners = {}
    for name, owned in groups.items():
        for variable in owned:
            owners.setdefault(variable.path, []).append(name)
    shared = {path: names for path, names in owners.items() if len(names) > 1}
    if shared:
        raise ValueError(f"variables in more than one optimizer group, or twice: {shared}")
    missing = sorted({variable.path for variable in variables} - set(owners))
    if missing:
        raise ValueError(f"variables in no optimizer group: {missing}")
    foreign = sorted(set(owners) - {variable.path for variable in variables})
    if foreign:
        raise ValueError(f"optimizer groups hold variables that do not train: {foreign}")


def check_restored(optimizer: keras.optimizers.Optimizer | None) -> None:
    """Raises ValueError if a loaded optimizer doesn't know every variable as it did when saved."""
    for inner in getattr(optimizer, "optimizers", ()):
        if inner.built and inner.name == "no_group":
            raise ValueError("variables of the model have other paths than when it was saved")


def apply_groups(
    optimizer: keras.optimizers.MultiOptimizer,
    gradients: Mapping[str, Sequence[tf.Tensor]],
    groups: Mapping[str, Sequence[keras.Variable]],
) -> None:
    """Takes one step of the groups that have gradients; the others, momentum too, stand still.

    `MultiOptimizer.apply` takes all groups or none. Frozen groups must not drift on their old
    momentum, and every group's schedule must follow the run's step, not its own.

    Args:
        optimizer: from `grouped_optimizer`, or the same after save and load.
        gradients: {group: list of tensors}, summed over replicas by the optimizer.
        groups: {group: variables}, of at least the groups in `gradients`.
    """
    by_name = {inner.name: inner for inner in optimizer.optimizers}
    for name, values in gradients.items():
        inner = by_name[name]
        inner.iterations.assign(optimizer.iterations)
        inner.apply(values, groups[name])
    optimizer.iterations.assign_add(1)


def group_learning_rates(optimizer: keras.optimizers.MultiOptimizer) -> dict[str, float]:
    """Returns {group: learning rate of the next step} as floats."""
    step = optimizer.iterations.numpy()
    rates = {}
    for inner in optimizer.optimizers:
        if inner.name != "no_group":
            schedule = inner._learning_rate
            moves = isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
            rate = schedule(step) if moves else inner.learning_rate
            rates[inner.name] = float(keras.ops.convert_to_numpy(rate))
    return rates
