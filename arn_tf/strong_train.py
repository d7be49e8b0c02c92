"""Trains the strong recipe: `python -m arn_tf.train --preset=strong --source= --target=`.

    source    E_I and a classifier, tuned on the labelled source; a checkpoint after every epoch
    adapted   the same weights, with batch statistics of each target camera
    round N   clusters of the unlabelled target, then both domains together; statistics anew

Each stage ends in a file of the run's folder, so the same command goes on from the last one.
"""

import json
import os

import keras
import numpy as np
import tensorflow as tf

from arn_tf import camera_statistics, clustering, replicas, self_training, strong_data
from arn_tf.callbacks import Checkpoints, NonFiniteGuard
from arn_tf.errors import UserError
from arn_tf.files import replace_text
from arn_tf.input_pipeline import ReidData
from arn_tf.monitor import ProgressBar
from arn_tf.run_dir import RunDir
from arn_tf.sampling import Sampler
from arn_tf.strong_embedding import embed_by_camera
from arn_tf.strong_model import StrongModel

SOURCE, ADAPTED, RESULT = "source.keras", "adapted.keras", "model.keras"
_WARM_UP = 0.1


def train(settings):
    """Runs, or goes on with, the run that the `StrongSettings` describe; returns its `RunDir`.

    Raises:
        UserError: see `StrongSettings.check`, `ReidData`, `backbone.build`, `RunDir`; or a loss
            that is not finite.
    """
    settings.check()
    run = RunDir(settings.run_dir)
    strategy = replicas.make_strategy(settings)
    if settings.batch_size % (2 * strategy.num_replicas_in_sync):
        raise UserError(
            f"--batch_size={settings.batch_size}: half a target batch, one camera's, can't be "
            f"divided by the {strategy.num_replicas_in_sync} replicas"
        )
    with run.claimed_for(settings):
        tf.config.experimental.enable_op_determinism()
        tf.config.experimental.enable_tensor_float_32_execution(False)
        source, target = (
            ReidData(name, settings.data_dir, settings.manual_dir, settings.skip_bad_images)
            for name in (settings.source, settings.target)
        )
        for data in (source, target):
            if data.notes:
                print(f"{data.name}: {'; '.join(data.notes)}")
        run.keep_data({
            "source train": source.split("train").digest,
            "target train": target.split("train").digest,
        })  # fmt: skip
        stages = _Stages(settings, run, strategy, source.split("train"), target.split("train"))
        stages.source()
        stages.adapted()
        stages.rounds()
    return run


def round_file(number):
    """Name of the model after a round of self-training."""
    return f"round_{number}.keras" if number else ADAPTED


class _Stages:
    """The stages of one run on the same data."""

    def __init__(self, settings, run, strategy, source, target):
        self._settings = settings
        self._run = run
        self._strategy = strategy
        labels, self._num_identities = source.labels()
        self._sampler = Sampler(
            labels, len(target), settings.batch_size, settings.images_per_identity, settings.seed
        )
        self._sampler.check()
        self._source = strong_data.decoded(source, settings.image_size)
        self._target = strong_data.decoded(target, settings.image_size)
        self._camera_id = target.camera_id

    def source(self):
        """Tunes E_I on the source."""
        run, settings = self._run, self._settings
        if os.path.exists(run.file(SOURCE)):
            return
        if not os.path.exists(run.file("initial.keras")):
            keras.utils.set_random_seed(settings.seed)
            with self._strategy.scope():
                run.save_model(self._initial_model(), "initial.keras")
        epoch, name = run.newest_checkpoint("source")
        with self._strategy.scope():
            model = run.load_model(name or "initial.keras")
        epochs = range(epoch or 0, settings.epochs)
        steps = self._sampler.steps_per_epoch
        print(f"source: epochs {epochs.start + 1} to {epochs.stop}", flush=True)
        model.fit(
            strong_data.source_batches(self._sampler, self._source, epochs, settings.seed),
            initial_epoch=epochs.start, epochs=epochs.stop, steps_per_epoch=steps, shuffle=False,
            verbose=0,
            callbacks=[
                ProgressBar(steps, settings.epochs),
                NonFiniteGuard(
                    lambda: run.file(run.newest_checkpoint("source")[1] or "initial.keras")
                ),
                Checkpoints(run, "source"),
            ],
        )  # fmt: skip
        run.save_model(model, SOURCE)
        run.forget_checkpoints("source")

    def adapted(self):
        """Gives the tuned model its table of camera statistics."""
        if not os.path.exists(self._run.file(ADAPTED)):
            self._save_calibrated(self._run.load_model(SOURCE), ADAPTED)

    def rounds(self):
        """Self-training, until the last round or a reason to stop; then names the result."""
        run, last = self._run, 0
        if os.path.exists(run.file(RESULT)):
            return
        for number in range(1, self._settings.self_training_rounds + 1):
            if not os.path.exists(run.file(round_file(number))):
                reason = self._round(number)
                if reason:
                    print(f"self-training stops before round {number}: {reason}. What it has "
                          "learnt until then is kept")  # fmt: skip
                    break
            last = number
        run.save_model(run.load_model(round_file(last)), RESULT)

    def _initial_model(self):
        settings = self._settings
        model = StrongModel(
            self._num_identities, settings.backbone, settings.backbone_weights,
            settings.image_size, settings.last_stride, settings.label_smoothing,
            settings.triplet_margin, settings.weight_decay, seed=settings.seed,
        )  # fmt: skip
        steps = settings.epochs * self._sampler.steps_per_epoch
        warm_up = int(_WARM_UP * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, steps - warm_up, warmup_target=settings.adam_learning_rate, warmup_steps=warm_up
        )
        model.compile(optimizer=keras.optimizers.Adam(rate), jit_compile=False)
        model.optimizer.build(model.trainable_variables)
        return model

    def _round(self, number):
        """One round; a reason not to have it, or None once its model is saved."""
        settings, run = self._settings, self._run
        before = run.load_model(round_file(number - 1))
        embeddings = embed_by_camera(before, self._target, self._camera_id)
        labels, counts = clustering.cluster(
            embeddings, self._camera_id, eps=settings.cluster_eps or clustering.EPS
        )
        print(
            f"round {number}: {counts.clusters} clusters of {counts.used} of {counts.images} "
            f"pictures within {counts.eps}; {counts.noise} in none, {counts.too_large} clusters "
            f"too large, {counts.one_camera} seen by one camera only", flush=True,
        )  # fmt: skip
        reason = clustering.stop_reason(counts)
        replace_text(
            run.file(f"round_{number}.json"),
            json.dumps({"stopped": reason, **vars(counts)}, indent=2) + "\n",
        )
        if reason:
            return reason
        centroids = np.stack([
            embeddings[labels == label].mean(axis=0) for label in range(counts.clusters)
        ])  # fmt: skip
        steps = settings.self_training_steps
        keras.utils.set_random_seed(settings.seed + number)
        with self._strategy.scope():
            trainer = self_training.SelfTrainer(run.load_model(round_file(number - 1)), centroids)
            trainer.compile(
                optimizer=keras.optimizers.Adam(settings.self_training_learning_rate),
                jit_compile=False,
            )
        pairs = self_training.PairSampler(
            labels, self._camera_id, settings.batch_size, settings.seed
        )
        # Source batches that phase 1 hasn't drawn.
        first = (settings.epochs * self._sampler.steps_per_epoch) + (number - 1) * steps
        trainer.fit(
            self_training.batches(
                self._sampler, self._source, pairs, self._target, steps, first, settings.seed
            ),
            epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0,
            callbacks=[
                ProgressBar(steps, 1),
                NonFiniteGuard(lambda: run.file(round_file(number - 1))),
            ],
        )  # fmt: skip
        self._save_calibrated(trainer.model, round_file(number))
        return None

    def _save_calibrated(self, model, name):
        adapted, few = camera_statistics.estimate(model, self._target, self._camera_id)
        if few:
            print(
                f"cameras with fewer than {camera_statistics.LEAST_PICTURES} pictures use the "
                f"statistics of the whole target: {few}"
            )
        self._run.save_model(adapted, name)
