"""The stages of a strong run on its unlabelled target: camera statistics, then self-training.

    adapted   the source's weights, with batch statistics of each target camera
    round N   clusters of the target, both domains trained together, statistics anew

Each ends in a file of the run's folder. No label of the target is read, but for a diagnosis that
the log marks as such.
"""

import dataclasses
import json
import os

import keras
import numpy as np
import tensorflow as tf

from arn_tf.data.reid_data import Split
from arn_tf.data.sampling import Sampler
from arn_tf.run.atomic_files import replace_text
from arn_tf.run.callbacks import NonFiniteError, NonFiniteGuard
from arn_tf.run.folder import RunDir
from arn_tf.run.tensorboard import ProgressBar
from arn_tf.strong import camera_statistics, clustering, self_training, tensorboard
from arn_tf.strong.embedding import embed_by_camera, source_logits
from arn_tf.strong.model import TARGET_ROW, UNKNOWN_CAMERA
from arn_tf.strong.settings import StrongSettings
from arn_tf.strong.stage_choice import collapsed, collapsed_statistics
from studies.label_free_scores import (  # fmt: skip
    classifier_entropy,
    mutual_rate,
    other_camera_share,
    similarity_entropy,
)

ADAPTED = "adapted.keras"


def round_file(number):
    """Name of the model after a round of self-training; `ADAPTED` after none."""
    return f"round_{number}.keras" if number else ADAPTED


@dataclasses.dataclass(frozen=True)
class TargetRounds:
    """The target's stages of one run.

    Args:
        settings: `StrongSettings`.
        run: `RunDir`.
        strategy: distribution strategy.
        sampler: of source batches.
        source: its training pictures, uint8 [N, height, width, 3].
        pictures: the target's training pictures, likewise.
        split: the target's training `Split`.
    """

    settings: StrongSettings
    run: RunDir
    strategy: tf.distribute.Strategy
    sampler: Sampler
    source: np.ndarray
    pictures: np.ndarray
    split: Split
    _known: dict = dataclasses.field(default_factory=dict, init=False)

    def adapt(self, tuned):
        """Gives the tuned model of that name a table of camera statistics."""
        for note in notes(self.split.camera_id):
            print(note)
        self._save_calibrated(self.run.load_model(tuned), ADAPTED)

    def train(self):
        """Has every round that isn't there yet; returns the number of the last one."""
        for number in range(1, self.settings.self_training_rounds + 1):
            if os.path.exists(self.run.file(round_file(number))):
                continue
            reason = self._round(number)
            if reason:
                print(f"self-training stops before round {number}: {reason}. What it has "
                      "learnt until then is kept")  # fmt: skip
                return number - 1
        return self.settings.self_training_rounds

    def embeddings(self, number):
        """Of the target's training pictures after a round, float32 [N, D]; its scores are logged.

        Computed once: the next round clusters them, and the choice of a stage compares them.
        """
        return self._looked_at(number)[0]

    def alarm(self, number):
        """Why the model after a round can't tell pictures apart, in words; or None."""
        return self._looked_at(number)[1]

    def _looked_at(self, number):
        if number not in self._known:
            model = self.run.load_model(round_file(number))
            found = embed_by_camera(model, self.pictures, self.split.camera_id)
            # Standardising hides that all are the same.
            alarm = collapsed_statistics(
                *(model.table[f"embedding_{name}"][TARGET_ROW] for name in ("mean", "deviation"))
            )
            alarm = alarm or collapsed(found)
            if alarm:
                print(f"WARNING: {round_file(number)}: {alarm}", flush=True)
                scores, text = {}, alarm
            else:
                scores = self._scores(model, found)
                text = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
                print(f"{round_file(number)}, without labels: {text}", flush=True)
            tensorboard.write_stage(
                self.run, "rounds", number,
                {f"unlabelled/{name}": value for name, value in scores.items()}, text,
            )  # fmt: skip
            self._known[number] = found, alarm
        return self._known[number]

    def _scores(self, model, embeddings):
        camera_id = self.split.camera_id
        logits = source_logits(model, self.pictures, camera_id)
        return {
            "classifier_entropy": classifier_entropy(logits),
            "other_camera_share": other_camera_share(embeddings, camera_id),
            "mutual_rate": mutual_rate(embeddings, camera_id),
            "similarity_entropy": similarity_entropy(embeddings, camera_id),
        }

    def _round(self, number):
        """One round; a reason not to have it, or None once its model is saved."""
        if self.alarm(number - 1):
            return self.alarm(number - 1)
        embeddings = self.embeddings(number - 1)
        labels, counts = clustering.cluster(
            embeddings, self.split.camera_id, eps=self.settings.cluster_eps or clustering.EPS
        )
        reason = clustering.stop_reason(counts)
        record = self._log(number, labels, counts, reason)
        if reason:
            return reason
        centroids = np.stack([
            embeddings[labels == label].mean(axis=0) for label in range(counts.clusters)
        ])  # fmt: skip
        try:
            trained = self._trained(number, labels, centroids)
        except NonFiniteError as error:
            reason = f"{error.what}; a lower --self_training_learning_rate may help"
            self._write(number, record | {"stopped": reason})
            return reason
        self._save_calibrated(trained, round_file(number))
        return None

    def _log(self, number, labels, counts, reason):
        """Prints and writes what a round's clusters are; returns the record."""
        print(
            f"round {number}: {counts.clusters} clusters of {counts.used} of {counts.images} "
            f"pictures within {counts.eps}; {counts.noise} in none, {counts.too_large} clusters "
            f"too large, {counts.one_camera} seen by one camera only", flush=True,
        )  # fmt: skip
        record = {"stopped": reason, **vars(counts)}
        if counts.used and (self.split.person_id > 0).any():
            purity = clustering.purity(labels, self.split.person_id)
            record["diagnosis_by_labels"] = {"purity": purity}
            print(f"  diagnosis by labels, which nothing else reads: purity {purity:.2f}")
        self._write(number, record)
        shown = ("clusters", "used", "noise", "too_large", "one_camera", "eps")
        tensorboard.write_stage(
            self.run, "rounds", number, {f"clusters/{key}": record[key] for key in shown},
            "```json\n" + json.dumps(record, indent=2) + "\n```",
        )  # fmt: skip
        return record

    def _write(self, number, record):
        replace_text(self.run.file(f"round_{number}.json"), json.dumps(record, indent=2) + "\n")

    def _trained(self, number, labels, centroids):
        """The model of the round before, trained on both domains."""
        settings, steps = self.settings, self.settings.self_training_steps
        keras.utils.set_random_seed(settings.seed + number)
        with self.strategy.scope():
            trainer = self_training.SelfTrainer(
                self.run.load_model(round_file(number - 1)), centroids
            )
            trainer.compile(
                optimizer=keras.optimizers.Adam(settings.self_training_learning_rate),
                jit_compile=False,
            )
        pairs = self_training.PairSampler(
            labels, self.split.camera_id, settings.batch_size, settings.seed
        )
        # Source batches that the source stage hasn't drawn.
        first = settings.epochs * self.sampler.steps_per_epoch + (number - 1) * steps
        name = f"round_{number}"
        with tensorboard.log_writer(self.run, name) as writer:
            trainer.fit(
                self_training.batches(
                    self.sampler, self.source, pairs, self.pictures, steps, first, settings.seed
                ),
                epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0,
                callbacks=[
                    ProgressBar(steps, 1),
                    NonFiniteGuard(lambda: self.run.file(round_file(number - 1))),
                    tensorboard.StrongLog(writer, steps),
                ],
            )  # fmt: skip
        return trainer.model

    def _save_calibrated(self, model, name):
        adapted, _ = camera_statistics.estimate(model, self.pictures, self.split.camera_id)
        self.run.save_model(adapted, name)


def notes(camera_id):
    """What the cameras of a target make different, in sentences.

    Args:
        camera_id: int [N] of the training pictures; -1 unknown.
    """
    known = camera_id[camera_id != UNKNOWN_CAMERA]
    cameras, counts = np.unique(known, return_counts=True)
    if not len(cameras):
        return [
            "no picture of the target has a camera's number: all use the statistics of the whole "
            "target, and clusters may come from one camera"
        ]
    found = []
    if len(known) < len(camera_id):
        found.append(
            f"{len(camera_id) - len(known)} pictures of the target have no camera's number and use "
            "the statistics of the whole target"
        )
    least = camera_statistics.LEAST_PICTURES
    few = {int(c): int(n) for c, n in zip(cameras, counts, strict=True) if n < least}
    if few:
        found.append(
            f"cameras with fewer than {least} pictures use the statistics of the whole target: "
            f"{few}"
        )
    if len(cameras) == 1:
        found.append(
            f"the target has one camera, {cameras[0]}: clusters can't be held to two, and what "
            "tells cameras apart can't be learnt"
        )
    return found
