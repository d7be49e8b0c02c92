"""What each part of adaptation without a source adds, over seeds and networks of cameras.

    python -m studies.adaptation --query=test/query --gallery=test/gallery \\
        --names='{person_id}_{camera}_{*}' --output=runs/adaptation RUN_DIR

RUN_DIR is a finished run of `arn_tf.train --preset=strong --source=none --self_training_rounds=0`
whose target is a folder. From its calibrated model each row trains rounds of its own:

    clusters    clusters of all cameras together, no loss between cameras
    entropy     the same clusters, each weighed by how evenly cameras share it
    average     the same clusters, found and scored by a moving average of the weights
    gem         the same clusters, X pooled by a generalised mean, from a network that ends in a map
                and where --rows has it
    proxies     the same clusters, and the loss between cameras
    joined      the clusters of `target_clusters`, no loss between cameras
    both        these clusters and the loss between cameras: a round of `arn_tf.train`, which also
                takes the mean of later rounds
    labels      ORACLE: `both` with the target's persons in place of clusters

Prints mAP and rank-1 of row (b), camera statistics and mirror image, after the last round, the
paired difference to the calibrated model, and mAP after each round. A later call goes on, with
more rows and seeds too.
"""

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from arn_tf import recipes
from arn_tf.data.split import Split
from arn_tf.errors import UserError
from arn_tf.layers.adam import Adam
from arn_tf.ranking import scores
from arn_tf.run import command_line, scored
from arn_tf.run.data import opened
from arn_tf.run.folder import RunDir
from arn_tf.run.labelled import Labelled
from arn_tf.strong import (
    batches,
    camera_statistics,
    clustering,
    oracle,
    round_training,
    target_batches,
    target_clusters,
)
from arn_tf.strong.embedding import embed_by_camera, embed_target
from arn_tf.strong.model import StrongModel
from arn_tf.strong.self_training import SelfTrainer
from arn_tf.strong.settings import StrongSettings
from arn_tf.strong.stages import ADAPTED
from benchmarks import flags
from datasets.files.atomic_files import replace_text
from studies import adaptation_table, components
from studies.adaptation_table import START
from studies.places import place_of

# Of networks that end in a map, as OSNets don't: only where it is asked for.
_GEM = "gem"
_ALL_CAMERAS = ("clusters", "entropy", "average", _GEM, "proxies")
_LABELS = "labels"
_BETWEEN = ("proxies", "both", _LABELS)
ROWS = (*_ALL_CAMERAS, "joined", "both", _LABELS)
# What a round is; figures of other ones in the same folder are measured anew.
_ROUND = "erasing, one trainer"


def labels_of(
    row: str,
    embeddings: np.ndarray,
    split: Split,
    eps: float | tuple[float, ...] = clustering.EPS,
) -> np.ndarray | None:
    """Returns what a row's round trains on, int64 [N]; None where that must not be.

    Args:
        row: of `ROWS`.
        embeddings: of the target's training pictures, float [N, D].
        split: the target's training split.
        eps: see `clustering.cluster`.
    """
    if row == _LABELS:
        return oracle.labels(split.person_id, split.camera_id)[0]
    if row in _ALL_CAMERAS:
        labels, counts = clustering.cluster(
            embeddings, split.camera_id, tracklet=split.tracklet, time=split.time, eps=eps
        )
        return None if clustering.stop_reason(counts) else labels
    found = target_clusters.find(embeddings, split.camera_id, split.tracklet, split.time, eps)
    return None if found.stop_reason else found.labels


class RowRounds:
    """Trains the rounds of one row, from a copy of a calibrated model.

    Args:
        begun: that model; it is left as it is.
        settings: of the run; `seed` is the row's.
        row: of `ROWS`.
        split: the target's training split.
        pictures: of it, uint8 [N, height, width, 3].

    Attributes:
        shown: what is scored, and finds the next round's clusters: the model that is trained, or
            an average of it; it changes from round to round.
    """

    def __init__(
        self,
        begun: StrongModel,
        settings: StrongSettings,
        row: str,
        split: Split,
        pictures: np.ndarray,
    ) -> None:
        self._settings, self._row = settings, row
        self._split, self._pictures = split, pictures
        self._trained = self.shown = camera_statistics.with_cameras(begun, begun.cameras)
        self._average: components.Average | None = None
        if row == "average":
            self.shown = camera_statistics.with_cameras(begun, begun.cameras)
            encoder = self._trained.encoder_i
            self._average = components.Average(encoder, encoder.get_weights())
        # Traced once for all rounds.
        self._trainer: SelfTrainer | None = None
        # What the statistics of `shown` have embedded: see `embedding.embed_target`.
        self._known: dict[int, np.ndarray] | None = None

    def train(self, number: int) -> bool:
        """Trains another round, with statistics anew; returns whether that could be.

        Args:
            number: of the round, from 1.
        """
        settings, camera_id = self._settings, self._split.camera_id
        embeddings = embed_target(self.shown, self._pictures, camera_id, self._known)
        eps = settings.cluster_eps or clustering.EPS
        labels = labels_of(self._row, embeddings, self._split, eps)
        if labels is None:
            return False
        trainer = self._trainer_of(embeddings, labels)
        steps = settings.steps_of_round(len(labels))
        sampler = round_training.pairs(settings, labels, self._split)
        first = (number - 1) * steps
        trainer.fit(
            target_batches.batches(
                None, None, sampler, self._pictures, steps, first, settings.seed
            ),
            steps_per_epoch=steps,
            shuffle=False,
            verbose=2,
            callbacks=[self._average] if self._average else [],
        )
        if self._average:
            self.shown.encoder_i.set_weights(self._average.weights)
        self._known = camera_statistics.estimate_in_place(self.shown, self._pictures, camera_id)
        return True

    def _trainer_of(self, embeddings: np.ndarray, labels: np.ndarray) -> SelfTrainer:
        settings, camera_id = self._settings, self._split.camera_id
        between = self._row in _BETWEEN
        trainer = round_training.trainer(
            self._trained, settings, embeddings, labels, camera_id, between, self._trainer
        )
        if self._row == "entropy":
            weights = components.camera_entropy_weights(labels, camera_id)
            if isinstance(trainer, components.EntropyTrainer):
                trainer.weigh(weights)
            else:
                trainer = components.EntropyTrainer(trainer, weights)
                rate = settings.self_training_learning_rate
                trainer.compile(optimizer=Adam(rate), jit_compile=False)
                trainer.optimizer.build(trainer.learnt)
        self._trainer = trainer
        return trainer


def scored_by(
    model: StrongModel, splits: Sequence[Split], pictures: Sequence[np.ndarray]
) -> dict[str, list[float]]:
    """Returns average precision and rank-1 of each query that counts.

    Args:
        model: to embed with.
        splits: query and gallery.
        pictures: of both.
    """
    embeddings = [
        embed_by_camera(model, each, split.camera_id)
        for each, split in zip(pictures, splits, strict=True)
    ]
    found = scores.score(*embeddings, *splits).per_query()
    return {name: value.tolist() for name, value in found.items()}


def mean_ap(found: Mapping[str, Sequence[float]]) -> float:
    """Returns mAP of what `scored_by` returns."""
    return float(np.mean(found["mean_ap"]))


def measured(begun: RunDir, row: str, seed: int, options: argparse.Namespace) -> dict:
    """Trains a row from a calibrated model, unless that is done; returns its figures.

    Args:
        begun: the run with the calibrated model.
        row: of `ROWS`, or `START`.
        seed: of batches and augmentation.
        options: of the command line.
    """
    facts = options.query, options.gallery, options.names, options.rounds, _ROUND
    path = f"{place_of(options.output, begun, *facts)}_{row}_{seed}.json"
    name = os.path.normpath(begun.path)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    settings = dataclasses.replace(recipes.settings_of(begun), seed=seed)
    split = opened(settings, "target", begun).split("train")
    labelled = Labelled(options.query, options.gallery, options.names)
    splits = scored.splits(settings, begun, labelled)
    if splits is None:
        raise UserError("no person of query and gallery is known", ["query", "gallery"])
    if row == _LABELS:
        oracle.check_pictures(split.person_id, split.camera_id)
    pictures, *searched = (batches.decoded(each, settings.image_size) for each in (split, *splits))
    model = begun.load_model(ADAPTED)
    if row == _GEM:
        model = components.with_gem(model)
        model = camera_statistics.estimate(model, pictures, split.camera_id, layers=False)[0]
    training = RowRounds(model, settings, row, split, pictures)
    seconds, found = 0.0, list[dict[str, list[float]]]()
    rounds: list[float] = []
    for number in range(1, 1 + (options.rounds if row != START else 0)):
        began = time.process_time()
        if not training.train(number):
            break
        seconds += time.process_time() - began
        rounds.append(seconds)
        found.append(scored_by(training.shown, splits, searched))
        print(
            f"{name}, {row}, seed {seed}, round {number}: mAP {100 * mean_ap(found[-1]):.1f}, "
            f"{seconds:.0f} CPU s",
            flush=True,
        )
    figures = {"run": name, "row": row, "seed": seed, "cpu_seconds": rounds}
    last = found[-1] if found else scored_by(model, splits, searched)
    figures |= {"after_rounds": [mean_ap(each) for each in found]} | last
    replace_text(path, json.dumps(figures) + "\n")
    return figures


def main() -> None:
    """Measures the runs of the command line and prints the tables after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN_DIR")
    parser.add_argument("--query", required=True, help="folder or table, persons known")
    parser.add_argument("--gallery", required=True, help="likewise")
    parser.add_argument("--names", default="", help="template of the paths in both")
    parser.add_argument("--output", required=True, type=flags.new_folder, help="for the figures")
    parser.add_argument("--rounds", type=flags.count, default=6, help="of self-training")
    parser.add_argument("--seeds", type=flags.count, default=3, help="of each row")
    usual = [row for row in ROWS if row != _GEM]
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=usual, help="to be measured")
    options = parser.parse_args()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.config.experimental.enable_op_determinism()
    begun = RunDir(options.run)
    settings = recipes.settings_of(begun)
    if (
        not isinstance(settings, StrongSettings)
        or settings.sources
        or not os.path.exists(begun.file(ADAPTED))
    ):
        raise UserError(f"{options.run}: no finished run of --preset=strong --source=none")
    figures = [measured(begun, START, 0, options)]
    for seed in range(options.seeds):
        for row in dict.fromkeys(options.rows):
            figures.append(measured(begun, row, seed, options))
            print(adaptation_table.report(figures), flush=True)


if __name__ == "__main__":
    command_line.call(main)
