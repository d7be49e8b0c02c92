"""The stages of a strong run on its unlabelled target: camera statistics, then self-training.

    adapted   the source's weights, with batch statistics of each target camera
    round N   clusters of the target, both domains trained together, statistics anew
    average   without a source: the mean of the later half of the rounds, statistics anew

Without a source they begin with the backbone as it is given, and the target is trained on alone.
Each ends in a file of the run's folder. No label of the target is read, but for a diagnosis that
the log marks as such, and by a run with `oracle_labels`.
"""

import os

import numpy as np
import tensorflow as tf

from arn_tf.data.joined import JoinedPictures
from arn_tf.data.sampling import Sampler
from arn_tf.data.split import Split
from arn_tf.layers.normalization import TARGET
from arn_tf.run import stage_times, tensorboard
from arn_tf.run.callbacks import NonFiniteError, NonFiniteGuard, ProgressBar
from arn_tf.run.folder import RunDir
from arn_tf.strong import (
    averaging,
    camera_statistics,
    round_labels,
    round_training,
    target_batches,
    target_notes,
    unlabelled_scores,
)
from arn_tf.strong.averaging import AVERAGE
from arn_tf.strong.embedding import embed_target, source_logits
from arn_tf.strong.model import StrongModel
from arn_tf.strong.self_training import SelfTrainer
from arn_tf.strong.settings import StrongSettings
from arn_tf.strong.stage_choice import collapsed, collapsed_statistics

ADAPTED = "adapted.keras"


# Rounds that a stage is chosen from: the embeddings of all of many would fill the memory.
_COMPARED = 3


def round_file(number: int) -> str:
    """Returns the name of the model after a round of self-training; `ADAPTED` after none."""
    return f"round_{number}.keras" if number else ADAPTED


def compared(last: int) -> list[str]:
    """Returns the files of the stages that one is chosen from: `ADAPTED` and some of the rounds.

    Args:
        last: number of the last round.
    """
    numbers = {round(last * part / _COMPARED) for part in range(_COMPARED + 1)}
    return [round_file(number) for number in sorted(numbers)]


class TargetRounds:
    """Trains the target's stages of one run, and embeds the target by each.

    Args:
        settings: of the run.
        run: its folder.
        strategy: distribution strategy.
        sampler: of source batches; None without a source.
        source: its training pictures, uint8 [N, height, width, 3], or None.
        pictures: the target's training pictures, likewise.
        split: the target's training split.
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
        # Of the last stage that was trained or loaded: file, model, and what `estimate_in_place`
        # returned for it.
        self._current: tuple[str, StrongModel, dict[int, np.ndarray] | None] | None = None
        # Of the model of the last round that was trained.
        self._trainer: SelfTrainer | None = None
        # {file of a stage: (embeddings, alarm)}.
        self._assessed: dict[str, tuple[np.ndarray, str | None]] = {}

    def adapt(self, tuned: StrongModel) -> None:
        """Saves the source's model, or that without a source, with the target's cameras."""
        for note in target_notes.notes(self._split.camera_id, self._split.camera_names):
            print(note)
        adapted = camera_statistics.for_cameras(
            tuned, self._split.camera_id, self._split.camera_names
        )
        # As given the network keeps its layers.
        self._calibrate(adapted, ADAPTED, layers=bool(self._settings.sources))

    def train(self) -> list[str]:
        """Trains every stage whose file is missing; returns the files of those to choose from."""
        last = self._train_rounds()
        stages = compared(last)
        later = [round_file(number) for number in range(last // 2 + 1, last + 1)]
        if self._sampler or len(later) < 2:
            return stages
        if not os.path.exists(self._run.file(AVERAGE)):
            with stage_times.timed(self._run, "average"):
                self._calibrate(averaging.mean_of(self._run, later), AVERAGE)
        return [*stages, AVERAGE]

    def embeddings(self, stage: str) -> np.ndarray:
        """Returns embeddings of the target's training pictures by a stage, float32 [N, D].

        Computed once: the next round clusters them, and the choice of a stage compares them.

        Args:
            stage: its file.
        """
        return self._assess(stage)[0]

    def alarm(self, stage: str) -> str | None:
        """Returns why a stage's model can't tell pictures apart; or None."""
        return self._assess(stage)[1]

    def _model(self, stage: str) -> StrongModel:
        return self._stage(stage)[0]

    def _stage(self, stage: str) -> tuple[StrongModel, dict[int, np.ndarray] | None]:
        if self._current is None or self._current[0] != stage:
            self._current = stage, self._run.load_model(stage), None
        return self._current[1:]

    def _assess(self, stage: str) -> tuple[np.ndarray, str | None]:
        """Returns embeddings and alarm of a stage; logs scores that need no labels."""
        if stage not in self._assessed:
            model, known = self._stage(stage)
            found = embed_target(model, self._pictures, self._split.camera_id, known)
            # Standardising hides that all are the same.
            alarm = collapsed_statistics(*model.table.embedding_statistics(TARGET))
            alarm = alarm or collapsed(found)
            if alarm:
                print(f"WARNING: {stage}: {alarm}", flush=True)
                scores, text = {}, alarm
            else:
                scores = self._scores(model, found)
                text = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
                print(f"{stage}, without labels: {text}", flush=True)
            curves = {f"unlabelled/{name}": value for name, value in scores.items()}
            rounds = self._rounds
            place = [*map(round_file, range(rounds + 1)), AVERAGE].index(stage)
            tensorboard.write_stage(self._run, "rounds", place, curves, text)
            self._assessed[stage] = found, alarm
        return self._assessed[stage]

    def _scores(self, model: StrongModel, embeddings: np.ndarray) -> dict[str, float]:
        camera_id = self._split.camera_id
        of_classifier = {}
        if model.num_identities:
            logits = source_logits(model, self._pictures, camera_id)
            of_classifier["classifier_entropy"] = unlabelled_scores.classifier_entropy(logits)
        return of_classifier | {
            "other_camera_share": unlabelled_scores.other_camera_share(embeddings, camera_id),
            "mutual_rate": unlabelled_scores.mutual_rate(embeddings, camera_id),
            "similarity_entropy": unlabelled_scores.similarity_entropy(embeddings, camera_id),
        }

    def _train_rounds(self) -> int:
        """Trains every round whose file is missing; returns the number of the last one."""
        rounds = self._rounds
        for number in range(1, rounds + 1):
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
            if before not in compared(rounds):
                self._assessed.pop(before, None)
        return rounds

    def _train_round(self, number: int) -> str | None:
        """Trains one round and saves its model; returns the reason why it could not."""
        before = round_file(number - 1)
        if self.alarm(before):
            return self.alarm(before)
        embeddings = self.embeddings(before)
        labels, record, reason = round_labels.find(
            self._settings, self._run, number, embeddings, self._split
        )
        if reason:
            return reason
        try:
            trained = self._trained(number, labels, embeddings)
        except NonFiniteError as error:
            self._current = self._trainer = None
            reason = f"{error.what}; a lower self_training_learning_rate may help"
            round_labels.write(self._run, number, record | {"stopped": reason})
            return reason
        self._calibrate(trained, round_file(number))
        return None

    def _trained(self, number: int, labels: np.ndarray, embeddings: np.ndarray) -> StrongModel:
        """Trains the model of the round before on both domains, or the target alone.

        Returns:
            that model from the second round on that this process trains, or a copy.
        """
        settings, camera_id = self._settings, self._split.camera_id
        steps = settings.steps_of_round(len(labels))
        alone = self._sampler is None
        between = alone and np.unique(camera_id[camera_id >= 0]).size > 1
        shown = ["loss", "class", "triplet", *(["cameras"] if between else [])]
        before = self._model(round_file(number - 1))
        with self._strategy.scope():
            trainer = self._trainer = round_training.trainer(
                before,
                settings,
                number,
                embeddings,
                labels,
                camera_id,
                between,
                memory=alone,
                last=self._trainer,
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

    def _calibrate(self, model: StrongModel, stage: str, layers: bool = True) -> None:
        """Gives a model the statistics of the target's cameras, and saves it."""
        known = camera_statistics.estimate_in_place(
            model, self._pictures, self._split.camera_id, layers
        )
        self._run.save_model(model, stage)
        self._current = stage, model, known
