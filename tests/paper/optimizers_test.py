"""Groups that cover every variable once, their steps by hand, their schedules, saving."""

import math
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.paper import optimizers
from arn_tf.paper.model import ARN
from arn_tf.paper.optimizers import (
    ConstantThenCosine,
    apply_groups,
    check_restored,
    grouped_optimizer,
)


def tiny(**values):
    """Stands in for a model: one variable for each sub-network named."""
    groups = {
        name: [keras.Variable(value, name=f"{name}_kernel")] for name, value in values.items()
    }
    return types.SimpleNamespace(
        variable_groups=lambda: groups,
        trainable_variables=[variable for owned in groups.values() for variable in owned],
    )


def small_arn(**options):
    return ARN(
        3,
        backbone="MobileNetV2",
        backbone_weights="random",
        input_size=(64, 32),
        embedding_dim=16,
        hidden_width=8,
        **options,
    )


@pytest.fixture(scope="module")
def arn():
    return small_arn()


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return {
        "source_maps": rng.exponential(size=(4, 2, 1, 1280)).astype(np.float32),
        "target_maps": rng.exponential(size=(4, 2, 1, 1280)).astype(np.float32),
        "source_labels": np.array([0, 0, 1, 1], np.int32),
    }


def values(model, name):
    return [variable.numpy().copy() for variable in model.variable_groups()[name]]


def inner(optimizer, name):
    return next(one for one in optimizer.optimizers if one.name == name)


@pytest.mark.parametrize("compiled", [False, True])
def test_two_steps_by_hand(compiled):
    """v = 0.9 v - rate g, w = w + v, for each group at its own rate."""
    model = tiny(encoder_c=[1.0, 2.0], classifier_s=[5.0])
    optimizer = grouped_optimizer(model, {"encoder_c": 0.1, "classifier_s": 0.5})
    gradients = {"encoder_c": [tf.constant([1.0, -2.0])], "classifier_s": [tf.constant([4.0])]}

    def step():
        apply_groups(optimizer, gradients, model.variable_groups())

    step = tf.function(step) if compiled else step
    step()
    np.testing.assert_allclose(values(model, "encoder_c")[0], [0.9, 2.2], rtol=1e-6)
    np.testing.assert_allclose(values(model, "classifier_s")[0], [3.0], rtol=1e-6)
    step()
    # v = 0.9 (-0.1) - 0.1 = -0.19; 0.38; 0.9 (-2) - 2 = -3.8.
    np.testing.assert_allclose(values(model, "encoder_c")[0], [0.71, 2.58], rtol=1e-6)
    np.testing.assert_allclose(values(model, "classifier_s")[0], [-0.8], rtol=1e-5)
    assert int(optimizer.iterations) == 2


def test_equal_gradients_move_groups_in_the_ratio_of_the_papers_rates():
    # From 0, as 1e-7 would be lost beside larger weights.
    model = tiny(**{name: [0.0] for name in optimizers.PAPER_LEARNING_RATES})
    optimizer = grouped_optimizer(model)
    groups = model.variable_groups()
    apply_groups(optimizer, {name: [tf.constant([-1.0])] for name in groups}, groups)
    moved = {name: float(values(model, name)[0][0]) for name in groups}
    assert moved == pytest.approx(
        {
            "encoder_i": 1e-7,
            "encoder_c": 1e-3,
            "encoder_s": 1e-3,
            "encoder_t": 1e-3,
            "decoder_c": 1e-3,
            "classifier_s": 2e-3,
        },
        rel=1e-6,
    )


def test_each_trainable_variable_of_arn_is_in_one_group(arn):
    optimizer = grouped_optimizer(arn)
    groups = arn.variable_groups()
    assert set(groups) == set(optimizers.PAPER_LEARNING_RATES)
    owned = [variable.path for group in groups.values() for variable in group]
    assert len(owned) == len(set(owned)) == len(arn.trainable_variables)
    assert set(owned) == {variable.path for variable in arn.trainable_variables}
    by_optimizer = {
        one.name: sorted(v.path for v in one._trainable_variables) for one in optimizer.optimizers
    }
    assert by_optimizer.pop("no_group") == []
    assert by_optimizer == {name: sorted(v.path for v in group) for name, group in groups.items()}
    assert len(groups["encoder_i"]) == len(arn.encoder_i.trainable_variables) > 100


def test_rates_of_arn(arn):
    rates = optimizers.group_learning_rates(grouped_optimizer(arn))
    assert rates == pytest.approx(optimizers.PAPER_LEARNING_RATES)
    assert rates["encoder_i"] == pytest.approx(1e-7)


@pytest.mark.parametrize(
    ("options", "absent"),
    [
        ({"private_encoders": False}, {"encoder_s", "encoder_t"}),
        ({"shared_encoder": "pooling"}, {"encoder_c"}),
    ],
)
def test_models_without_a_sub_network(options, absent):
    optimizer = grouped_optimizer(small_arn(**options))
    assert set(optimizers.group_learning_rates(optimizer)) == (
        set(optimizers.PAPER_LEARNING_RATES) - absent
    )


def test_partition_errors():
    one, two, three = (keras.Variable([0.0], name=name) for name in ("one", "two", "three"))
    optimizers.check_partition({"a": [one], "b": [two]}, [one, two])
    with pytest.raises(ValueError, match=r"more than one.*'two': \['a', 'b'\]"):
        optimizers.check_partition({"a": [one, two], "b": [two]}, [one, two])
    with pytest.raises(ValueError, match=r"twice.*'one': \['a', 'a'\]"):
        optimizers.check_partition({"a": [one, one]}, [one])
    with pytest.raises(ValueError, match=r"in no optimizer group: \['two'\]"):
        optimizers.check_partition({"a": [one]}, [one, two])
    with pytest.raises(ValueError, match=r"do not train: \['three'\]"):
        optimizers.check_partition({"a": [one, three]}, [one])


def test_two_variables_of_one_path_are_refused():
    """By path alone an optimizer could not tell them apart."""
    model = tiny(encoder_c=[0.0], decoder_c=[0.0])
    model.variable_groups()["decoder_c"][0] = keras.Variable([0.0], name="encoder_c_kernel")
    with pytest.raises(ValueError, match="more than one optimizer group"):
        grouped_optimizer(model)


def test_unknown_group_is_refused():
    with pytest.raises(ValueError, match=r"no such variable group: \['encoder_x'\]"):
        grouped_optimizer(tiny(encoder_c=[0.0]), {"encoder_x": 1.0})


def test_paths_are_matched_literally():
    """A dot in one path does not catch another variable."""
    names = {"encoder_c": ["w.1", "w.2"], "decoder_c": ["wx1", "wx2"]}
    groups = {
        group: [keras.Variable([0.0], name=name) for name in owned]
        for group, owned in names.items()
    }
    optimizer = grouped_optimizer(
        types.SimpleNamespace(
            variable_groups=lambda: groups,
            trainable_variables=[v for owned in groups.values() for v in owned],
        )
    )
    for group, owned in names.items():
        assert [v.path for v in inner(optimizer, group)._trainable_variables] == owned


def test_frozen_groups_stand_still_with_their_momentum():
    model = tiny(encoder_c=[1.0], decoder_c=[1.0])
    optimizer = grouped_optimizer(model, {"encoder_c": 0.1, "decoder_c": 0.1})
    groups = model.variable_groups()
    one = [tf.constant([1.0])]
    apply_groups(optimizer, {"encoder_c": one, "decoder_c": one}, groups)
    for _ in range(3):
        before = [*values(model, "decoder_c"), inner(optimizer, "decoder_c").momentums[0].numpy()]
        apply_groups(optimizer, {"encoder_c": one}, groups)
        after = [*values(model, "decoder_c"), inner(optimizer, "decoder_c").momentums[0].numpy()]
        assert before == after
    assert values(model, "encoder_c")[0] < 0.5
    # Back again, it goes on from the momentum that it left: 0.9 (-0.1) - 0.1.
    apply_groups(optimizer, {"decoder_c": one}, groups)
    np.testing.assert_allclose(values(model, "decoder_c")[0], [0.9 - 0.19], rtol=1e-6)


def test_schedules_follow_the_step_of_the_run():
    model = tiny(encoder_c=[0.0], decoder_c=[0.0])
    halves = keras.optimizers.schedules.PiecewiseConstantDecay([2], [1.0, 0.25])
    optimizer = grouped_optimizer(model, {"encoder_c": halves, "decoder_c": halves}, momentum=0.0)
    groups, one = model.variable_groups(), [tf.constant([1.0])]
    seen = []
    for step in range(5):
        seen.append(optimizers.group_learning_rates(optimizer))
        late = {"decoder_c": one} if step == 3 else {}
        apply_groups(optimizer, {"encoder_c": one, **late}, groups)
    # Steps 0 to 2 at 1, then a quarter; D_C's first step is the run's fourth.
    assert seen == [{"encoder_c": r, "decoder_c": r} for r in (1.0, 1.0, 1.0, 0.25, 0.25)]
    np.testing.assert_allclose(values(model, "encoder_c")[0], [-3.5])
    np.testing.assert_allclose(values(model, "decoder_c")[0], [-0.25])


def test_constant_then_cosine_by_hand():
    schedule = ConstantThenCosine(2.0, constant_steps=3, cosine_steps=4)
    expected = [2, 2, 2, 2, 1 + math.sqrt(0.5), 1, 1 - math.sqrt(0.5), 0, 0, 0]
    np.testing.assert_allclose([schedule(i) for i in range(10)], expected, atol=1e-6)
    compiled = tf.function(schedule.__call__)
    np.testing.assert_allclose(
        [compiled(tf.constant(i, tf.int64)) for i in range(10)], expected, atol=1e-6
    )


def test_no_cosine_steps_is_constant_for_ever():
    schedule = ConstantThenCosine(0.5, constant_steps=3, cosine_steps=0)
    np.testing.assert_allclose([schedule(i) for i in (0, 3, 4, 10**6)], [0.5] * 4)


def test_it_is_kerass_cosine_decay_to_rounding():
    schedule = ConstantThenCosine(3e-4, constant_steps=6, cosine_steps=31)
    kerass = keras.optimizers.schedules.CosineDecay(
        3e-4, decay_steps=31, warmup_target=3e-4, warmup_steps=6
    )
    for step in range(40):
        np.testing.assert_allclose(schedule(step), kerass(step), rtol=1e-6, atol=1e-12)


def test_cosine_from_the_start():
    schedule = ConstantThenCosine(1.0, constant_steps=0, cosine_steps=2)
    np.testing.assert_allclose([schedule(i) for i in range(3)], [1.0, 0.5, 0.0], atol=1e-7)


def test_serialised_and_back():
    model = tiny(encoder_c=[1.0], classifier_s=[1.0])
    schedule = ConstantThenCosine(0.3, constant_steps=1, cosine_steps=2)
    optimizer = grouped_optimizer(model, {"encoder_c": schedule}, momentum=0.7)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert [one.name for one in again.optimizers] == [one.name for one in optimizer.optimizers]
    again.build(model.trainable_variables)
    groups, one = model.variable_groups(), [tf.constant([1.0])]
    results = []
    for optimizer_ in (optimizer, again):
        for variable in model.trainable_variables:
            variable.assign([1.0])
        for _ in range(3):
            apply_groups(optimizer_, {"encoder_c": one, "classifier_s": one}, groups)
        results.append([values(model, "encoder_c"), values(model, "classifier_s")])
    assert results[0] == results[1]
    # Rates 0.3, 0.3, 0.15 and momentum 0.7: v = -0.3, -0.51, -0.507.
    np.testing.assert_allclose(results[1][0][0], [1 - 0.3 - 0.51 - 0.507], rtol=1e-5)


def test_saved_with_its_model_the_next_step_is_the_same(tmp_path, batch):
    model = small_arn()
    model.calibrate(batch["source_maps"])
    schedules = {
        name: ConstantThenCosine(rate, 1, 4)
        for name, rate in optimizers.PAPER_LEARNING_RATES.items()
    }
    model.compile(optimizer=grouped_optimizer(model, schedules), jit_compile=False)
    data = tf.data.Dataset.from_tensors(batch)
    model.fit(data.repeat(2), shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")

    def state(of):
        return {variable.path: variable.numpy() for variable in of.optimizer.variables}

    saved, loaded = state(model), state(again)
    assert set(saved) == set(loaded)
    for path, value in saved.items():
        np.testing.assert_array_equal(loaded[path], value, err_msg=path)
    assert int(again.optimizer.iterations) == 2
    assert any("momentum" in path and np.any(value) for path, value in loaded.items())
    rates = optimizers.group_learning_rates(model.optimizer)
    assert optimizers.group_learning_rates(again.optimizer) == rates
    # One step of four down the cosine.
    assert rates["encoder_c"] == pytest.approx(1e-3 * (0.5 + math.sqrt(0.125)), rel=1e-5)

    for one in (model, again):
        one.fit(data, shuffle=False, verbose=0)
    for left, right in zip(model.weights, again.weights, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-7, err_msg=left.path)


def multi_optimizer(pattern):
    default = keras.optimizers.SGD(0.0, name="no_group")
    groups = {f"(sequential.*/)?{pattern}": keras.optimizers.SGD(0.1, name="group")}
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(default, groups))


def test_an_optimizer_that_lost_variables_is_noticed(tmp_path):
    for pattern, lost in (("here.*", False), ("elsewhere.*", True)):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="here")])
        model.compile(optimizer=multi_optimizer(pattern))
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras").optimizer
        if not lost:
            check_restored(loaded)
            continue
        with pytest.raises(ValueError, match="other paths"):
            check_restored(loaded)
    check_restored(None)
