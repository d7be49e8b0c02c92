"""Trains the strong recipe, stage by stage.

    source    E_I and a classifier, tuned on the labelled source; a checkpoint after every epoch
    adapted   the same weights, with batch statistics of each target camera
    round N   clusters of the unlabelled target, then both domains together; statistics anew
    average   the mean of the later half of the rounds; statistics anew
    result    the stage to keep, chosen without a label of the target

With `oracle_labels` the target's persons stand in for its clusters, and the last stage is kept.
Without a source there is no source stage: `adapted` has the weights that the backbone is given.
Each stage ends in a file of the run's folder, so the same call goes on from the last one.
"""

import os
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from arn_tf.backbones import networks
from arn_tf.data import joined
from arn_tf.data.own_data import OwnData
from arn_tf.data.reid_data import ReidData
from arn_tf.data.sampling import Sampler, check_target
from arn_tf.errors import ArgumentError
from arn_tf.layers.adam import Adam
from arn_tf.run import stage_times, start, tensorboard
from arn_tf.run.callbacks import Checkpoints, NonFiniteGuard, ProgressBar
from arn_tf.run.folder import RunDir
from arn_tf.strong import batches, oracle, recovery, stage_choice
from arn_tf.strong.model import StrongModel
from arn_tf.strong.rounds import TargetRounds
from arn_tf.strong.settings import StrongSettings
from arn_tf.strong.stages import ADAPTED

SOURCE, RESULT = "source.keras", "model.keras"
INITIAL = "initial.keras"
_WARM_UP = 0.1
_Pictures = np.ndarray | joined.JoinedPictures
# Of settings, run, strategy, sampler, source pictures, target pictures: the tuned model.
SourceStage = Callable[
    [StrongSettings, RunDir, tf.distribute.Strategy, Sampler, _Pictures, np.ndarray], StrongModel
]


def tune(
    settings: StrongSettings,
    run: RunDir,
    strategy: tf.distribute.Strategy,
    sampler: Sampler,
    source: _Pictures,
    target: np.ndarray,
) -> StrongModel:
    """Tunes E_I and a classifier on the labelled source: the source stage.

    Args:
        settings: of the run.
        run: its folder.
        strategy: distribution strategy.
        sampler: of source batches.
        source: training pictures, uint8 [N, height, width, 3].
        target: not used.

    Returns:
        the tuned model, not saved yet.
    """
    with strategy.scope():
        model, epochs = resumed(settings, run)
        if not model.compiled:
            compile_for_source(model, settings, sampler.steps_per_epoch)
    data = batches.source_batches(sampler, source, epochs, settings.seed)
    fit(settings, run, sampler, model, epochs, data)
    return model


def train(settings: StrongSettings, source_stage: SourceStage = tune) -> RunDir:
    """Starts or resumes the run that the settings describe; returns its folder.

    Args:
        settings: of the run.
        source_stage: trains the first stage, where there is a source.

    Raises:
        UserError: see `start.started`, `Sampler.check`, `backbone.build`, `oracle.check`; or a
            loss that is not finite.
    """
    settings.check()
    if not os.path.exists(RunDir(settings.run_dir).file(INITIAL)):
        networks.check(settings.backbone, settings.backbone_weights)
        if settings.oracle_labels:
            oracle.check(settings)
    with start.started(settings) as (run, strategy, sources, target):
        if settings.batch_size % (2 * strategy.num_replicas_in_sync):
            raise ArgumentError(
                "batch_size",
                settings.batch_size,
                "half a target batch, one camera's, can't be divided by the "
                f"{strategy.num_replicas_in_sync} replicas",
            )
        if not sources and settings.backbone_weights == "random":
            print(
                "WARNING: without a source the target's clusters are those of random weights. Name "
                "weights that were trained to tell persons apart with --backbone_weights",
                flush=True,
            )
        numbered = enumerate(sources, start=1)
        of_sources = {
            f"source{f' {number}' if len(sources) > 1 else ''} train": source.split("train").digest
            for number, source in numbered
        }
        run.keep_data(of_sources | {"target train": target.split("train").digest})
        if not os.path.exists(run.file(RESULT)):
            _train(settings, run, strategy, sources, target, source_stage)
    return run


def _train(
    settings: StrongSettings,
    run: RunDir,
    strategy: tf.distribute.Strategy,
    sources: Sequence[ReidData | OwnData],
    target: ReidData | OwnData,
    source_stage: SourceStage,
) -> None:
    split = target.split("train")
    check_target(len(split), settings.batch_size)
    if settings.oracle_labels:
        oracle.check_pictures(split.person_id, split.camera_id)
    sampler, pictures, identities = None, None, 0
    if sources:
        splits = [source.split("train") for source in sources]
        labels, counts = joined.labels(splits)
        sampler = Sampler(
            labels,
            len(split),
            settings.batch_size,
            settings.images_per_identity,
            settings.seed,
            counts,
        )
        sampler.check()
        pictures = joined.joined([batches.decoded(each, settings.image_size) for each in splits])
        identities = sum(counts)
    target_pictures = batches.decoded(split, settings.image_size)
    begun = SOURCE if sources else INITIAL
    tuned = None
    if not os.path.exists(run.file(begun)):
        if not os.path.exists(run.file(INITIAL)):
            keras.utils.set_random_seed(settings.seed)
            with stage_times.timed(run, "start"), strategy.scope():
                tuned = _initial_model(settings, identities, target_pictures)
                run.save_model(tuned, INITIAL)
        if sources:
            tuned = None  # it is loaded where the source stage wants it
            with stage_times.timed(run, "source"):
                tuned = source_stage(settings, run, strategy, sampler, pictures, target_pictures)
                run.save_model(tuned, SOURCE)
    run.forget_checkpoints("source")
    rounds = TargetRounds(settings, run, strategy, sampler, pictures, target_pictures, split)
    if not os.path.exists(run.file(ADAPTED)):
        with stage_times.timed(run, "calibration"):
            rounds.adapt(tuned or run.load_model(begun))
    del tuned  # the rounds need the memory
    stages = rounds.train()
    with stage_times.timed(run, "choice"):
        # Of an oracle too, which takes no choice by them: they say what became of the model.
        alarms = [rounds.stages.alarm(stage) for stage in stages]
        choice = oracle.last(alarms)
        if not settings.oracle_labels:
            embeddings = [rounds.stages.embeddings(stage) for stage in stages]
            choice = stage_choice.choose(embeddings, split.camera_id, alarms)
    stage_choice.record(run, stages, choice)
    run.copy_model(stages[choice.index], RESULT)


def resumed(settings: StrongSettings, run: RunDir) -> tuple[keras.Model, range]:
    """Loads the newest checkpoint of the source stage, or the model that it begins with.

    Returns:
        the model, compiled where it is a checkpoint, and the epochs that are left; none are where
        a run stopped between its last checkpoint and the stage's result.
    """
    epoch, name = run.newest_checkpoint("source")
    return run.load_model(name or INITIAL), range(epoch or 0, settings.epochs)


def compile_for_source(model: keras.Model, settings: StrongSettings, steps_per_epoch: int) -> None:
    """Gives a model Adam, whose rate warms up and then falls along a cosine."""
    steps = settings.epochs * steps_per_epoch
    warm_up = int(_WARM_UP * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, warmup_target=settings.adam_learning_rate, warmup_steps=warm_up
    )
    model.compile(optimizer=Adam(rate), jit_compile=False)
    model.optimizer.build(model.trainable_variables)


def fit(
    settings: StrongSettings,
    run: RunDir,
    sampler: Sampler,
    model: keras.Model,
    epochs: range,
    data: tf.data.Dataset,
    shown: Sequence[str] = ("loss", "class", "triplet"),
    guards: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Trains the source stage for some epochs, with checkpoints, curves and guards.

    Args:
        settings: of the run.
        run: its folder.
        sampler: of the batches.
        model: to train.
        epochs: numbers of the epochs.
        data: `sampler.steps_per_epoch` batches for each.
        shown: logged means for the progress bar.
        guards: more callbacks that may stop the run, before a checkpoint is saved.
    """
    if not epochs:
        return
    print(f"source: epochs {epochs.start + 1} to {epochs.stop}", flush=True)
    steps = sampler.steps_per_epoch
    with tensorboard.log_writer(run, "source") as writer:
        model.fit(
            data,
            initial_epoch=epochs.start,
            epochs=epochs.stop,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=[
                ProgressBar(steps, settings.epochs, shown),
                NonFiniteGuard(lambda: last_good(run), "adam_learning_rate"),
                *guards,
                Checkpoints(run, "source"),
                tensorboard.MeansLog(writer, steps),
            ],
        )


def last_good(run: RunDir) -> str:
    """Returns the path of the newest state of the source stage."""
    return run.file(run.newest_checkpoint("source")[1] or INITIAL)


def _initial_model(settings: StrongSettings, identities: int, target: np.ndarray) -> StrongModel:
    """Returns what a run begins with; normalisations that were folded get the target's moments."""
    model = StrongModel(
        identities,
        backbone=settings.backbone,
        backbone_weights=settings.backbone_weights,
        input_size=settings.image_size,
        last_stride=settings.last_stride,
        label_smoothing=settings.label_smoothing,
        margin=settings.triplet_margin,
        weight_decay=settings.weight_decay,
        precision=settings.precision,
        seed=settings.seed,
    )
    if recovery.is_folded(model):
        print("batch normalisations of the weights are folded: statistics from the target")
        recovery.recover(model, target)
    return model
