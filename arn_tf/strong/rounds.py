"""The stages of a strong run on its unlabelled target: camera statistics, then self-training.

    adapted   the source's weights, with batch statistics of each target camera
    round N   clusters of the target, both domains trained together, statistics anew

Without a source they begin with the backbone as it is given, and the target is trained on alone.
Each ends in a file of the run's folder. No label of the target is read, but for a diagnosis that
the log marks as such, and by a run with `oracle_labels`.
"""

import os
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from arn_tf.data.joined import JoinedPictures
from arn_tf.data.sampling import Sampler
from arn_tf.data.split import Split
from arn_tf.layers.normalization import TARGET, UNKNOWN_CAMERA
from arn_tf.run import stage_times, tensorboard
from arn_tf.run.callbacks import NonFiniteError, NonFiniteGuard, ProgressBar
from arn_tf.run.folder import RunDir
from arn_tf.strong import (
    camera_statistics,
    inter_camera,
    round_labels,
    self_training,
    unlabelled_scores,
)
from arn_tf.strong.embedding import embed_by_camera, source_logits
from arn_tf.strong.model import StrongModel
from arn_tf.strong.settings import FEW_PICTURES, StrongSettings
from arn_tf.strong.stage_choice import collapsed, collapsed_statistics

ADAPTED = "adapted.keras"


def round_file(number: int) -> str:
    """Returns the name of the model after a round of self-training; `ADAPTED` after none."""
    return f"round_{number}.keras" if number else ADAPTED


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
        # Of the last stage that was trained or loaded: (number, model).
        self._current: tuple[int, StrongModel] | None = None
        # {round: (embeddings, alarm)}.
        self._assessed: dict[int, tuple[np.ndarray, str | None]] = {}

    def adapt(self, tuned: StrongModel) -> None:
        """Saves the source's model, or that without a source, with the target's cameras."""
        for note in notes(self._split.camera_id, self._split.camera_names):
            print(note)
        self._save_calibrated(tuned, 0)

    def train(self) -> int:
        """Trains every round whose file is missing; returns the number of the last round."""
        for number in range(1, self._settings.self_training_rounds + 1):
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
        return self._settings.self_training_rounds

    def embeddings(self, number: int) -> np.ndarray:
        """Returns embeddings of the target's training pictures after a round, float32 [N, D].

        Computed once: the next round clusters them, and the choice of a stage compares them.
        """
        return self._assess(number)[0]

    def alarm(self, number: int) -> str | None:
        """Returns why the model after a round can't tell pictures apart; or None."""
        return self._assess(number)[1]

    def _model(self, number: int) -> StrongModel:
        if self._current is None or self._current[0] != number:
            self._current = number, self._run.load_model(round_file(number))
        return self._current[1]

    def _assess(self, number: int) -> tuple[np.ndarray, str | None]:
        """Returns embeddings and alarm after a round; logs scores that need no labels."""
        if number not in self._assessed:
            model = self._model(number)
            found = embed_by_camera(model, self._pictures, self._split.camera_id)
            # Standardising hides that all are the same.
            alarm = collapsed_statistics(*model.table.embedding_statistics(TARGET))
            alarm = alarm or collapsed(found)
            if alarm:
                print(f"WARNING: {round_file(number)}: {alarm}", flush=True)
                scores, text = {}, alarm
            else:
                scores = self._scores(model, found)
                text = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
                print(f"{round_file(number)}, without labels: {text}", flush=True)
            curves = {f"unlabelled/{name}": value for name, value in scores.items()}
            tensorboard.write_stage(self._run, "rounds", number, curves, text)
            self._assessed[number] = found, alarm
        return self._assessed[number]

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

    def _train_round(self, number: int) -> str | None:
        """Trains one round and saves its model; returns the reason why it could not."""
        if self.alarm(number - 1):
            return self.alarm(number - 1)
        embeddings = self.embeddings(number - 1)
        labels, record, reason = round_labels.find(
            self._settings, self._run, number, embeddings, self._split
        )
        if reason:
            return reason
        order = np.argsort(labels, kind="stable")
        starts = np.searchsorted(labels[order], np.arange(labels.max() + 1))
        of_clusters = np.split(embeddings[order], starts)[1:]  # before the first are the unused
        centroids = np.stack([each.mean(axis=0) for each in of_clusters])
        try:
            trained = self._trained(number, labels, centroids, embeddings)
        except NonFiniteError as error:
            reason = f"{error.what}; a lower self_training_learning_rate may help"
            round_labels.write(self._run, number, record | {"stopped": reason})
            return reason
        self._save_calibrated(trained, number)
        return None

    def _trained(
        self, number: int, labels: np.ndarray, centroids: np.ndarray, embeddings: np.ndarray
    ) -> StrongModel:
        """Returns the model of the round before, trained on both domains, or the target alone."""
        settings = self._settings
        steps = settings.steps_of_round(len(labels))
        proxies, shown = None, ["loss", "class", "triplet"]
        camera = self_training.indices(self._split.camera_id)
        if self._sampler is None and camera.max() > 0:
            proxies = inter_camera.of_clusters(embeddings, labels, camera)
            shown.append("cameras")
        keras.utils.set_random_seed(settings.seed + number)
        with self._strategy.scope():
            before = self._model(number - 1)
            # A copy, whose variables the strategy knows.
            model = camera_statistics.with_cameras(before, before.cameras)
            trainer = self_training.SelfTrainer(model, centroids, proxies)
            trainer.compile(
                optimizer=keras.optimizers.Adam(settings.self_training_learning_rate),
                jit_compile=False,
            )
        pairs = self_training.PairSampler(
            labels,
            self._split.camera_id,
            settings.batch_size,
            settings.seed,
            self._split.tracklet,
        )
        # Source batches that the source stage hasn't drawn.
        drawn = settings.epochs * self._sampler.steps_per_epoch if self._sampler else 0
        first = drawn + (number - 1) * steps
        guard = NonFiniteGuard(
            lambda: self._run.file(round_file(number - 1)), "self_training_learning_rate"
        )
        with tensorboard.log_writer(self._run, f"round_{number}") as writer:
            trainer.fit(
                self_training.batches(
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

    def _save_calibrated(self, model: StrongModel, number: int) -> None:
        adapted, _ = camera_statistics.estimate(
            model,
            self._pictures,
            self._split.camera_id,
            self._split.camera_names,
            # As given the network keeps its layers.
            layers=bool(number or self._settings.sources),
        )
        self._run.save_model(adapted, round_file(number))
        self._current = number, adapted


def notes(camera_id: np.ndarray, names: Mapping[int, str] | None = None) -> list[str]:
    """Returns sentences about what the cameras of a target make different.

    Args:
        camera_id: int [N] of the training pictures; -1 unknown.
        names: {camera_id: name} of cameras whose names are no numbers.
    """
    names = names or {}
    known = camera_id[camera_id != UNKNOWN_CAMERA]
    cameras, counts = np.unique(known, return_counts=True)
    if not len(cameras):
        return [
            "no picture of the target has a camera: all use the statistics of the whole "
            "target, and clusters may come from one camera"
        ]
    found = []
    if len(known) < len(camera_id):
        found.append(
            f"{len(camera_id) - len(known)} pictures of the target have no camera and use "
            "the statistics of the whole target"
        )
    few = [
        f"{names.get(camera, camera)} ({count})"
        for camera, count in zip(cameras.tolist(), counts.tolist(), strict=True)
        if count < FEW_PICTURES
    ]
    if few:
        found.append(
            f"cameras with fewer than {FEW_PICTURES} pictures, whose statistics are shrunk toward "
            f"those of the whole target: {', '.join(few)}"
        )
    if len(cameras) == 1:
        only = names.get(int(cameras[0]), cameras[0])
        found.append(
            f"the target has one camera, {only}: clusters can't be held to two, and what tells "
            "cameras apart can't be learnt"
        )
    return found
