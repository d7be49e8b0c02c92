"""Self-training: what a step learns from both domains, and from the target alone."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.layers.normalization import BatchStatistics, normalized_by
from arn_tf.strong import camera_statistics, inter_camera
from arn_tf.strong.losses import batch_hard_triplet, smoothed_classification
from arn_tf.strong.model import StrongModel
from arn_tf.strong.self_training import SelfTrainer
from arn_tf.strong.target_batches import batches
from tests.support import gradient_sums, small_trainers
from tests.support.small_backbones import normalizations
from tests.support.small_domains import both_domains, taken
from tests.support.small_trainers import SEED, fit

IDENTITIES = 6
Terms = dict[str, tf.Tensor]


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return both_domains()


def of(data: dict[str, Any], identities: int) -> dict[str, Any]:
    return data if identities else small_trainers.without_source(data)


@pytest.mark.parametrize("identities", [IDENTITIES, 0])
def test_what_trains(identities):
    trainer = small_trainers.trainer(identities)
    names = [v.path for v in trainer.trainable_variables]
    assert names == [v.path for v in trainer.model.trainable_variables] + ["target_neck/gamma"]
    assert {v.path for v in trainer.learnt} == set(names) and len(trainer.learnt) == len(names)


def test_the_memory_begins_with_the_centroids():
    centroids = small_trainers.centroids()
    expected = centroids / np.linalg.norm(centroids, axis=1, keepdims=True)
    memory = small_trainers.trainer(0).memory
    np.testing.assert_allclose(memory.directions, expected, rtol=1e-5, atol=1e-6)


def vectors(trainer: SelfTrainer, images: np.ndarray) -> tuple[tf.Tensor, BatchStatistics]:
    with normalized_by(moments := BatchStatistics()):
        maps = trainer.model.encoder_i(images / 127.5 - 1)
    return tf.reduce_mean(maps, [1, 2]), moments


def codes(pooled: tf.Tensor, gamma: keras.Variable) -> tf.Tensor:
    mean, variance = tf.nn.moments(pooled, [0])
    return gamma * (pooled - mean) / tf.sqrt(variance + 1e-3)


def of_source(trainer: SelfTrainer, batch: dict[str, np.ndarray]) -> tuple[Terms, BatchStatistics]:
    model, labels = trainer.model, tf.constant(batch["source_labels"])
    pooled, moments = vectors(trainer, batch["source_images"])
    logits = tf.matmul(codes(pooled, model.neck.gamma), model.classifier.kernel)
    return {
        "class": smoothed_classification(logits, labels, 0.1),
        "triplet": batch_hard_triplet(pooled, labels, 0.3),
    }, moments


def of_target(
    trainer: SelfTrainer, batch: dict[str, np.ndarray], labels: tf.Tensor, between: bool
) -> tuple[Terms, tf.Tensor]:
    # Each camera by its own statistics, then all together.
    pooled = tf.concat([vectors(trainer, batch[f"{c}_images"])[0] for c in ("first", "second")], 0)
    found = codes(pooled, trainer.neck.gamma)
    directions = found / tf.norm(found, axis=1, keepdims=True)
    logits = tf.matmul(directions, trainer.memory.directions.numpy(), transpose_b=True) / 0.05
    terms = {
        "class": smoothed_classification(logits, labels, 0.0),
        "triplet": batch_hard_triplet(pooled, labels, 0.3),
    }
    if between:
        proxies = small_trainers.proxies(small_trainers.WIDTH)
        cosines = tf.matmul(directions, proxies.directions, transpose_b=True)
        cameras = tf.constant(np.concatenate([batch["first_cameras"], batch["second_cameras"]]))
        terms["cameras"] = 0.5 * inter_camera.loss(cosines, labels, cameras, proxies)
    return terms, directions


@pytest.mark.parametrize(
    "identities, between", [(IDENTITIES, True), (IDENTITIES, False), (0, True), (0, False)]
)
def test_one_step_by_hand(data, identities, between):
    trainer = small_trainers.trainer(identities, 0.01, between)
    other = small_trainers.trainer(identities, between=between)
    trainer.compile(optimizer=keras.optimizers.SGD(0.05), jit_compile=False)
    before = [v.numpy() for v in trainer.trainable_variables]
    batch = taken(of(data, identities), 1, 0, SEED)[0]
    labels = tf.constant(np.tile(batch["target_labels"], 2))
    with tf.GradientTape() as tape:
        values, directions = of_target(other, batch, labels, between)
        total = sum(values.values())
        if identities:
            more, moments = of_source(other, batch)
            values |= {name: values[name] + value for name, value in more.items()}
            total += sum(more.values())
    gradients = tape.gradient(total, [v.value for v in other.trainable_variables])
    logs = fit(trainer, tf.data.Dataset.from_tensors(batch), 1)
    expected = {name: float(value) for name, value in ({"loss": total} | values).items()}
    assert logs == pytest.approx(expected, rel=1e-4)
    for new, old, gradient in zip(trainer.trainable_variables, before, gradients, strict=True):
        np.testing.assert_allclose(
            new, old - 0.05 * (gradient + 0.01 * old), rtol=1e-3, atol=1e-5, err_msg=new.path
        )
    # Of the step's own features: those of the weights before it.
    memory = other.memory.directions.numpy()
    for cluster in range(6):
        of_cluster = directions.numpy()[labels.numpy() == cluster]
        if len(of_cluster):
            moved = of_cluster.mean(axis=0)
            moved = 0.1 * memory[cluster] + 0.9 * moved / np.linalg.norm(moved)
            memory[cluster] = moved / np.linalg.norm(moved)
    np.testing.assert_allclose(trainer.memory.directions, memory, rtol=1e-3, atol=1e-5)
    [layer] = normalizations(trainer.model.encoder_i)
    if not identities:
        # The statistics that the weights came with.
        assert not np.any(layer.moving_mean) and np.all(layer.moving_variance.numpy() == 1)
        return
    [(mean, variance)] = moments.values()
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * variance, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("identities", [IDENTITIES, 0])
def test_a_trainer_begins_again_as_a_new_one_does(data, identities):
    """With other numbers of clusters and proxies, and traced once; the source's head goes on."""
    trainer = small_trainers.trainer(identities)
    trainer.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    trainer.optimizer.build(trainer.learnt)
    traces, train_step = [], trainer.train_step
    trainer.train_step = lambda batch: (traces.append(1), train_step(batch))[1]
    rng = np.random.default_rng(3)
    first, second = (
        batches(**of(data, identities), steps=3, first_step=step, seed=SEED) for step in (0, 3)
    )
    fit(trainer, first, 3)
    more = rng.normal(size=(9, small_trainers.WIDTH)).astype("f4")
    labels, camera = np.divmod(np.arange(14), 2)
    embeddings = rng.normal(size=(14, small_trainers.WIDTH))
    proxies = inter_camera.of_clusters(embeddings, labels, camera)
    again = SelfTrainer(camera_statistics.with_cameras(trainer.model, []), more, proxies)
    again.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    trainer.begin_again(more, proxies)
    logs = [fit(each, second, 3) for each in (trainer, again)]
    assert logs[0] == logs[1]
    for left, right in zip(trainer.weights, again.weights, strict=True):
        np.testing.assert_array_equal(left, right, err_msg=left.path)
    for left, right in zip(trainer.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(left, right, err_msg=left.path)
    assert trainer.memory.directions.shape[0] is None and len(traces) == 1
    np.testing.assert_array_equal(trainer.memory.directions, again.memory.directions)
    assert len(trainer.memory.directions.numpy()) == 9


@pytest.mark.parametrize("identities", [IDENTITIES, 0])
def test_equal_steps_give_equal_bits(identities):
    """TensorFlow adds up gradients of three passes in an order that differs from time to time."""
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(1)
    # A network that has much to do at a time.
    model = StrongModel(identities, "MobileNetV2", "random", (128, 64))
    centroids = random.normal(size=(6, 1280)).astype("f4")
    trainer = SelfTrainer(model, centroids, small_trainers.proxies(1280))
    trainer.compile(optimizer=keras.optimizers.SGD(0.001), jit_compile=False)
    batch = {
        f"{name}_images": tf.constant(random.uniform(0, 255, (count, 128, 64, 3)), tf.float32)
        for name, count in (("source", 32), ("first", 16), ("second", 16))
    } | {f"{name}_labels": tf.range(count) % 6 for name, count in (("source", 32), ("target", 16))}
    batch |= {"first_cameras": tf.zeros(16, tf.int32), "second_cameras": tf.ones(16, tf.int32)}
    trainer.optimizer.build(trainer.trainable_variables)
    # Three would seldom show below, and on busy machines.
    assert gradient_sums.widest(trainer.train_step, batch) == 2
    step, found = tf.function(trainer.train_step), []
    start = trainer.get_weights()
    for _ in range(12):
        trainer.set_weights(start)
        trainer.memory.begin(centroids)
        step(batch)
        learnt = [*trainer.get_weights(), trainer.memory.directions.numpy()]
        found.append([weight.tobytes() for weight in learnt])
    assert found[0][:-1] != [weight.tobytes() for weight in start]
    assert found.count(found[0]) == 12


def test_running_statistics_come_from_the_source_alone(data):
    """Whatever the target looks like; where nothing is learnt, so that weights don't tell."""
    found = []
    for factor in (1.0, 0.2):
        trainer = small_trainers.trainer(IDENTITIES, weight_decay=0.0)
        trainer.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
        batch = taken(data, 1, 0)[0]
        for camera in ("first_images", "second_images"):
            batch[camera] = factor * batch[camera]
        fit(trainer, tf.data.Dataset.from_tensors(batch), 1)
        [layer] = normalizations(trainer.model.encoder_i)
        moved = layer.moving_mean, layer.moving_variance, *trainer.model.neck.weights
        found.append([v.numpy() for v in moved])
    for left, right in zip(*found, strict=True):
        np.testing.assert_array_equal(left, right)
    assert np.any(found[0][0] != 0)


def test_a_round_changes_e_i_and_lowers_the_loss(data):
    trainer = small_trainers.trainer(IDENTITIES)
    trainer.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    before = {v.path: v.numpy() for v in trainer.model.variables}
    found = [
        fit(trainer, batches(**data, steps=10, first_step=10 * i, seed=0), 10) for i in range(3)
    ]
    for name in ("loss", "class", "cameras"):
        assert found[2][name] < 0.95 * found[0][name], name
    changed = {v.path for v in trainer.model.variables if np.any(v.numpy() != before[v.path])}
    assert {v.path for v in trainer.model.encoder_i.variables} <= changed
    # The table waits for the round's end.
    assert not changed & {v.path for v in trainer.model.table.weights}
    assert all(np.isfinite(v.numpy()).all() for v in trainer.variables)
