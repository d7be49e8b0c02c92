"""What tracklets add to self-training, on labelled pictures cut into SIMULATED tracklets.

    python -m studies.tracklets --query=test/query --gallery=test/gallery \\
        --names='{person_id}_{camera}_{*}' --output=runs/tracklets RUN_DIR [RUN_DIR ...]

Each RUN_DIR is a finished run of `arn_tf.train --preset=strong --self_training_rounds=0`, a seed
each, whose target is a folder with names that tell persons. Its source stage is copied, not trained
again, and self-training goes on from there in a folder of --output for each row:

    without     no tracklets
    tracklets   up to eight pictures of a person and camera in the order of their names: SIMULATED
                by the labels, as a tracker without faults would give them
    times       the same, in camera for ten seconds at SIMULATED times, so that each overlaps ten
                others of its camera on average

Prints mAP of row (b), camera statistics and mirror image, of the stage that each run keeps, its
paired difference to the first row, and what the labels say of the first round's clusters:
precision and recall are of pairs of pictures from two cameras. A later call goes on, with more
runs and rows too.
"""

import argparse
import csv
import dataclasses
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from arn_tf import recipes
from arn_tf.data.split import Split
from arn_tf.errors import UserError
from arn_tf.ranking import intervals, scores
from arn_tf.run import command_line, scored
from arn_tf.run.data import opened
from arn_tf.run.folder import RunDir
from arn_tf.run.labelled import Labelled
from arn_tf.run.settings import DATASETS
from arn_tf.strong import batches, clustering, target_clusters
from arn_tf.strong import train as strong_train
from arn_tf.strong.embedding import embed_by_camera
from arn_tf.strong.settings import StrongSettings
from arn_tf.strong.stage_choice import CHOICE_FILE
from arn_tf.strong.stages import ADAPTED
from benchmarks import flags
from datasets.files.atomic_files import replace_text

ROWS = ("without", "tracklets", "times")
# Of a run's folder: what this program found of it.
FIGURES = "tracklets.json"
_LONGEST = 8
_SECONDS = 10.0
_OTHERS = 10


def simulated(person_id: np.ndarray, camera_id: np.ndarray) -> np.ndarray:
    """Returns tracklets of labelled pictures, int64 [N], -1 for a picture of no known person.

    Pictures of one person and camera, in their order, are cut into equal parts of up to eight.

    Args:
        person_id: int64 [N].
        camera_id: int64 [N].
    """
    tracklet = np.full(len(person_id), -1)
    count = 0
    known = person_id > 0
    for person, camera in np.unique([person_id[known], camera_id[known]], axis=1).T:
        rows = np.flatnonzero((person_id == person) & (camera_id == camera))
        for part in np.array_split(rows, -(-len(rows) // _LONGEST)):
            tracklet[part] = count
            count += 1
    return tracklet


def simulated_times(tracklet: np.ndarray, camera_id: np.ndarray, seed: int = 0) -> np.ndarray:
    """Returns times of tracklets that last ten seconds and begin at random, float64 [N]; or NaN.

    Args:
        tracklet: int64 [N]; -1 where there is none.
        camera_id: int64 [N].
        seed: of the beginnings.
    """
    time = np.full(len(tracklet), np.nan)
    rng = np.random.default_rng(seed)
    for camera in np.unique(camera_id):
        found = np.unique(tracklet[(camera_id == camera) & (tracklet >= 0)])
        # One that begins within ten seconds before or after overlaps.
        duration = len(found) * 2 * _SECONDS / _OTHERS
        for each in found:
            rows = np.flatnonzero(tracklet == each)
            time[rows] = rng.uniform(0, duration) + np.linspace(0, _SECONDS, len(rows))
    return time


def cluster_figures(
    labels: np.ndarray, person_id: np.ndarray, camera_id: np.ndarray
) -> dict[str, float]:
    """Returns what labels say of clusters: used, purity, precision and recall, from 0 to 1.

    Precision and recall are of pairs of pictures from two cameras; pairs of one camera are what
    tracklets give for nothing. NaN where there are no pairs.

    Args:
        labels: int64 [N], as `target_clusters.find` gives them.
        person_id: int64 [N].
        camera_id: int64 [N].
    """
    used = labels >= 0

    def pairs(*same: np.ndarray) -> int:
        counts = np.unique(same, axis=1, return_counts=True)[1]
        return int((counts * (counts - 1) // 2).sum())

    def across(*same: np.ndarray, camera: np.ndarray) -> int:
        return pairs(*same) - pairs(*same, camera)

    cluster, person, camera = labels[used], person_id[used], camera_id[used]
    right = across(cluster, person, camera=camera)
    joined, there = across(cluster, camera=camera), across(person_id, camera=camera_id)
    return {
        "used": float(used.mean()),
        "purity": clustering.purity(labels, person_id),
        "precision": right / joined if joined else np.nan,
        "recall": right / there if there else np.nan,
    }


def write_table(path: str, split: Split, root: str, row: str) -> None:
    """Writes the table of a row's pictures.

    Args:
        path: of the table, CSV.
        split: the labelled pictures.
        root: folder that their names begin at.
        row: of `ROWS`.
    """
    tracklet = simulated(split.person_id, split.camera_id)
    time = simulated_times(tracklet, split.camera_id)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "camera", "person_id", "tracklet", "time"))
    for at, name in enumerate(split.file_name):
        number = int(split.camera_id[at])
        tracked = row != "without" and tracklet[at] >= 0
        writer.writerow(
            (
                os.path.join(root, name),
                split.camera_names.get(number, number),
                split.person_id[at] if split.person_id[at] > 0 else "",
                tracklet[at] if tracked else "",
                time[at] if tracked and row == "times" else "",
            )
        )
    replace_text(path, text.getvalue())


def measured(
    begun: RunDir,
    settings: StrongSettings,
    row: str,
    options: argparse.Namespace,
    first: Mapping[str, dict[str, float]],
) -> dict:
    """Trains a row of a run from its source stage, unless that is done; returns its figures.

    Args:
        begun: the run with the source stage.
        settings: of it.
        row: of `ROWS`.
        options: of the command line.
        first: {row: `cluster_figures` of the first round}.
    """
    name = _name(begun, row)
    run = RunDir(os.path.join(options.output, name))
    if os.path.exists(run.file(FIGURES)):
        with open(run.file(FIGURES), encoding="utf-8") as file:
            return json.load(file)
    target = os.path.abspath(os.path.join(options.output, f"{name}.csv"))
    if not os.path.exists(target):
        # With names that are as they were: the split's order decides which picture is which.
        split = opened(settings, "target", begun).split("train")
        write_table(target, split, os.path.abspath(settings.target), row)
    settings = dataclasses.replace(
        settings,
        target=target,
        names="",
        model_dir=run.path,
        self_training_rounds=options.rounds,
        self_training_steps=options.steps,
    )
    os.makedirs(run.path, exist_ok=True)
    for stage in (strong_train.INITIAL, strong_train.SOURCE, ADAPTED):
        if not os.path.exists(run.file(stage)):
            shutil.copyfile(begun.file(stage), run.file(f"{stage}.part"))
            os.replace(run.file(f"{stage}.part"), run.file(stage))
    print(f"{name}:", flush=True)
    strong_train.train(settings)
    found = scored.splits(settings, run, Labelled(options.query, options.gallery, options.names))
    if found is None:
        raise UserError("no person of query and gallery is known", ["query", "gallery"])
    model = run.load_model(strong_train.RESULT)
    embeddings = [
        embed_by_camera(model, batches.decoded(split, settings.image_size), split.camera_id)
        for split in found
    ]
    precision = scores.score(*embeddings, *found).average_precision
    with open(run.file(CHOICE_FILE), encoding="utf-8") as file:
        kept = json.load(file)["stage"]
    figures = {
        "row": row,
        "seed": settings.seed,
        "kept": kept,
        "average_precision": precision[np.isfinite(precision)].tolist(),
        "clusters": first[row],
    }
    replace_text(run.file(FIGURES), json.dumps(figures) + "\n")
    return figures


def _name(begun: RunDir, row: str) -> str:
    return f"{os.path.basename(os.path.normpath(begun.path))}_{row}"


def first_clusters(begun: RunDir, settings: StrongSettings) -> dict[str, dict[str, float]]:
    """Returns `cluster_figures` of the first round, by row.

    Args:
        begun: a run with the source stage.
        settings: of it.
    """
    split = opened(settings, "target", begun).split("train")
    pictures = batches.decoded(split, settings.image_size)
    embeddings = embed_by_camera(begun.load_model(ADAPTED), pictures, split.camera_id)
    tracklet = simulated(split.person_id, split.camera_id)
    time = simulated_times(tracklet, split.camera_id)
    found = {}
    for row in ROWS:
        clusters = target_clusters.find(
            embeddings,
            split.camera_id,
            None if row == "without" else tracklet,
            time if row == "times" else None,
            settings.cluster_eps or clustering.EPS,
        )
        found[row] = cluster_figures(clusters.labels, split.person_id, split.camera_id)
        print(f"{begun.path}, first clusters, {row}: {clusters.counts}, {found[row]}", flush=True)
    return found


def report(figures: Sequence[dict]) -> str:
    """Returns the table as Markdown: a line for each row, over the seeds that all rows have.

    Args:
        figures: as `measured` returns them.
    """
    by_row = {row: {f["run"]: f for f in figures if f["row"] == row} for row in ROWS}
    by_row = {row: found for row, found in by_row.items() if found}
    runs = sorted(set.intersection(*(set(found) for found in by_row.values())))
    lines = [
        f"{len(runs)} source stages; tracklets and times are SIMULATED by the labels",
        "",
        "| row | mAP | less the first | used | purity | precision | recall | kept |",
        "|---|---|---|---|---|---|---|---|",
    ]
    if not runs:
        return "no source stage has been through all rows"
    first = next(iter(by_row))
    for row, found in by_row.items():
        precision = np.array([found[run]["average_precision"] for run in runs])
        means = 100 * precision.mean(axis=1)
        spread = f" ± {means.std(ddof=1):.1f}" if len(runs) > 1 else ""
        less = ""
        if row != first:
            before = np.array([by_row[first][run]["average_precision"] for run in runs])
            mean, (low, high) = intervals.difference(precision, before)
            less = f"{100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
        clusters = [
            f"{np.mean([found[run]['clusters'][name] for run in runs]):.3f}"
            for name in ("used", "purity", "precision", "recall")
        ]
        kept = ", ".join(found[run]["kept"].removesuffix(".keras") for run in runs)
        cells = (row, f"{means.mean():.1f}{spread}", less, *clusters, kept)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measures the runs of the command line and prints the table after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN_DIR")
    parser.add_argument("--query", required=True, help="folder or table, persons known")
    parser.add_argument("--gallery", required=True, help="likewise")
    parser.add_argument("--names", default="", help="template of the paths in both")
    parser.add_argument("--output", required=True, type=flags.new_folder, help="for the runs")
    parser.add_argument("--rounds", type=flags.count, default=2, help="of self-training")
    parser.add_argument("--steps", type=flags.count, default=40, help="of a round")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, help="to be measured")
    options = parser.parse_args()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    figures = []
    for path in options.runs:
        begun = RunDir(path)
        settings = recipes.settings_of(begun)
        if not (isinstance(settings, StrongSettings) and os.path.exists(begun.file(ADAPTED))):
            raise UserError(f"{path}: no run of --preset=strong whose source stage is finished")
        if settings.target in DATASETS or not os.path.isdir(settings.target):
            raise UserError(f"{path}: its target, {settings.target}, is no folder of pictures")
        rows = dict.fromkeys(options.rows)
        names = [_name(begun, row) for row in rows]
        known = [os.path.exists(os.path.join(options.output, name, FIGURES)) for name in names]
        first = {} if all(known) else first_clusters(begun, settings)
        for row in rows:
            figures.append(measured(begun, settings, row, options, first) | {"run": path})
            print(report(figures), flush=True)


if __name__ == "__main__":
    command_line.call(main)
