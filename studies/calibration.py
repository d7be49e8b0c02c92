"""Which statistics of a camera count, alone and together, and from how many of its pictures.

    python -m studies.calibration --query=test/query --gallery=test/gallery \\
        --names='{person_id}_{camera}_{*}' --output=runs/calibration RUN_DIR [RUN_DIR ...]

Each RUN_DIR is a run of `arn_tf.train --preset=strong --self_training_rounds=0` of one target with
any network, tuned on a source or as it was given. All statistics come from the target's training
pictures, unlabelled, none from query or gallery; mirror images are added in every row but one.

The first table has the statistics that the layers normalise by,

    running  as the source, or whoever published the network, left them
    target   of all training pictures
    camera   of the training pictures of each camera

with what is then done to the embedding: nothing, less its camera's mean, and over its deviation.
Differences are paired, to camera statistics in both.

The second has the embedding's mean from N training pictures of each camera, drawn at random, or in
a row by their names, which is nearer to what a new camera has: pictures of one person follow each
other. The whole target is these pictures of all cameras. Layers are those of `running`; with
--layers=camera layers have statistics of these pictures too, and the embedding their deviation,
all shrunk alike. That takes a pass over query and gallery for each number, draw and column, of
which there are three.

    target   a camera takes the statistics of the whole target
    camera   it takes its own
    4 to 64  its own are shrunk toward the target's, which count for so many pictures

Features are computed once and kept beside the figures, so a later call is quick, with more runs
too.
"""

import argparse
import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from arn_tf import recipes
from arn_tf.data.split import Split
from arn_tf.errors import UserError
from arn_tf.ranking import intervals
from arn_tf.run import command_line, scored
from arn_tf.run.data import opened
from arn_tf.run.folder import RunDir
from arn_tf.run.labelled import Labelled
from arn_tf.strong import batches, camera_statistics
from arn_tf.strong.model import StrongModel
from arn_tf.strong.settings import StrongSettings
from arn_tf.strong.stages import ADAPTED
from benchmarks import flags
from datasets.files.atomic_files import replace_text
from studies.camera_crops import Refilled, by_number
from studies.camera_features import (
    LAYERS,
    SCORED,
    Found,
    features,
    moments,
    precision,
    spread,
)
from studies.places import place_of

EMBEDDING = ("none", "mean", "mean and deviation")
REFERENCE = "camera, mean and deviation"


def combinations(found: Found) -> dict[str, dict]:
    """Returns {"layers, embedding": average precision of each query and rank-1}.

    Args:
        found: features of training pictures, query and gallery.
    """
    camera_id, result = found["train_camera_id"], {}
    for layers in LAYERS:
        vectors = found[f"train_{layers}"]
        own = {c: moments(vectors[:, camera_id == c]) for c in np.unique(camera_id)}
        one = np.ones(vectors.shape[-1])
        of_embedding = {
            "none": dict.fromkeys(own, (0 * one, one)),
            "mean": {camera: (mean, one) for camera, (mean, _) in own.items()},
            "mean and deviation": own,
        }
        for embedding in EMBEDDING:
            result[f"{layers}, {embedding}"] = precision(found, layers, of_embedding[embedding])
    result[f"{REFERENCE}, no mirror image"] = precision(found, "camera", own, views=1)
    return {name: _figures(*scores) for name, scores in result.items()}


def _figures(average_precision: np.ndarray, rank_1: float) -> dict:
    counted = average_precision[np.isfinite(average_precision)]
    return {"average_precision": counted.tolist(), "rank-1": rank_1}


def report(name: str, figures: Mapping) -> str:
    """Returns the tables of a run as Markdown.

    Args:
        name: of the run.
        figures: {"combinations": ..., "layers": ..., "by_number": ...}.
    """
    rows = figures["combinations"]
    lines = [
        f"{name}: {len(rows[REFERENCE]['average_precision'])} queries",
        "",
        f"| layers, embedding | mAP | rank-1 | less {REFERENCE} |",
        "|---|---:|---:|---:|",
    ]
    for row, found in rows.items():
        precisions = found["average_precision"]
        less = _difference(precisions, rows[REFERENCE]["average_precision"])
        lines.append(f"| {row} | {_percent(precisions)} | {100 * found['rank-1']:.1f} | {less} |")
    for order, numbers in figures["by_number"].items():
        columns = next(iter(numbers.values()), {})
        lines += [
            "",
            f"pictures drawn {order}, layers {figures['layers']}",
            "",
            f"| pictures | {' | '.join(columns)} | 16 less target | 16 less camera |",
            "|---|" + "---:|" * (len(columns) + 2),
        ]
        for number, found in numbers.items():
            cells = [_percent(each) for each in found.values()]
            cells += [_difference(found["16"], found[other]) for other in ("target", "camera")]
            lines.append(f"| {number} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _percent(precisions: Sequence[float]) -> str:
    return f"{100 * np.mean(precisions):.1f}"


def _difference(left: Sequence[float], right: Sequence[float]) -> str:
    mean, (low, high) = intervals.difference(left, right)
    return f"{100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def measured(run: RunDir, settings: StrongSettings, options: argparse.Namespace) -> dict:
    """Returns the figures of a run, computed unless they are there, and writes them.

    Args:
        run: folder of the run.
        settings: of it.
        options: of the command line.
    """
    place = place_of(options.output, run, options.query, options.gallery, options.names)
    known = os.path.exists(f"{place}.npz")
    refilled = None
    if not known or options.layers == "camera":
        splits, model = _opened(run, settings, options)
        pictures = {n: batches.decoded(each, settings.image_size) for n, each in splits.items()}
    if not known:
        arrays: dict[str, Any] = {
            f"{name}_{key}": value
            for name, split in splits.items()
            for key, value in features(model, split, pictures[name]).items()
        }
        np.savez(f"{place}.part.npz", **arrays)
        os.replace(f"{place}.part.npz", f"{place}.npz")
    with np.load(f"{place}.npz") as file:
        found = dict(file)
    if options.layers == "camera":
        refilled = Refilled(model, found, pictures)
    figures = {
        "combinations": combinations(found),
        "layers": options.layers,
        "by_number": by_number(found, options.layers, options.draws, refilled),
    }
    replace_text(f"{place}_{options.layers}.json", json.dumps(figures) + "\n")
    return figures


def _opened(
    run: RunDir, settings: StrongSettings, options: argparse.Namespace
) -> tuple[dict[str, Split], StrongModel]:
    """Returns the splits, and the calibrated model with statistics of its layers in every row."""
    found = scored.splits(settings, run, Labelled(options.query, options.gallery, options.names))
    if found is None:
        raise UserError("no person of query and gallery is known", ["query", "gallery"])
    train = opened(settings, "target", run).split("train")
    pictures = batches.decoded(train, settings.image_size)
    # A network as it was given has kept its layers.
    model, _ = camera_statistics.estimate(run.load_model(ADAPTED), pictures, train.camera_id)
    # What is decoded already is cut with it.
    train = dataclasses.replace(train, pictures=pictures)
    splits = dict(zip(SCORED, found, strict=True)) | {
        "train": train.subset(spread(train.camera_id))
    }
    return splits, model


def main() -> None:
    """Measures the runs of the command line and prints the tables of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN_DIR")
    parser.add_argument("--query", required=True, help="folder or table, persons known")
    parser.add_argument("--gallery", required=True, help="likewise")
    parser.add_argument("--names", default="", help="template of the paths in both")
    parser.add_argument(
        "--output", required=True, type=flags.new_folder, help="for features and figures"
    )
    parser.add_argument(
        "--layers", choices=("running", "camera"), default="running", help="of few pictures"
    )
    parser.add_argument("--draws", type=flags.count, default=5, help="of pictures of each number")
    options = parser.parse_args()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    for path in options.runs:
        run = RunDir(path)
        settings = recipes.settings_of(run)
        if not (isinstance(settings, StrongSettings) and os.path.exists(run.file(ADAPTED))):
            raise UserError(f"{path}: no run of --preset=strong with an {ADAPTED}")
        print(report(path, measured(run, settings, options)), flush=True)


if __name__ == "__main__":
    command_line.call(main)
