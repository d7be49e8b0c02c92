"""One round of self-training: clusters of the unlabelled target as identities, source loss kept.

As in strong.md's measured recipe (after Fan et al. 2018; Ge et al. 2020): every target batch holds
two cameras, each normalised by its own batch statistics, so that a cluster can't be told by the
camera's look.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from arn_tf.data import batches as data_batches
from arn_tf.layers import replicas
from arn_tf.strong import backbone as tuned_backbone
from arn_tf.strong import batches as strong_batches
from arn_tf.strong.augmentation import augment
from arn_tf.strong.model import identity_head

_CLUSTERS_PER_BATCH = 8


@dataclasses.dataclass(frozen=True)
class PairSampler:
    """Target batches of two cameras and of clusters that both have seen.

    Args:
        labels: int [N], clusters from 0; -1 for pictures that aren't used.
        camera_id: int [N]; below 0 is unknown.
        batch_size: pictures in a batch, half of each camera.
        seed: of all drawing.
    """

    labels: np.ndarray
    camera_id: np.ndarray
    batch_size: int
    seed: int

    def step(self, step):
        """Rows of one batch, int64 [2, batch_size / 2]: the same cluster at the same place."""
        rng = np.random.default_rng([self.seed, step])
        first, second, shared = self._pairs[rng.choice(len(self._pairs), p=self._weights)]
        half = self.batch_size // 2
        count = min(_CLUSTERS_PER_BATCH, len(shared), half)
        clusters = np.resize(rng.permutation(shared)[:count], half)
        return np.array([
            [rng.choice(self._rows[cluster, camera]) for cluster in clusters]
            for camera in (first, second)
        ], np.int64)  # fmt: skip

    def __post_init__(self):
        used = np.flatnonzero(self.labels >= 0)
        if (self.camera_id[used] >= 0).any():
            # Beside known cameras an unknown one is none.
            used = used[self.camera_id[used] >= 0]
        rows = {}
        for row in used:
            rows.setdefault((self.labels[row], self.camera_id[row]), []).append(row)
        cameras = np.unique(self.camera_id[used])
        pairs = []
        for i, first in enumerate(cameras):
            # A target of one camera is paired with itself.
            for second in cameras[i + 1 :] if len(cameras) > 1 else cameras:
                shared = [c for c, camera in rows if camera == first and (c, second) in rows]
                if shared:
                    pairs.append((first, second, np.array(shared)))
        weights = np.array([len(shared) for *_, shared in pairs], np.float64)
        object.__setattr__(self, "_rows", rows)
        object.__setattr__(self, "_pairs", pairs)
        object.__setattr__(self, "_weights", weights / weights.sum())


def batches(source_sampler, source, target_sampler, target, steps, first_step, seed):
    """Batches of both domains, augmented; a function of the seed and the step's number.

    Args:
        source_sampler: `sampling.Sampler`.
        source: its pictures, uint8 [N, height, width, 3].
        target_sampler: `PairSampler`.
        target: its pictures, likewise.
        steps: how many.
        first_step: number of the first.
        seed: of the augmentation.
    """
    per_epoch = source_sampler.steps_per_epoch

    def plans():
        plan = None
        for step in range(first_step, first_step + steps):
            if plan is None or step % per_epoch == 0:
                plan = source_sampler.epoch(step // per_epoch).source_rows
            yield plan[step % per_epoch], target_sampler.step(step), np.int32(step)

    def load(source_rows, target_rows, step):
        def random(pictures, rows, stream):
            images = data_batches.gather_pictures(pictures, rows)
            return augment(images, tf.stack([seed + strong_batches.STREAM * stream, step]))

        return {
            "source_images": random(source, source_rows, 0),
            "source_labels": tf.gather(source_labels, source_rows),
            "first_images": random(target, target_rows[0], 1),
            "second_images": random(target, target_rows[1], 2),
            "target_labels": tf.gather(target_labels, target_rows[0]),
        }

    source_labels = tf.constant(source_sampler.labels)
    target_labels = tf.constant(target_sampler.labels, tf.int32)
    signature = (
        tf.TensorSpec([source_sampler.batch_size], tf.int64),
        tf.TensorSpec([2, target_sampler.batch_size // 2], tf.int64),
        tf.TensorSpec([], tf.int32),
    )
    return data_batches.batches(plans, signature, load, prefetch=strong_batches.PREFETCH)


class SelfTrainer(keras.Model):
    """Trains a `StrongModel` on source and clustered target together.

    Args:
        model: the `StrongModel`, changed by training.
        centroids: float [K, D], mean feature of each cluster: the first target classifier.
    """

    def __init__(self, model, centroids):
        super().__init__(name="self_trainer")
        self.model = model
        self.neck, self.classifier = identity_head(model.embedding_dim, len(centroids), 0, "target")
        self.classifier.kernel.assign(tf.math.l2_normalize(tf.transpose(centroids), axis=0))
        self.built = True

    def train_step(self, batch):
        """One step; returns the epoch's running means by name."""
        features, tapes = zip(
            self._features(batch["source_images"], update=True),
            self._features(batch["first_images"], update=False),
            self._features(batch["second_images"], update=False),
            strict=True,
        )
        model, heads = self.model, self._heads
        with tf.GradientTape() as tape:
            tape.watch(features)
            source = model.identity_losses(
                features[0], batch["source_labels"], (model.neck, model.classifier)
            )
            target = model.identity_losses(
                tf.concat(features[1:], axis=0), tf.tile(batch["target_labels"], [2]),
                (self.neck, self.classifier),
            )  # fmt: skip
            terms = [sum(pair) for pair in zip(source, target, strict=True)]
            scaled = sum(terms) / replicas.count()
        of_features, of_heads = tape.gradient(scaled, (features, heads))
        encoder = model.encoder_i.trainable_variables
        passes = [
            tape.gradient(output, encoder, output_gradients=gradient)
            for tape, output, gradient in zip(tapes, features, of_features, strict=True)
        ]
        # One tape over all three passes would add up in an order that differs between runs:
        # TensorFlow's AddN begins with whichever buffer it may overwrite.
        of_encoder = [tf.reduce_sum(tf.stack(each), axis=0) for each in zip(*passes, strict=True)]
        model.descend(self.optimizer, of_encoder + of_heads, encoder + heads)
        return model.logged(sum(terms), *terms)

    @property
    def metrics(self):
        return self.model.metrics

    @property
    def _heads(self):
        layers = self.model.neck, self.model.classifier, self.neck, self.classifier
        return [variable for layer in layers for variable in layer.trainable_variables]

    def _features(self, images, update):
        """Features by the statistics of their batch, and the tape that has seen them made."""
        with (
            tf.GradientTape() as tape,
            tuned_backbone.normalized_by(tuned_backbone.BatchMoments(update=update)),
        ):
            return self.model.features(images), tape
