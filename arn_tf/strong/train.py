"""Trains the strong recipe: `python -m arn_tf.train --preset=strong --source= --target=`.

    source    E_I and a classifier, tuned on the labelled source; a checkpoint after every epoch
    adapted   the same weights, with batch statistics of each target camera
    round N   clusters of the unlabelled target, then both domains together; statistics anew
    result    the stage to keep, chosen without a label of the target

Each stage ends in a file of the run's folder, so the same command goes on from the last one.
"""

import os

import keras

from arn_tf.data.sampling import Sampler
from arn_tf.errors import UserError
from arn_tf.run import start
from arn_tf.run.callbacks import Checkpoints, NonFiniteGuard
from arn_tf.run.tensorboard import ProgressBar
from arn_tf.strong import batches, keep_stage, tensorboard
from arn_tf.strong.model import StrongModel
from arn_tf.strong.rounds import ADAPTED, TargetRounds, round_file
from studies.joint_training import JointTrainer

SOURCE, RESULT = "source.keras", "model.keras"
_WARM_UP = 0.1


def train(settings):
    """Runs, or goes on with, the run that the `StrongSettings` describe; returns its `RunDir`.

    Raises:
        UserError: see `run_start.started`, `Sampler.check`, `backbone.build`; or a loss that is not
            finite.
    """
    with start.started(settings) as (run, strategy, source, target):
        if settings.batch_size % (2 * strategy.num_replicas_in_sync):
            raise UserError(
                f"--batch_size={settings.batch_size}: half a target batch, one camera's, can't be "
                f"divided by the {strategy.num_replicas_in_sync} replicas"
            )
        run.keep_data({
            "source train": source.split("train").digest,
            "target train": target.split("train").digest,
        })  # fmt: skip
        if not os.path.exists(run.file(RESULT)):
            _train(settings, run, strategy, source, target)
    return run


def _train(settings, run, strategy, source, target):
    labels, _ = source.split("train").labels()
    split = target.split("train")
    sampler = Sampler(
        labels, len(split), settings.batch_size, settings.images_per_identity, settings.seed
    )
    sampler.check()
    pictures, target_pictures = (
        batches.decoded(data.split("train"), settings.image_size) for data in (source, target)
    )
    rounds = TargetRounds(settings, run, strategy, sampler, pictures, target_pictures, split)
    if not os.path.exists(run.file(SOURCE)):
        _tune(
            settings, run, strategy, sampler, pictures,
            target_pictures if settings.arn_losses else None,
        )  # fmt: skip
    run.forget_checkpoints("source")
    if not os.path.exists(run.file(ADAPTED)):
        rounds.adapt(SOURCE)
    numbers = range(rounds.train() + 1)
    stages = [round_file(number) for number in numbers]
    embeddings = [rounds.embeddings(number) for number in numbers]
    if settings.keep_best == "labelled":
        choice = keep_stage.by_labels(stages, run, target, settings.image_size)
    else:
        alarms = [rounds.alarm(number) for number in numbers]
        choice = keep_stage.without_labels(stages, embeddings, split.camera_id, alarms)
    keep_stage.record(run, settings.keep_best, choice)
    run.save_model(run.load_model(choice.stage), RESULT)


def _tune(settings, run, strategy, sampler, source, target):
    """The source stage; with target pictures ARN's losses take part."""
    if not os.path.exists(run.file("initial.keras")):
        keras.utils.set_random_seed(settings.seed)
        with strategy.scope():
            run.save_model(_initial_model(settings, int(sampler.labels.max()) + 1), "initial.keras")
    epoch, name = run.newest_checkpoint("source")
    with strategy.scope():
        model = run.load_model(name or "initial.keras")
        if not name:
            if target is not None:
                model = JointTrainer(model, seed=settings.seed)
            _compile(model, settings, sampler.steps_per_epoch)
    epochs = range(epoch or 0, settings.epochs)
    # None are left where a run stopped between its last checkpoint and the stage's result.
    if epochs:
        _fit(settings, run, sampler, model, epochs, source, target)
    run.save_model(model if target is None else model.model, SOURCE)


def _fit(settings, run, sampler, model, epochs, source, target):
    def last_good():
        return run.file(run.newest_checkpoint("source")[1] or "initial.keras")

    print(f"source: epochs {epochs.start + 1} to {epochs.stop}", flush=True)
    steps = sampler.steps_per_epoch
    guards = [NonFiniteGuard(last_good)]
    if target is not None:
        guards.append(tensorboard.FlatMapGuard(last_good))
    with tensorboard.log_writer(run, "source") as writer:
        model.fit(
            batches.source_batches(sampler, source, epochs, settings.seed, target),
            initial_epoch=epochs.start, epochs=epochs.stop, steps_per_epoch=steps, shuffle=False,
            verbose=0,
            callbacks=[
                ProgressBar(steps, settings.epochs), *guards, Checkpoints(run, "source"),
                tensorboard.StrongLog(writer, steps),
            ],
        )  # fmt: skip


def _initial_model(settings, num_identities):
    return StrongModel(
        num_identities, settings.backbone, settings.backbone_weights, settings.image_size,
        settings.last_stride, settings.label_smoothing, settings.triplet_margin,
        settings.weight_decay, settings.precision, seed=settings.seed,
    )  # fmt: skip


def _compile(model, settings, steps_per_epoch):
    steps = settings.epochs * steps_per_epoch
    warm_up = int(_WARM_UP * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, warmup_target=settings.adam_learning_rate, warmup_steps=warm_up
    )
    model.compile(optimizer=keras.optimizers.Adam(rate), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
