"""Adapts a strong model to its unlabelled target: camera statistics, then self-training.

    adapted   the source's weights, with batch statistics of each target camera
    round N   clusters of the target, both domains trained together, statistics anew
    average   the mean of the later half of the rounds, statistics anew

Without a source they begin with the backbone as it is given, and the target is trained on alone.
No label of the target is read, but for a diagnosis that the log marks as such, and by a run with
`oracle_labels`.
"""

import os

import numpy as np
import tensorflow as tf

from arn_tf.data.joined import JoinedPictures
from arn_tf.data.sampling import Sampler
from arn_tf.data.split import Split
from arn_tf.run import stage_times, tensorboard
from arn_tf.run.callbacks import NonFiniteError, NonFiniteGuard, ProgressBar
from arn_tf.run.folder import RunDir
from arn_tf.strong import (
    camera_statistics,
    round_labels,
    round_training,
    target_batches,
    target_notes,
)
from arn_tf.strong.averaging import mean_of
from arn_tf.strong.model import StrongModel
from arn_tf.strong.self_training import SelfTrainer
from arn_tf.strong.settings import StrongSettings
from arn_tf.strong.stages import (
    ADAPTED,
    AVERAGE,
    TargetStages,
    averaged,
    compared,
    round_file,
)


class TargetRounds:
    """Trains the target's stages of one run.

    Args:
        settings: of the run.
        run: its folder.
        strategy: distribution strategy.
        sampler: of source batches; None without a source.
        source: its training pictures, uint8 [N, height, width, 3], or None.
        pictures: the target's training pictures, likewise.
        split: the target's training split.

    Attributes:
        stages: what there is of them.
    """

    def __init__(
        self,
        settings: StrongSettings,
        run: RunDir,
        strategy: tf.distribute.Strategy,
        sampler: Sampler | None,
        source: np.ndarray | JoinedPictures | None,
        pictures: np.ndarray,
        split: Split,
    ) -> None:
        self._settings = settings
        self._run = run
        self._strategy = strategy
        self._sampler = sampler
        self._source = source
        self._pictures = pictures
        self._split = split
        self._rounds = settings.rounds_on(len(split))
        self.stages = TargetStages(run, strategy, pictures, split, self._rounds)
        # Of the last round that was trained.
        self._trainer: SelfTrainer | None = None

    def adapt(self, tuned: StrongModel) -> None:
        """Saves the source's model, or that without a source, with the target's cameras."""
        for note in target_notes.notes(self._split.camera_id, self._split.camera_names):
            print(note)
        with self._strategy.scope():
            adapted = camera_statistics.for_cameras(
                tuned, self._split.camera_id, self._split.camera_names
            )
        # As given the network keeps its layers.
        self.stages.save(adapted, ADAPTED, layers=bool(self._settings.sources))

    def train(self) -> list[str]:
        """Trains every stage whose file is missing; returns the files of those to choose from.

        The mean of weights takes the place of the last round, unless it has an alarm: where
        consensus preferred the round, the mean was better (docs/choosing-a-stage.md).
        """
        last = self._train_rounds()
        stages = compared(last)
        if not averaged(last):
            return stages
        if not os.path.exists(self._run.file(AVERAGE)):
            with stage_times.timed(self._run, "average"):
                # Rounds end with the first alarm. The mean is computed in the last one's model,
                # which is embedded with before.
                later = averaged(last - bool(self.stages.alarm(round_file(last))))
                if later:
                    mean = mean_of(self._run, later, self.stages.model(later[-1]))
                    self.stages.save(mean, AVERAGE)
            if not later:
                return stages
        if not self.stages.alarm(AVERAGE):
            self.stages.forget_embeddings(stages.pop())
        return [*stages, AVERAGE]

    def _train_rounds(self) -> int:
        """Trains every round whose file is missing; returns the number of the last one."""
        for number in range(1, self._rounds + 1):
            if os.path.exists(self._run.file(round_file(number))):
                continue
            with stage_times.timed(self._run, f"round {number}"):
                reason = self._train_round(number)
            if reason:
                print(
                    f"self-training stops before round {number}: {reason}. What it has learnt "
                    "until then is kept"
                )
                return number - 1
            before = round_file(number - 1)
            if before not in compared(self._rounds):
                self.stages.forget_embeddings(before)
        return self._rounds

    def _train_round(self, number: int) -> str | None:
        """Trains one round and saves its model; returns the reason why it could not."""
        before = round_file(number - 1)
        if self.stages.alarm(before):
            return self.stages.alarm(before)
        embeddings = self.stages.embeddings(before)
        labels, record, reason = round_labels.find(
            self._settings, self._run, number, embeddings, self._split
        )
        if reason:
            return reason
        try:
            trained = self._trained(number, labels, embeddings)
        except NonFiniteError as error:
            self.stages.forget_model()
            reason = f"{error.what}; a lower self_training_learning_rate may help"
            round_labels.write(self._run, number, record | {"stopped": reason})
            return reason
        self.stages.save(trained, round_file(number))
        return None

    def _trained(self, number: int, labels: np.ndarray, embeddings: np.ndarray) -> StrongModel:
        """Trains the model of the round before, and returns it: on both domains, or the target."""
        settings, camera_id = self._settings, self._split.camera_id
        steps = settings.steps_of_round(len(labels))
        between = np.unique(camera_id[camera_id >= 0]).size > 1
        shown = ["loss", "class", "triplet", *(["cameras"] if between else [])]
        before = self.stages.model(round_file(number - 1))
        last = self._trainer if self._trainer and self._trainer.model is before else None
        with self._strategy.scope():
            trainer = self._trainer = round_training.trainer(
                before,
                settings,
                embeddings,
                labels,
                camera_id,
                between,
                last,
            )
        pairs = round_training.pairs(settings, labels, self._split)
        # Source batches that the source stage hasn't drawn.
        drawn = settings.epochs * self._sampler.steps_per_epoch if self._sampler else 0
        first = drawn + (number - 1) * steps
        guard = NonFiniteGuard(
            lambda: self._run.file(round_file(number - 1)), "self_training_learning_rate"
        )
        with tensorboard.log_writer(self._run, f"round_{number}") as writer:
            trainer.fit(
                target_batches.batches(
                    self._sampler, self._source, pairs, self._pictures, steps, first, settings.seed
                ),
                epochs=1,
                steps_per_epoch=steps,
                shuffle=False,
                verbose=0,
                callbacks=[
                    ProgressBar(steps, 1, shown),
                    guard,
                    tensorboard.MeansLog(writer, steps),
                ],
            )
        return trainer.model
