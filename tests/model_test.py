"""ARN as a whole: its objective against NumPy, its steps, replicas, saving, plain Keras use."""

import math
import os
import pathlib
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf import backbone
from arn_tf.model import ARN, PAPER_WEIGHTS, SOURCE, TARGET
from arn_tf.optimizers import grouped_optimizer

SIZE = (64, 32)
MAP = (8, 4, 24)
LABELS = np.array([2, 0, 1, 1, 2, 0], np.int32)
# No weight but the ones given.
NONE = dict.fromkeys(PAPER_WEIGHTS, 0.0)


def tiny_network(include_top, weights, input_shape):
    assert not include_top
    return keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Conv2D(8, 4, 4, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Conv2D(24, 2, 2, activation="relu"),
    ])  # fmt: skip


TINY = types.SimpleNamespace(Tiny=tiny_network, preprocess_input=lambda x: x / 127.5 - 1)


@pytest.fixture(scope="module", autouse=True)
def tiny_application():
    """Adds E_I "Tiny" to the networks of keras.applications, which take long to build."""
    keras.utils.set_random_seed(0)
    real = backbone.application
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backbone, "application", lambda name: TINY if name == "Tiny" else real(name))
        yield


def small_arn(**options):
    return ARN(**{
        "num_identities": 3, "backbone": "Tiny", "backbone_weights": "random",
        "input_size": SIZE, "embedding_dim": 16, "hidden_width": 8, **options,
    })  # fmt: skip


def random_maps(seed, count=6, shape=MAP):
    return np.random.default_rng(seed).exponential(size=(count, *shape)).astype("f4")


def random_images(seed, count=6):
    return np.random.default_rng(seed).integers(0, 256, (count, *SIZE, 3), np.uint8)


def maps_batch(seed=0):
    return {
        "source_maps": random_maps(seed), "target_maps": random_maps(seed + 50),
        "source_labels": LABELS,
    }  # fmt: skip


def images_batch(seed=0):
    return {
        "source_images": random_images(seed), "target_images": random_images(seed + 50),
        "source_labels": LABELS,
    }  # fmt: skip


def fit(model, batch, steps=1):
    data = tf.data.Dataset.from_tensors(batch).repeat(steps)
    history = model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0).history
    return {name: value[0] for name, value in history.items()}


def group_values(model):
    return {
        name: [variable.numpy().copy() for variable in owned]
        for name, owned in model.variable_groups().items()
    }


def moved(model, before):
    """Names of the sub-networks whose weights changed."""
    return {
        name
        for name, values in group_values(model).items()
        if any(np.any(a != b) for a, b in zip(values, before[name], strict=True))
    }


@pytest.fixture(scope="module")
def shared():
    """On a real E_I; tests change nothing but the running statistics of its normalisations."""
    model = small_arn(backbone="MobileNetV2", dropout=0.0, margin=1.2)
    model.calibrate(model.feature_maps(random_images(9, 20)))
    return model


def slow_losses(model, batch, kind):
    """The objective in loops, in float64, from the codes that the sub-networks give."""
    source, target = (batch[f"{d}_maps"] / model.feature_scale for d in ("source", "target"))
    code_s = model.encoder_c(source, domain=SOURCE, training=True)
    code_t = model.encoder_c(target, domain=TARGET, training=True)
    private_s = model.encoder_s(source, training=True)
    private_t = model.encoder_t(target, training=True)
    rebuilt = model.decoder_c(
        tf.concat([tf.concat([code_s, private_s], 1), tf.concat([code_t, private_t], 1)], 0),
        training=True,
    )
    logits = np.asarray(model.classifier_s(code_s), np.float64)
    source, target, code_s, code_t, private_s, private_t, rebuilt = (
        np.asarray(x, np.float64)
        for x in (source, target, code_s, code_t, private_s, private_t, rebuilt)
    )
    labels, count = batch["source_labels"], len(source)
    entropy = [
        math.log(sum(math.exp(x) for x in row)) - row[label]
        for row, label in zip(logits, labels, strict=True)
    ]
    contrastive = 0.0
    for i in range(count):
        for j in range(count):
            same = labels[i] == labels[j]
            if kind == "literal":
                entries = code_s[i] - code_s[j]
                contrastive += sum(
                    e**2 if same else max(0.0, model.margin - e) ** 2 for e in entries
                )
            elif i != j:
                ends = [code_s[k] / np.linalg.norm(code_s[k]) for k in (i, j)]
                distance = np.linalg.norm(ends[0] - ends[1])
                contrastive += distance**2 if same else max(0.0, model.margin - distance) ** 2

    def difference(shared, private):
        if kind == "normalized":
            shared, private = (x - x.mean(axis=0) for x in (shared, private))
            shared, private = (
                x / np.linalg.norm(x, axis=1, keepdims=True) for x in (shared, private)
            )
            return np.mean((private.T @ shared) ** 2)
        return np.sum((private.T @ shared) ** 2)

    reduce = np.sum if kind == "literal" else np.mean
    return {
        "class": np.mean(entropy),
        "contrastive": contrastive,
        "reconstruction": reduce((source - rebuilt[:count]) ** 2)
        + reduce((target - rebuilt[count:]) ** 2),
        "difference": difference(code_s, private_s) + difference(code_t, private_t),
    }, np.mean(np.linalg.norm(code_s, axis=1))


@pytest.mark.parametrize("kind", ["normalized", "literal"])
def test_losses_equal_loops(kind):
    model = small_arn(dropout=0.0, margin=1.2, loss_normalization=kind)
    model.calibrate(random_maps(9, 20))
    batch = maps_batch()
    expected, norm = slow_losses(model, batch, kind)
    for run in (model.compute_losses, tf.function(model.compute_losses)):
        terms, code_norm = run(batch)
        assert list(terms) == ["class", "contrastive", "reconstruction", "difference"]
        assert {k: float(v) for k, v in terms.items()} == pytest.approx(expected, rel=1e-4)
        assert float(code_norm) == pytest.approx(norm, rel=1e-5)


def test_losses_of_images_are_those_of_their_maps(shared):
    images = images_batch()
    maps = {
        "source_labels": images["source_labels"],
        "source_maps": shared.feature_maps(images["source_images"]),
        "target_maps": shared.feature_maps(images["target_images"]),
    }
    left, right = (shared.compute_losses(batch)[0] for batch in (images, maps))
    for name, value in left.items():
        assert float(value) == pytest.approx(float(right[name]), rel=1e-5), name


def test_logged_loss_is_the_weighted_sum():
    weights = {"class": 0.5, "contrastive": 0.25, "reconstruction": 3.0, "difference": 7.0}
    model = small_arn(dropout=0.0, loss_weights=weights)
    model.calibrate(random_maps(9, 20))
    model.compile(optimizer=grouped_optimizer(model), jit_compile=False)
    expected, norm = slow_losses(model, maps_batch(), "normalized")
    logs = fit(model, maps_batch())
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=1e-4), name
    assert logs["code_norm"] == pytest.approx(norm, rel=1e-4)
    total = sum(weights[name] * value for name, value in expected.items())
    assert logs["loss"] == pytest.approx(total, rel=1e-4)
    assert {k for k in logs if k.startswith("gradient_norm_")} == {
        f"gradient_norm_{name}" for name in model.variable_groups() if name != "encoder_i"
    }


def test_paper_weights_are_the_default():
    assert small_arn(loss_weights={"difference": 3.0}).loss_weights == {
        "class": 1.0, "contrastive": 0.01, "reconstruction": 2.0, "difference": 3.0
    }  # fmt: skip


def test_dropout_follows_from_seed_and_step():
    model = small_arn(dropout=0.5, loss_weights=NONE | {"class": 1.0})
    model.calibrate(random_maps(9, 20))
    values = {
        step: float(model.compute_losses(maps_batch(), step)[0]["class"]) for step in (0, 1, 2)
    }
    assert len(set(values.values())) == 3
    assert float(model.compute_losses(maps_batch(), 1)[0]["class"]) == values[1]
    model.seed = 1
    assert float(model.compute_losses(maps_batch(), 1)[0]["class"]) != values[1]


# What trains.


def test_encoder_i_is_frozen_until_told():
    model = small_arn()
    model.calibrate(model.feature_maps(random_images(1)))
    # Rates at which a step is seen in float32.
    model.compile(optimizer=grouped_optimizer(model, {"encoder_i": 1e-3}), jit_compile=False)
    before = [variable.numpy() for variable in model.encoder_i.variables]
    start = group_values(model)
    fit(model, images_batch(), steps=2)
    for variable, old in zip(model.encoder_i.variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)
    assert moved(model, start) == set(start) - {"encoder_i"}

    model.tune_encoder_i = True
    model.make_train_function(force=True)
    logs = fit(model, images_batch(), steps=1)
    assert moved(model, start) == set(start)
    assert logs["gradient_norm_encoder_i"] > 0
    # Its BatchNorm keeps its statistics.
    for variable, old in zip(model.encoder_i.variables, before, strict=True):
        assert np.array_equal(variable, old) != variable.trainable, variable.path


def test_the_target_of_the_reconstruction_is_detached():
    """E_I gets L_rec's gradient through the encoders alone."""
    model = small_arn(loss_weights=NONE | {"reconstruction": 1.0})
    batch = images_batch()
    model.calibrate(model.feature_maps(batch["source_images"]))
    model.tune_encoder_i = True
    variables = model.encoder_i.trainable_variables
    fixed = [
        model.scaled(model.feature_maps(batch[key])).numpy()
        for key in ("source_images", "target_images")
    ]

    def by_hand(detached):
        with tf.GradientTape() as tape:
            maps = [
                model.scaled(model.feature_maps(batch[key]))
                for key in ("source_images", "target_images")
            ]
            codes = [model.encoder_c(maps[d], domain=d, training=True) for d in range(2)]
            privates = [
                model.encoder_s(maps[0], training=True), model.encoder_t(maps[1], training=True)
            ]  # fmt: skip
            both = [tf.concat(pair, 1) for pair in zip(codes, privates, strict=True)]
            rebuilt = tf.split(model.decoder_c(tf.concat(both, 0), training=True), 2)
            value = sum(
                tf.reduce_mean(tf.square(target - guess))
                for target, guess in zip(fixed if detached else maps, rebuilt, strict=True)
            )
        return tape.gradient(value, variables)

    with tf.GradientTape() as tape:
        terms, _ = model.compute_losses(batch)
    ours = tape.gradient(terms["reconstruction"], variables)
    detached, attached = by_hand(True), by_hand(False)
    scale = float(tf.linalg.global_norm(detached))

    def distance(left, right):
        return float(tf.linalg.global_norm([a - b for a, b in zip(left, right, strict=True)]))

    assert scale > 0
    assert distance(ours, detached) < 1e-3 * scale
    assert distance(ours, attached) > 0.1 * scale


@pytest.mark.parametrize(
    ("weights", "terms", "expected"),
    [
        ({"class": 1.0}, {"class"}, {"encoder_c", "classifier_s"}),
        ({"contrastive": 1.0}, {"contrastive"}, {"encoder_c"}),
        (
            {"reconstruction": 1.0}, {"reconstruction"},
            {"encoder_c", "encoder_s", "encoder_t", "decoder_c"},
        ),
        ({"difference": 1.0}, {"difference"}, {"encoder_c", "encoder_s", "encoder_t"}),
        ({"class": 1.0, "contrastive": 1.0}, {"class", "contrastive"},
         {"encoder_c", "classifier_s"}),
    ],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_terms_without_weight_are_absent(weights, terms, expected):
    model = small_arn(loss_weights=NONE | weights)
    model.calibrate(random_maps(9, 20))
    model.compile(optimizer=grouped_optimizer(model), run_eagerly=True)
    batch = maps_batch()
    if not terms & {"reconstruction", "difference"}:
        del batch["target_maps"]
    start = group_values(model)
    statistics = {
        name: [v.numpy() for v in getattr(model, name).non_trainable_variables] for name in start
    }
    logs = fit(model, batch, steps=2)
    assert moved(model, start) == expected
    assert set(logs) == {"loss", "code_norm"} | terms | {f"gradient_norm_{g}" for g in expected}
    for name in set(start) - expected:
        after = getattr(model, name).non_trainable_variables
        for variable, old in zip(after, statistics[name], strict=True):
            np.testing.assert_array_equal(variable, old)


def test_a_step_moves_the_statistics_of_both_domains_of_the_shared_encoder():
    model = small_arn()
    model.compile(optimizer=grouped_optimizer(model), run_eagerly=True)
    variable = model.encoder_c.normalizations[0].moving_mean
    before = variable.numpy().copy()
    model.loss_weights = PAPER_WEIGHTS | {"reconstruction": 0.0, "difference": 0.0}
    fit(model, maps_batch())
    np.testing.assert_array_equal(np.any(variable.numpy() != before, axis=1), [True, False])
    model.loss_weights = dict(PAPER_WEIGHTS)
    fit(model, maps_batch())
    np.testing.assert_array_equal(np.any(variable.numpy() != before, axis=1), [True, True])


# Variants.


def test_without_private_encoders():
    model = small_arn(private_encoders=False)
    assert model.encoder_s is model.encoder_t is None
    assert set(model.variable_groups()) == {"encoder_i", "encoder_c", "decoder_c", "classifier_s"}
    assert model.decoder_c.expand.kernel.shape[0] == 16
    model.calibrate(random_maps(9, 20))
    model.compile(optimizer=grouped_optimizer(model), run_eagerly=True)
    start = group_values(model)
    logs = fit(model, maps_batch())
    assert "difference" not in logs
    assert moved(model, start) == {"encoder_c", "decoder_c", "classifier_s"}


def test_pooling_shared_encoder():
    model = small_arn(shared_encoder="pooling", embedding_dim=16)
    assert model.embedding_dim == 24
    maps = random_maps(3)
    model.calibrate(random_maps(9, 20))
    expected = maps.mean(axis=(1, 2))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    for domain in (SOURCE, TARGET):
        np.testing.assert_allclose(
            model.embed_maps(tf.constant(maps), domain), expected, rtol=1e-4, atol=1e-6
        )
    model.compile(optimizer=grouped_optimizer(model), run_eagerly=True)
    start = group_values(model)
    logs = fit(model, maps_batch())
    assert set(PAPER_WEIGHTS) < set(logs)
    assert moved(model, start) == {"encoder_s", "encoder_t", "decoder_c", "classifier_s"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shared_encoder": "max"}, "shared_encoder must be .*'max'"),
        ({"loss_weights": {"triplet": 1.0}}, r"names no terms of ARN: \['triplet'\]"),
        ({"backbone": "ResNet51"}, "ResNet51 is not a network"),
    ],
)
def test_arguments_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        small_arn(**options)


def test_map_of_one_position():
    model = small_arn(input_size=(8, 8))
    assert model.map_shape == (1, 1, 24)
    model.compile(optimizer=grouped_optimizer(model), run_eagerly=True)
    batch = {
        key: value[:, :1, :1] if key.endswith("maps") else value
        for key, value in maps_batch().items()
    }
    assert np.isfinite(fit(model, batch)["loss"])


# Calibration and embedding.


def test_calibrate():
    model, maps = small_arn(), random_maps(4, 30) * 1e-3
    model.calibrate(maps)
    rms = math.sqrt(np.mean(maps.astype(np.float64) ** 2))
    assert float(model.feature_scale) == pytest.approx(rms, rel=1e-6)
    scaled = np.asarray(model.scaled(tf.constant(maps)))
    assert np.mean(scaled.astype(np.float64) ** 2) == pytest.approx(1, rel=1e-5)
    # The source's statistics are those of these pictures, the target's still the initial ones.
    first = np.asarray(model.encoder_c.convolutions[0](scaled))
    means = model.encoder_c.normalizations[0].moving_mean.numpy()
    np.testing.assert_allclose(means[SOURCE], first.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(means[TARGET], np.zeros(8))
    codes = np.asarray(model.encoder_c(scaled, domain=SOURCE))
    assert float(model.initial_code_norm) == pytest.approx(
        np.linalg.norm(codes, axis=1).mean(), rel=1e-5
    )


def test_calibrated_losses_do_not_depend_on_the_scale_of_maps():
    values = []
    for factor in (1.0, 1e-4):
        model = small_arn(dropout=0.0)
        model.calibrate(factor * random_maps(9, 20))
        batch = maps_batch()
        for domain in ("source", "target"):
            batch[f"{domain}_maps"] = factor * batch[f"{domain}_maps"]
        values.append({k: float(v) for k, v in model.compute_losses(batch)[0].items()})
    assert values[0] == pytest.approx(values[1], rel=1e-4)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_calibrate_refuses_unusable_maps(shared, value):
    scale = float(shared.feature_scale)
    with pytest.raises(ValueError, match="root mean square of"):
        shared.calibrate(np.full((2, *MAP), value, np.float32))
    assert float(shared.feature_scale) == scale


def test_embeddings(shared):
    images = random_images(5, 7)
    found = shared.embed(images, batch_size=3)
    assert found.shape == (7, 16)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.ones(7), rtol=1e-5)
    # One by one, as floats, through `call`, `predict` and the compiled functions: the same.
    np.testing.assert_allclose(shared.embed(images, batch_size=1), found, atol=1e-4)
    np.testing.assert_allclose(shared.embed(images.astype(np.float32)), found, atol=1e-4)
    np.testing.assert_allclose(shared(images), found, atol=1e-4)
    np.testing.assert_allclose(shared.predict(images, verbose=0), found, atol=1e-4)
    maps = shared.compiled_feature_maps(tf.constant(images))
    np.testing.assert_allclose(shared.compiled_embed_maps(maps, TARGET), found, atol=1e-4)
    assert shared.embed(images[:0]).shape == (0, 16)


def test_feature_maps_are_those_of_the_preprocessed_pictures(shared):
    images = random_images(6, 2)
    expected = shared.encoder_i(images / np.float32(127.5) - 1, training=False)
    np.testing.assert_allclose(shared.feature_maps(images), expected, rtol=1e-4, atol=1e-6)


def test_the_domain_chooses_the_statistics(shared):
    images = random_images(5, 3)
    source, target = (shared.embed(images, domain=domain) for domain in (SOURCE, TARGET))
    np.testing.assert_array_equal(shared.embed(images), target)
    assert np.abs(source - target).max() > 1e-3


@pytest.mark.parametrize("shape", [(2, 32, 64, 3), (2, 64, 32, 1), (64, 32, 3), (2, 64, 32)])
def test_embed_refuses_other_shapes(shared, shape):
    with pytest.raises(ValueError, match=r"images must be \[N, 64, 32, 3\], received: \["):
        shared.embed(np.zeros(shape, np.uint8))


def test_saved_and_loaded(tmp_path):
    model = small_arn(
        margin=0.7, dropout=0.25, seed=5, loss_weights={"difference": 12.0},
        loss_normalization="literal",
    )  # fmt: skip
    model.calibrate(random_maps(9, 20))
    model.encoder_c.estimate_statistics([model.scaled(random_maps(8, 20))], TARGET)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    assert again.loss_weights == model.loss_weights
    assert (again.margin, again.seed, again.loss_normalization) == (0.7, 5, "literal")
    for left, right in zip(model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(left, right, err_msg=left.path)
    images = random_images(7, 3)
    for domain in (SOURCE, TARGET):
        np.testing.assert_array_equal(
            again.embed(images, domain=domain), model.embed(images, domain=domain)
        )


def test_config_round_trip():
    model = small_arn(shared_encoder="pooling", private_encoders=False, hidden_width=4, name="x")
    again = ARN.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert again.name == "x"
    assert [tuple(v.shape) for v in again.weights] == [tuple(v.shape) for v in model.weights]


# Plain Keras.


def test_any_keras_optimizer():
    model = small_arn(dropout=0.0)
    model.calibrate(random_maps(9, 20))
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    start = group_values(model)
    first, later = fit(model, maps_batch()), fit(model, maps_batch(), steps=10)
    assert moved(model, start) == set(start) - {"encoder_i"}
    assert later["loss"] < first["loss"]
    assert int(model.optimizer.iterations) == 11


def test_training_lowers_each_term():
    for term, rate in (("class", 0.1), ("contrastive", 0.1), ("reconstruction", 0.1)):
        model = small_arn(dropout=0.0, loss_weights=NONE | {term: 1.0})
        model.calibrate(random_maps(9, 20))
        model.compile(optimizer=keras.optimizers.Adam(rate / 10), run_eagerly=True)
        first = fit(model, maps_batch())[term]
        fit(model, maps_batch(), steps=5)
        assert fit(model, maps_batch())[term] < first, term


# Replicas: this file runs itself as a program, as the CPU is split before TensorFlow starts.


def replicas_program(case):
    """Trains with several numbers of replicas and compares weights, momentum and logs."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # Starts sooner.
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 4
    )
    backbone.application = lambda name: TINY
    keras.utils.set_random_seed(0)
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
            )  # fmt: skip
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
    root = pathlib.Path(__file__).parents[1]
    result = subprocess.run(
        [sys.executable, __file__, "replicas", case],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]


if __name__ == "__main__":
    if sys.argv[1:2] == ["replicas"]:
        replicas_program(sys.argv[2])
    else:
        raise SystemExit(pytest.main([__file__]))
