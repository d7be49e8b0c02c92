"""Self-training: which pictures make a batch, and what a step learns from both domains."""

import sys

import keras
import numpy as np
import pytest
import small_data
import tensorflow as tf

from arn_tf import replicas, tuned_backbone
from arn_tf.identity_losses import batch_hard_triplet, smoothed_classification
from arn_tf.sampling import Sampler
from arn_tf.self_training import PairSampler, SelfTrainer, batches
from arn_tf.strong_model import StrongModel

SIZE = (small_data.HEIGHT, small_data.WIDTH)


def clusters(seed=0, count=300, labels=10, cameras=4):
    """Labels -1 to 9 and cameras; camera 3 sees clusters 0 and 1 only."""
    rng = np.random.default_rng(seed)
    label, camera = rng.integers(-1, labels, count), rng.integers(0, cameras, count)
    label[(camera == 3) & (label > 1)] = -1
    return label, camera


def drawn(sampler, steps=200):
    return np.stack([sampler.step(step) for step in range(steps)])


# Pairs of cameras.


def test_a_batch_holds_two_cameras_and_the_same_cluster_at_the_same_place():
    labels, camera_id = clusters()
    rows = drawn(PairSampler(labels, camera_id, 16, 0))
    assert rows.shape == (200, 2, 8)
    assert rows.dtype == np.int64
    for first, second in rows:
        np.testing.assert_array_equal(labels[first], labels[second])
        assert np.all(labels[first] >= 0)
        [one], [other] = np.unique(camera_id[first]), np.unique(camera_id[second])
        assert one != other


def test_only_clusters_that_both_cameras_have_seen():
    """Three cameras; cluster 0 is seen by 0 and 1, cluster 1 by 1 and 2, cluster 2 by 2 alone."""
    camera_id = np.array([0, 1, 1, 2, 2, 0, 2])
    labels = np.array([0, 0, 1, 1, 2, -1, -1])
    rows = drawn(PairSampler(labels, camera_id, 4, 0), 60)
    seen = {tuple(map(tuple, pair)) for pair in rows}
    assert seen == {((0, 0), (1, 1)), ((2, 2), (3, 3))}


def test_a_batch_has_up_to_eight_clusters_evenly():
    labels, camera_id = clusters(labels=20, count=2000, cameras=2)
    for first, _ in drawn(PairSampler(labels, camera_id, 32, 0), 40):
        found, times = np.unique(labels[first], return_counts=True)
        assert len(found) == 8
        assert set(times) == {2}
    # Three clusters fill a half of eight.
    few = np.where(labels < 3, labels, -1)
    for first, _ in drawn(PairSampler(few, camera_id, 16, 0), 40):
        assert sorted(np.unique(few[first], return_counts=True)[1]) == [2, 3, 3]


def test_every_usable_picture_comes_up_and_pairs_by_what_they_share():
    labels, camera_id = clusters()
    rows = drawn(PairSampler(labels, camera_id, 16, 0), 1500)
    np.testing.assert_array_equal(np.unique(rows), np.flatnonzero(labels >= 0))
    # Camera 3 shares 2 clusters with each of three, the others 10 with each other: 6 of 36.
    share = np.mean(camera_id[rows[:, 1, 0]] == 3)
    assert share == pytest.approx(6 / 36, abs=0.04)


def test_a_target_of_one_camera():
    labels, _ = clusters()
    rows = drawn(PairSampler(labels, np.full(300, 5), 16, 0))
    np.testing.assert_array_equal(labels[rows[:, 0]], labels[rows[:, 1]])
    assert np.all(labels[rows] >= 0)
    assert np.mean(rows[:, 0] != rows[:, 1]) > 0.9


def test_batches_follow_from_seed_and_step():
    labels, camera_id = clusters()
    first = PairSampler(labels, camera_id, 16, 3)
    again = PairSampler(labels.copy(), camera_id.copy(), 16, 3)
    for step in (7, 0, 7, 100):
        np.testing.assert_array_equal(first.step(step), again.step(step))
    assert np.any(first.step(7) != first.step(8))
    assert np.any(first.step(7) != PairSampler(labels, camera_id, 16, 4).step(7))


# Batches.


@pytest.fixture(scope="module")
def data():
    return both_domains()


def both_domains():
    """24 source pictures of 6 identities, 48 target pictures of 6 clusters and 2 cameras."""
    rng = np.random.default_rng(0)
    colours = rng.integers(40, 216, (12, 1, 1, 3))

    def pictures(colour, shift):
        noise = rng.normal(0, 25, (len(colour), *SIZE, 3))
        return np.clip(colours[colour] + noise + shift[:, None, None, None], 0, 255).astype("u1")

    source_labels = np.repeat(np.arange(6), 4).astype("i4")
    target_labels, camera_id = np.tile(np.arange(6), 8), np.repeat([0, 1], 24)
    source = pictures(source_labels, np.zeros(24))
    target = pictures(6 + target_labels, np.where(camera_id, 30, -30))
    target_labels[[5, 40]] = -1
    return {
        "source_sampler": Sampler(source_labels, 48, 8, 2, 0), "source": source,
        "target_sampler": PairSampler(target_labels, camera_id, 8, 0), "target": target,
    }  # fmt: skip


def taken(data, steps, first_step, seed=0):
    found = batches(**data, steps=steps, first_step=first_step, seed=seed)
    return list(found.as_numpy_iterator())


def test_batches_hold_both_domains(data):
    found = taken(data, 5, 2)
    assert len(found) == 5
    per_epoch = data["source_sampler"].steps_per_epoch
    assert per_epoch == 3
    for step, batch in enumerate(found, start=2):
        assert batch["source_images"].shape == (8, *SIZE, 3)
        assert batch["first_images"].shape == batch["second_images"].shape == (4, *SIZE, 3)
        rows = data["source_sampler"].epoch(step // per_epoch).source_rows[step % per_epoch]
        np.testing.assert_array_equal(batch["source_labels"], data["source_sampler"].labels[rows])
        first, second = data["target_sampler"].step(step)
        np.testing.assert_array_equal(batch["target_labels"], data["target_sampler"].labels[first])
        for images, pictures in (
            (batch["source_images"], data["source"][rows]),
            (batch["first_images"], data["target"][first]),
            (batch["second_images"], data["target"][second]),
        ):
            # Changed at random, but it is these pictures: by mean colour, less what it did.
            centre = images[:, 16:48, 10:22].mean(axis=(1, 2))
            expected = pictures.astype("f4").mean(axis=(1, 2))
            assert np.abs(centre - expected).max() < 0.5 * expected.max()
            direction = np.corrcoef(centre.ravel(), expected.ravel())[0, 1]
            assert direction > 0.7
            assert images.min() >= 0
            assert images.max() <= 255


def test_batches_are_functions_of_seed_and_step(data):
    whole, part = taken(data, 5, 2), taken(data, 2, 5)
    for left, right in zip(whole[3:], part, strict=True):
        for key in left:
            np.testing.assert_array_equal(left[key], right[key], err_msg=key)
    other = taken(data, 1, 5, seed=1)[0]
    assert np.abs(other["source_images"] - part[0]["source_images"]).mean() > 1
    # Of equal pictures, the two cameras' and the source's are changed by draws of their own.
    same = np.repeat(data["source"][:1], 48, axis=0)
    batch = taken(data | {"source": same, "target": same}, 1, 0)[0]
    images = [batch[f"{name}_images"][:4] for name in ("source", "first", "second")]
    for left, right in zip(images, images[1:] + images[:1], strict=True):
        assert np.abs(left - right).mean() > 1


# Steps.


def small_trainer(seed=0, weight_decay=5e-4):
    keras.utils.set_random_seed(seed)
    model = StrongModel(6, "Tiny", "random", SIZE, weight_decay=weight_decay)
    centroids = np.random.default_rng(1).normal(size=(6, 24)).astype("f4")
    return SelfTrainer(model, centroids), centroids


def normalizations(model):
    return [
        layer for layer in model.encoder_i.layers
        if isinstance(layer, tuned_backbone.CameraBatchNormalization)
    ]  # fmt: skip


def fit(trainer, dataset, steps):
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
        "target_neck/gamma", "target_classifier/kernel",
    }  # fmt: skip
    assert len({id(v) for v in trainer.trainable_variables}) == len(names)


def test_one_step_by_hand(data):
    trainer, _ = small_trainer(weight_decay=0.01)
    other, _ = small_trainer()
    trainer.compile(optimizer=keras.optimizers.SGD(0.05), jit_compile=False)
    for left, right in zip(trainer.variables[:12], other.variables[:12], strict=True):
        np.testing.assert_array_equal(left, right)
    before = [v.numpy() for v in trainer.trainable_variables]
    batch = taken(data, 1, 0)[0]

    def terms(vectors, labels, gamma, kernel):
        mean, variance = tf.nn.moments(vectors, [0])
        codes = gamma * (vectors - mean) / tf.sqrt(variance + 1e-3)
        return [
            smoothed_classification(tf.matmul(codes, kernel), tf.constant(labels), 0.1),
            batch_hard_triplet(vectors, tf.constant(labels), 0.3),
        ]

    def vectors(images):
        scope = tuned_backbone.normalized_by(tuned_backbone.BatchMoments(update=False))
        with scope as moments:
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
    assert logs == pytest.approx({
        "loss": sum(values), "class": values[0] + values[2], "triplet": values[1] + values[3],
    }, rel=1e-4)  # fmt: skip
    for new, old, gradient in zip(trainer.trainable_variables, before, gradients, strict=True):
        np.testing.assert_allclose(
            new, old - 0.05 * (gradient + 0.01 * old), rtol=1e-3, atol=1e-5, err_msg=new.path
        )
    [layer] = normalizations(trainer.model)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * moments.means[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        layer.moving_variance, 0.9 + 0.1 * moments.variances[0], rtol=1e-4, atol=1e-6
    )


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
        [layer] = normalizations(trainer.model)
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
    assert not changed & {v.path for v in trainer.model.table.values()}
    assert all(np.isfinite(v.numpy()).all() for v in trainer.variables)


# Replicas: this file runs itself as a program, as the CPU is split before TensorFlow starts.


def replicas_program():
    """Source and target batches differ in size, and each must be split evenly."""
    replicas.split_cpu(2)
    results = []
    for count in (1, 2):
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])
        with strategy.scope():
            trainer, _ = small_trainer()
            initial = trainer.get_weights()
            # With Adam, rounding decides the sign of a step where a gradient is 0.
            trainer.compile(optimizer=keras.optimizers.SGD(0.05, 0.9), jit_compile=False)
        logs = fit(trainer, batches(**both_domains(), steps=2, first_step=0, seed=0), 2)
        results.append((logs, [(v.path, v.numpy()) for v in trainer.weights]))
    (left_logs, left), (right_logs, right) = results
    assert right_logs == pytest.approx(left_logs, rel=1e-4)
    for (path, one), (_, two), old in zip(left, right, initial, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5, err_msg=path)
        assert np.any(one != old) or path.startswith("strong/"), path


def test_two_replicas_learn_what_one_does():
    small_data.run_again(__file__, "replicas")


if __name__ == "__main__":
    if sys.argv[1:2] == ["replicas"]:
        replicas_program()
    else:
        raise SystemExit(pytest.main([__file__]))
