"""Trains ARN in up to three branches, each a stretch of epochs with a checkpoint after every one.

    pretrain     the first source_only_epochs, the source alone
    source_only  from there to epochs, still the source alone: the baseline
    arn          from the end of pretrain to epochs, all four terms

Whatever happens, the same call goes on from the newest checkpoint.
"""

import dataclasses
import os
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from arn_tf.data.own_data import OwnData
from arn_tf.data.reid_data import ReidData
from arn_tf.data.sampling import Sampler
from arn_tf.data.split import Split
from arn_tf.errors import ArgumentError, UserError
from arn_tf.paper import callbacks, embedding, feature_cache
from arn_tf.paper.batches import training_batches
from arn_tf.paper.constants import SYMBOLS, TERMS
from arn_tf.paper.feature_cache import cached_maps
from arn_tf.paper.model import ARN
from arn_tf.paper.optimizers import ConstantThenCosine, check_restored, grouped_optimizer
from arn_tf.paper.settings import Settings
from arn_tf.run import start, tensorboard
from arn_tf.run.callbacks import Checkpoints, NonFiniteGuard, ProgressBar
from arn_tf.run.folder import RunDir

# Pictures that measure the scale of X before training.
_CALIBRATION_PICTURES = 256


@dataclasses.dataclass(frozen=True)
class Branch:
    """A stretch of epochs that ends in a model."""

    name: str
    start: str  # name of the model that it begins with
    first_epoch: int
    last_epoch: int
    joint: bool  # whether L_rec and L_diff take part
    result: str  # name of the model that it ends in


def branches(settings: Settings) -> list[Branch]:
    """Returns the branches of a run, in order."""
    pretrained, total = settings.source_only_epochs, settings.epochs
    result = []
    start = "initial.keras"
    if pretrained:
        result.append(Branch("pretrain", start, 0, pretrained, False, "pretrained.keras"))
        start = "pretrained.keras"
    if settings.source_only_baseline:
        result.append(Branch("source_only", start, pretrained, total, False, "source_only.keras"))
    result.append(Branch("arn", start, pretrained, total, True, "model.keras"))
    return result


def train(settings: Settings) -> RunDir:
    """Starts or resumes the run that the settings describe, and returns its folder.

    Raises:
        UserError: see `start.started`, `Sampler.check`, `keras_applications.build`; or a loss that
            is not finite.
    """
    with start.started(settings) as (run, strategy, [source], target):
        if settings.feature_cache == "disk" and not os.path.exists(run.file("model.keras")):
            feature_cache.check(settings.feature_dir)
        labels, num_identities = source.split("train").labels()
        sampler = Sampler(
            labels,
            len(target.split("train")),
            settings.batch_size,
            settings.images_per_identity,
            settings.seed,
        )
        sampler.check()
        splits = [(source, "source", ("train",))]
        # Crops of a user have no query and gallery.
        of_target = tuple(filter(target.has_split, ("train", "query", "gallery")))
        splits.append((target, "target", of_target))
        run.keep_data(
            {
                f"{role} {name}": data.split(name).digest
                for data, role, names in splits
                for name in names
            }
        )
        if not os.path.exists(run.file("initial.keras")):
            # Not earlier: preparing a data set draws random numbers too.
            keras.utils.set_random_seed(settings.seed)
            with strategy.scope():
                model = _initial_model(settings, num_identities, sampler, source.split("train"))
            run.save_model(model, "initial.keras")
        for branch in branches(settings):
            if not os.path.exists(run.file(branch.result)):
                _Trainer(settings, run, strategy, sampler, source, target).run(branch)
            run.forget_checkpoints(branch.name)
    return run


def _initial_model(
    settings: Settings, num_identities: int, sampler: Sampler, train_split: Split
) -> ARN:
    model = ARN(
        num_identities,
        backbone=settings.backbone,
        backbone_weights=settings.backbone_weights,
        input_size=settings.image_size,
        shared_encoder=settings.shared_encoder,
        private_encoders=settings.private_encoders,
        embedding_dim=settings.embedding_dim,
        hidden_width=settings.hidden_width,
        dropout=settings.dropout,
        margin=settings.margin,
        loss_weights=settings.loss_weights,
        loss_normalization=settings.loss_normalization,
        seed=settings.seed,
    )
    rows = np.linspace(0, len(train_split) - 1, min(len(train_split), _CALIBRATION_PICTURES))
    maps = np.concatenate(
        list(embedding.map_batches(model, train_split, rows=rows.astype(np.int64)))
    )
    try:
        model.calibrate(maps)
    except ValueError as error:
        raise ArgumentError("backbone_weights", settings.backbone_weights, str(error)) from error
    joint_epochs = settings.epochs - settings.source_only_epochs
    steps = sampler.steps_per_epoch
    schedules = {
        group: ConstantThenCosine(rate, settings.source_only_epochs * steps, joint_epochs * steps)
        for group, rate in settings.learning_rates().items()
    }
    model.compile(
        optimizer=grouped_optimizer(model, schedules, settings.momentum), jit_compile=False
    )
    return model


class _Trainer:
    """Trains one branch after the other on the same data."""

    def __init__(
        self,
        settings: Settings,
        run: RunDir,
        strategy: tf.distribute.Strategy,
        sampler: Sampler,
        source: ReidData | OwnData,
        target: ReidData | OwnData,
    ) -> None:
        self._settings = settings
        self._run = run
        self._strategy = strategy
        self._sampler = sampler
        self._source = source
        self._target = target

    def run(self, branch: Branch) -> None:
        """Trains a branch from its newest checkpoint and saves its result."""
        run, settings = self._run, self._settings
        epoch, name = run.newest_checkpoint(branch.name)
        if epoch is None:
            epoch, name = branch.first_epoch, branch.start
        else:
            print(f"{branch.name}: going on after epoch {epoch}")
        with self._strategy.scope():
            model = run.load_model(name)
        try:
            check_restored(model.optimizer)
        except ValueError as error:
            raise UserError(f"{run.file(name)}: can't be loaded ({error})") from error
        weights = dict(settings.loss_weights)
        if not branch.joint:
            weights |= {"reconstruction": 0.0, "difference": 0.0}
        model.loss_weights = weights
        with tensorboard.log_writer(run, branch.name) as writer:
            with writer.as_default(step=0):
                tf.summary.text("settings", _as_markdown(settings))
            tuned = min(max(settings.encoder_i_epochs, epoch), branch.last_epoch)
            for first, last, tune in ((epoch, tuned, True), (tuned, branch.last_epoch, False)):
                if first < last:
                    self._fit(model, branch, writer, range(first, last), tune)
            if branch.name != "pretrain":
                self._estimate_statistics(model, os.path.join(run.logs, branch.name))
        run.save_model(model, branch.result)

    def _fit(
        self,
        model: ARN,
        branch: Branch,
        writer: tf.summary.SummaryWriter,
        epochs: range,
        tune: bool,
    ) -> None:
        settings, run = self._settings, self._run
        cached = settings.feature_cache == "disk" and not tune
        joint = branch.joint and any(
            model.loss_weights[term] for term in ("reconstruction", "difference")
        )
        source = self._data(model, self._source, ("train",), cached)
        monitors = settings.monitor_every and self._target.has_split("query")
        monitored = ("query", "gallery") if monitors else ()
        target = self._data(model, self._target, ("train", *monitored), cached)
        pictures = [
            split.images if maps is None else maps
            for split, maps in (source["train"], target["train"])
        ]
        dataset = training_batches(
            self._sampler, *pictures, epochs, image_size=model.input_size, with_target=joint
        )
        model.tune_encoder_i = tune
        model.make_train_function(force=True)
        steps = self._sampler.steps_per_epoch
        watchers = [
            ProgressBar(steps, branch.last_epoch, ("loss", *TERMS)),
            NonFiniteGuard(
                lambda: self._newest(branch),
                "learning_rate_scale",
                ", or the weight of that term; loss_normalization=literal diverges with the "
                "paper's weights",
                ["loss_normalization"],
                SYMBOLS,
            ),
            # Before whatever else may fail or be killed.
            Checkpoints(run, branch.name),
            callbacks.CollapseWarning(self._sampler.labels.max() + 1, writer),
            callbacks.ScalarLog(writer, steps),
        ]
        if monitors:
            watchers.append(
                callbacks.TargetMonitor(writer, target, settings.monitor_every, branch.last_epoch)
            )
        print(f"{branch.name}: epochs {epochs.start + 1} to {epochs.stop}", flush=True)
        model.fit(
            dataset,
            epochs=epochs.stop,
            initial_epoch=epochs.start,
            callbacks=watchers,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
        )

    def _estimate_statistics(self, model: ARN, log_dir: str) -> None:
        """Sets the target's batch statistics, and shows its embeddings in TensorBoard."""
        shown = "query" if self._target.has_split("query") else "train"
        target = self._data(model, self._target, ("train", shown), cached=True)
        embedding.estimate_target_statistics(model, *target["train"])
        split = target[shown]
        try:
            tensorboard.write_projector(log_dir, split[0], embedding.embed_split(model, *split))
        except OSError as error:
            raise ArgumentError("model_dir", self._run.path, str(error)) from error

    def _data(
        self, model: ARN, data: ReidData | OwnData, splits: Sequence[str], cached: bool
    ) -> dict[str, tuple[Split, np.ndarray | None]]:
        """Returns {split: (pictures, cached maps or None)}; only those to train on are mirrored."""
        directory = self._settings.feature_dir
        cached = cached and self._settings.feature_cache == "disk"
        found = {}
        for name in splits:
            split, maps = data.split(name), None
            if cached:
                views = 2 if name == "train" else 1
                maps = cached_maps(model, split, views, directory, f"{data.name} {name}")
            found[name] = split, maps
        return found

    def _newest(self, branch: Branch) -> str:
        _, name = self._run.newest_checkpoint(branch.name)
        return self._run.file(name or branch.start)


def _as_markdown(settings: Settings) -> str:
    lines = (f"    {name}: {value}" for name, value in dataclasses.asdict(settings).items())
    # A folder's name need not be UTF-8; what TensorBoard shows must.
    return "\n".join(lines).encode(errors="backslashreplace").decode()
