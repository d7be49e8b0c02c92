"""Self-training: what a step learns from both domains, on one replica and on two."""

import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.layers import replicas
from arn_tf.layers.normalization import BatchStatistics, normalized_by
from arn_tf.strong import camera_statistics, inter_camera
from arn_tf.strong.losses import batch_hard_triplet, smoothed_classification
from arn_tf.strong.model import StrongModel
from arn_tf.strong.self_training import SelfTrainer
from arn_tf.strong.target_batches import batches
from tests.support import small_data
from tests.support.small_backbones import normalizations
from tests.support.small_domains import SIZE, both_domains, taken

# Batches in which no ReLU's input is so near 0 that the order of sums decides its sign: 60 unit
# roundoffs of the largest at least, where `rounding` allows 52.
SEED = 2


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return both_domains()


def without_source(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"source_sampler": None, "source": None}


def small_trainer(
    seed: int = 0, weight_decay: float = 5e-4, identities: int = 6
) -> tuple[SelfTrainer, np.ndarray]:
    """Without a source the loss between cameras is there, and a memory, as in a run."""
    keras.utils.set_random_seed(seed)
    model = StrongModel(identities, "Tiny", "random", SIZE, weight_decay=weight_decay)
    centroids = np.random.default_rng(1).normal(size=(6, 24)).astype("f4")
    if identities:
        return SelfTrainer(model, centroids), centroids
    return SelfTrainer(model, centroids, small_proxies(24), memory=True), centroids


def small_proxies(width: int) -> inter_camera.Proxies:
    """Returns one for each of six clusters in two cameras."""
    labels, camera = np.divmod(np.arange(12), 2)
    embeddings = np.random.default_rng(2).normal(size=(12, width))
    return inter_camera.of_clusters(embeddings, labels, camera)


def fit(trainer: SelfTrainer, dataset: tf.data.Dataset, steps: int) -> dict[str, float]:
    history = trainer.fit(dataset, steps_per_epoch=steps, shuffle=False, verbose=0).history
    return {name: value[0] for name, value in history.items()}


def test_the_classifier_of_the_target_begins_with_the_centroids():
    trainer, centroids = small_trainer()
    expected = centroids.T / np.linalg.norm(centroids, axis=1)
    np.testing.assert_allclose(trainer.classifier.kernel, expected, rtol=1e-5, atol=1e-6)


def test_what_trains():
    trainer, _ = small_trainer()
    names = {v.path for v in trainer.trainable_variables}
    assert names == {v.path for v in trainer.model.trainable_variables} | {
        "target_neck/gamma",
        "target_classifier/kernel",
    }
    assert len({id(v) for v in trainer.trainable_variables}) == len(names)


def test_what_trains_without_a_source():
    trainer, centroids = small_trainer(identities=0)
    names = [v.path for v in trainer.trainable_variables]
    assert names == [v.path for v in trainer.model.trainable_variables] + ["target_neck/gamma"]
    expected = centroids / np.linalg.norm(centroids, axis=1, keepdims=True)
    np.testing.assert_allclose(trainer.classifier.directions, expected, rtol=1e-5, atol=1e-6)


def test_one_step_by_hand(data):
    trainer, _ = small_trainer(weight_decay=0.01)
    other, _ = small_trainer()
    trainer.compile(optimizer=keras.optimizers.SGD(0.05), jit_compile=False)
    for left, right in zip(trainer.variables[:12], other.variables[:12], strict=True):
        np.testing.assert_array_equal(left, right)
    before = [v.numpy() for v in trainer.trainable_variables]
    batch = taken(data, 1, 0, SEED)[0]

    def terms(
        vectors: tf.Tensor, labels: np.ndarray, gamma: keras.Variable, kernel: keras.Variable
    ) -> list[tf.Tensor]:
        mean, variance = tf.nn.moments(vectors, [0])
        codes = gamma * (vectors - mean) / tf.sqrt(variance + 1e-3)
        return [
            smoothed_classification(tf.matmul(codes, kernel), tf.constant(labels), 0.1),
            batch_hard_triplet(vectors, tf.constant(labels), 0.3),
        ]

    def vectors(images: np.ndarray) -> tuple[tf.Tensor, BatchStatistics]:
        with normalized_by(moments := BatchStatistics()):
            maps = other.model.encoder_i(images / 127.5 - 1)
        return tf.reduce_mean(maps, [1, 2]), moments

    with tf.GradientTape() as tape:
        source, moments = vectors(batch["source_images"])
        # Each camera by its own statistics, then all together.
        target = tf.concat([vectors(batch[f"{c}_images"])[0] for c in ("first", "second")], 0)
        values = terms(
            source, batch["source_labels"], other.model.neck.gamma, other.model.classifier.kernel
        ) + terms(
            target, np.tile(batch["target_labels"], 2), other.neck.gamma, other.classifier.kernel
        )
        total = sum(values)
    gradients = tape.gradient(total, [v.value for v in other.trainable_variables])
    logs = fit(trainer, tf.data.Dataset.from_tensors(batch), 1)
    values = [float(value) for value in values]
    assert logs == pytest.approx(
        {
            "loss": sum(values),
            "class": values[0] + values[2],
            "triplet": values[1] + values[3],
        },
        rel=1e-4,
    )
    for new, old, gradient in zip(trainer.trainable_variables, before, gradients, strict=True):
        np.testing.assert_allclose(
            new, old - 0.05 * (gradient + 0.01 * old), rtol=1e-3, atol=1e-5, err_msg=new.path
        )
    [layer] = normalizations(trainer.model.encoder_i)
    [(mean, variance)] = moments.values()
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * variance, rtol=1e-4, atol=1e-6)


def test_one_step_without_a_source_by_hand(data):
    trainer, _ = small_trainer(weight_decay=0.01, identities=0)
    other, _ = small_trainer(identities=0)
    trainer.compile(optimizer=keras.optimizers.SGD(0.05), jit_compile=False)
    before = [v.numpy() for v in trainer.trainable_variables]
    batch = taken(without_source(data), 1, 0, SEED)[0]
    labels = tf.constant(np.tile(batch["target_labels"], 2))
    cameras = tf.constant(np.concatenate([batch["first_cameras"], batch["second_cameras"]]))
    with tf.GradientTape() as tape:
        vectors = []
        for camera in ("first_images", "second_images"):
            with normalized_by(BatchStatistics()):
                maps = other.model.encoder_i(batch[camera] / 127.5 - 1)
            vectors.append(tf.reduce_mean(maps, [1, 2]))
        both = tf.concat(vectors, 0)
        mean, variance = tf.nn.moments(both, [0])
        codes = other.neck.gamma * (both - mean) / tf.sqrt(variance + 1e-3)
        directions = codes / tf.norm(codes, axis=1, keepdims=True)
        memory = other.classifier.directions.numpy()
        logits = tf.matmul(directions, memory, transpose_b=True) / 0.05
        proxies = small_proxies(24)
        cosines = tf.matmul(directions, proxies.directions, transpose_b=True)
        values = [
            smoothed_classification(logits, labels, 0.0),
            batch_hard_triplet(both, labels, 0.3),
            0.5 * inter_camera.loss(cosines, labels, cameras, proxies),
        ]
        total = sum(values)
    gradients = tape.gradient(total, [v.value for v in other.trainable_variables])
    logs = fit(trainer, tf.data.Dataset.from_tensors(batch), 1)
    expected = {
        "loss": total,
        "class": values[0],
        "triplet": values[1],
        "cameras": values[2],
    }
    assert logs == pytest.approx({name: float(each) for name, each in expected.items()}, rel=1e-4)
    for new, old, gradient in zip(trainer.trainable_variables, before, gradients, strict=True):
        np.testing.assert_allclose(
            new, old - 0.05 * (gradient + 0.01 * old), rtol=1e-3, atol=1e-5, err_msg=new.path
        )
    # Of the step's own features: those of the weights before it.
    for cluster in range(6):
        of_cluster = directions.numpy()[labels.numpy() == cluster]
        if len(of_cluster):
            moved = of_cluster.mean(axis=0)
            moved = 0.1 * memory[cluster] + 0.9 * moved / np.linalg.norm(moved)
            memory[cluster] = moved / np.linalg.norm(moved)
    np.testing.assert_allclose(trainer.classifier.directions, memory, rtol=1e-3, atol=1e-5)
    # The statistics that the weights came with.
    [layer] = normalizations(trainer.model.encoder_i)
    np.testing.assert_array_equal(layer.moving_mean, 0 * layer.moving_mean)
    np.testing.assert_array_equal(layer.moving_variance, 0 * layer.moving_mean + 1)


def test_a_trainer_begins_again_as_a_new_one_does(data):
    """With other numbers of clusters and proxies, and traced once."""
    trainer, _ = small_trainer(identities=0)
    trainer.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    trainer.optimizer.build(trainer.learnt)
    traces, train_step = [], trainer.train_step
    trainer.train_step = lambda batch: (traces.append(1), train_step(batch))[1]
    rng = np.random.default_rng(3)
    fit(trainer, batches(**without_source(data), steps=3, first_step=0, seed=SEED), 3)
    more = rng.normal(size=(9, 24)).astype("f4")
    labels, camera = np.divmod(np.arange(14), 2)
    proxies = inter_camera.of_clusters(rng.normal(size=(14, 24)), labels, camera)
    again = SelfTrainer(
        camera_statistics.with_cameras(trainer.model, []), more, proxies, memory=True
    )
    again.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    trainer.begin_again(more, proxies)
    logs = [
        fit(each, batches(**without_source(data), steps=3, first_step=3, seed=SEED), 3)
        for each in (trainer, again)
    ]
    assert logs[0] == logs[1]
    for left, right in zip(trainer.weights, again.weights, strict=True):
        np.testing.assert_array_equal(left, right, err_msg=left.path)
    for left, right in zip(trainer.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(left, right, err_msg=left.path)
    assert trainer.classifier.directions.shape[0] is None and len(traces) == 1
    np.testing.assert_array_equal(trainer.classifier.directions, again.classifier.directions)
    assert len(trainer.classifier.directions.numpy()) == 9


@pytest.mark.parametrize("identities", [6, 0])
def test_equal_steps_give_equal_bits(identities):
    """TensorFlow adds up gradients of three passes in an order that differs from time to time."""
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(1)
    # A network that has much to do at a time.
    model = StrongModel(identities, "MobileNetV2", "random", (128, 64))
    centroids = random.normal(size=(6, 1280)).astype("f4")
    trainer = SelfTrainer(
        model, centroids, None if identities else small_proxies(1280), memory=not identities
    )
    trainer.compile(optimizer=keras.optimizers.SGD(0.001), jit_compile=False)
    batch = {
        f"{name}_images": tf.constant(random.uniform(0, 255, (count, 128, 64, 3)), tf.float32)
        for name, count in (("source", 32), ("first", 16), ("second", 16))
    } | {f"{name}_labels": tf.range(count) % 6 for name, count in (("source", 32), ("target", 16))}
    batch |= {"first_cameras": tf.zeros(16, tf.int32), "second_cameras": tf.ones(16, tf.int32)}
    step, found = tf.function(trainer.train_step), []
    trainer.optimizer.build(trainer.trainable_variables)
    start = trainer.get_weights()
    for _ in range(12):
        trainer.set_weights(start)
        if not identities:
            trainer.classifier.begin(centroids)
        step(batch)
        found.append([weight.tobytes() for weight in trainer.get_weights()])
    assert found[0] != [weight.tobytes() for weight in start]
    assert found.count(found[0]) == 12


def test_running_statistics_come_from_the_source_alone(data):
    """Whatever the target looks like; where nothing is learnt, so that weights don't tell."""
    found = []
    for factor in (1.0, 0.2):
        trainer, _ = small_trainer(weight_decay=0.0)
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
    trainer, _ = small_trainer()
    trainer.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    before = {v.path: v.numpy() for v in trainer.model.variables}
    found = [
        fit(trainer, batches(**data, steps=10, first_step=10 * i, seed=0), 10) for i in range(3)
    ]
    for name in ("loss", "class"):
        assert found[2][name] < 0.95 * found[0][name], name
    changed = {v.path for v in trainer.model.variables if np.any(v.numpy() != before[v.path])}
    assert {v.path for v in trainer.model.encoder_i.variables} <= changed
    # The table waits for the round's end.
    assert not changed & {v.path for v in trainer.model.table.weights}
    assert all(np.isfinite(v.numpy()).all() for v in trainer.variables)


# Replicas: this file runs itself as a program, as the CPU is split before TensorFlow starts.


def replicas_program() -> None:
    """Source and target batches differ in size, and each must be split evenly."""
    replicas.split_cpu(2)
    alone = "alone" in sys.argv
    identities, data = 6, both_domains()
    if alone:
        identities, data = 0, without_source(data)
    results = []
    for count in (1, 2):
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])
        with strategy.scope():
            trainer, _ = small_trainer(identities=identities)
            initial = trainer.get_weights()
            # With Adam, rounding decides the sign of a step where a gradient is 0.
            trainer.compile(optimizer=keras.optimizers.SGD(0.05, 0.9), jit_compile=False)
        logs = fit(trainer, batches(**data, steps=2, first_step=0, seed=SEED), 2)
        learnt = [(v.path, v.numpy()) for v in trainer.weights]
        if alone:
            learnt.append(("memory", trainer.classifier.directions.numpy()))
            initial.append(small_trainer(identities=0)[0].classifier.directions.numpy())
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
