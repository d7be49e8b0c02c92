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

The second has the embedding's mean and deviation from N training pictures of each camera, drawn at
random, or in a row by their names, which is nearer to what a new camera has: pictures of one
person follow each other. The whole target is these pictures of all cameras. Layers are those of
`running`, or of `target` with --layers.

    target   a camera takes the statistics of the whole target
    camera   it takes its own
    4 to 64  its own are shrunk toward the target's, which count for so many pictures

Features are computed once and kept beside the figures, so a later call is quick, with more runs
too.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from arn_tf import recipes
from arn_tf.errors import ArgumentError, UserError
from arn_tf.layers.normalization import SOURCE, TARGET
from arn_tf.ranking import intervals, protocol
from arn_tf.run import command_line, scored
from arn_tf.run.data import opened
from arn_tf.run.folder import RunDir
from arn_tf.strong import batches
from arn_tf.strong.camera_statistics import Moments, shrunk
from arn_tf.strong.model import StrongModel
from arn_tf.strong.rounds import ADAPTED
from arn_tf.strong.settings import StrongSettings
from datasets.files.atomic_files import replace_text

LAYERS = ("running", "target", "camera")
EMBEDDING = ("none", "mean", "mean and deviation")
REFERENCE = "camera, mean and deviation"
NUMBERS = (3, 8, 16, 32, 64, 256)
# Pictures that the whole target's statistics count for: all, none, and some.
PRIORS = {"target": np.inf, "camera": 0, "4": 4, "8": 8, "16": 16, "32": 32, "64": 64}
ORDERS = ("at random", "in a row")
# Training pictures of each camera whose features are computed, evenly spread ones.
MOST = 300
_BATCH = 64
_LEAST_DEVIATION = 1e-3

# {"train_running": float32 [2, N, D], ..., "train_camera_id": int64 [N], ...}, see `features`.
Found = Mapping[str, np.ndarray]


def features(model: StrongModel, split: object, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Returns features of pictures and of their mirror images by each of `LAYERS`, [2, N, D].

    Args:
        model: `StrongModel` that is calibrated on the cameras.
        split: of the pictures.
        pictures: uint8 [N, height, width, 3].
    """
    images = tf.TensorSpec([None, *model.input_size, 3], tf.uint8)
    compiled = tf.function(
        model.camera_features, input_signature=[images, tf.TensorSpec([None], tf.int32)]
    )
    rows_of = {
        "running": np.full(len(pictures), SOURCE, np.int32),
        "target": np.full(len(pictures), TARGET, np.int32),
        "camera": model.table.rows_of(split.camera_id),
    }
    found = {}
    for layers, rows in rows_of.items():
        parts = [
            [
                compiled(tf.constant(view[at : at + _BATCH]), tf.constant(rows[at : at + _BATCH]))
                for at in range(0, len(view), _BATCH)
            ]
            for view in (pictures, pictures[:, :, ::-1])
        ]
        found[layers] = np.stack([np.concatenate(views) for views in parts])
    return found | {"person_id": split.person_id, "camera_id": split.camera_id}


def spread(camera_id: np.ndarray) -> np.ndarray:
    """Returns rows of up to `MOST` pictures of each camera, int [rows], evenly spread."""
    of_camera = [np.flatnonzero(camera_id == camera) for camera in np.unique(camera_id)]
    places = [np.linspace(0, len(own) - 1, min(len(own), MOST)).astype(int) for own in of_camera]
    return np.sort(np.concatenate([own[at] for own, at in zip(of_camera, places, strict=True)]))


def moments(vectors: np.ndarray) -> Moments:
    """Returns mean and variance of features, float64 [D] each, over views and pictures."""
    vectors = vectors.astype(np.float64).reshape(-1, vectors.shape[-1])
    return vectors.mean(axis=0), vectors.var(axis=0)


def precision(
    found: Found, layers: str, of_camera: Mapping[int, Moments], views: int = 2
) -> tuple[np.ndarray, float]:
    """Returns each query's average precision and rank-1, with standardised embeddings.

    Args:
        found: features of query and gallery.
        layers: of `LAYERS`.
        of_camera: {camera_id: mean and variance} of the embedding.
        views: 2 with mirror images, 1 without.
    """
    embeddings = []
    for name in ("query", "gallery"):
        camera_id, total = found[f"{name}_camera_id"], 0
        for vectors in found[f"{name}_{layers}"][:views].astype(np.float64):
            standard = np.empty_like(vectors)
            for camera in np.unique(camera_id):
                mean, variance = of_camera[camera]
                deviation = np.maximum(np.sqrt(variance), _LEAST_DEVIATION)
                standard[camera_id == camera] = (vectors[camera_id == camera] - mean) / deviation
            total = total + standard / np.linalg.norm(standard, axis=1, keepdims=True)
        embeddings.append(total)
    labels = [found[f"{name}_{key}"] for key in ("person_id", "camera_id") for name in _SCORED]
    result = protocol.rank_gallery(*embeddings, *labels)
    return result.average_precision, result.rank(1)


_SCORED = ("query", "gallery")


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


def drawn(
    camera_id: np.ndarray, number: int, order: str, rng: np.random.Generator
) -> dict[int, np.ndarray]:
    """Returns {camera_id: rows of so many of its pictures}, int [number] each.

    Args:
        camera_id: int64 [N], of pictures in the order of their names.
        number: of pictures.
        order: of `ORDERS`.
        rng: draws them.
    """
    rows = {}
    for camera in np.unique(camera_id):
        own = np.flatnonzero(camera_id == camera)
        if order == "at random":
            rows[int(camera)] = rng.choice(own, number, replace=False)
        else:
            first = rng.integers(len(own) - number + 1)
            rows[int(camera)] = own[first : first + number]
    return rows


def by_number(found: Found, layers: str, draws: int) -> dict[str, dict[str, dict[str, list]]]:
    """Returns {order: {number of pictures: {prior: average precision of each query}}}.

    The mean over draws, which are the same for all priors.

    Args:
        found: features of training pictures, query and gallery.
        layers: of `LAYERS`.
        draws: how many.
    """
    camera_id, vectors = found["train_camera_id"], found[f"train_{layers}"]
    most = np.unique(camera_id, return_counts=True)[1].min()
    result: dict[str, dict] = {}
    for order in ORDERS:
        for number in (number for number in NUMBERS if number <= most):
            rng = np.random.default_rng(number)
            sums: dict[str, list] = {name: [] for name in PRIORS}
            for _ in range(draws):
                rows = drawn(camera_id, number, order, rng)
                whole = moments(vectors[:, np.concatenate(list(rows.values()))])
                own = {camera: moments(vectors[:, few]) for camera, few in rows.items()}
                for name, prior in PRIORS.items():
                    share = number / (number + prior)
                    mixed = {camera: shrunk(each, whole, share) for camera, each in own.items()}
                    sums[name].append(precision(found, layers, mixed)[0])
            means = {name: np.mean(each, axis=0) for name, each in sums.items()}
            result.setdefault(order, {})[str(number)] = {
                name: each[np.isfinite(each)].tolist() for name, each in means.items()
            }
    return result


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
        cells = (row, _percent(precisions), f"{100 * found['rank-1']:.1f}", less)
        lines.append(f"| {' | '.join(cells)} |")
    for order, numbers in figures["by_number"].items():
        lines += [
            "",
            f"pictures drawn {order}, layers {figures['layers']}",
            "",
            f"| pictures | {' | '.join(PRIORS)} | 16 less target | 16 less camera |",
            "|---|" + "---:|" * (len(PRIORS) + 2),
        ]
        for number, found in numbers.items():
            cells = [_percent(found[prior]) for prior in PRIORS]
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
    place = os.path.join(options.output, os.path.basename(os.path.normpath(run.path)))
    if not os.path.exists(f"{place}.npz"):
        found = scored.splits(
            settings, run, scored.Labelled(options.query, options.gallery, options.names)
        )
        if found is None:
            raise UserError("no person of query and gallery is known", ["query", "gallery"])
        splits = dict(zip(_SCORED, found, strict=True))
        train = opened(settings, "target", run).split("train")
        splits["train"] = train.subset(spread(train.camera_id))
        model = run.load_model(ADAPTED)
        arrays = {
            f"{name}_{key}": value
            for name, split in splits.items()
            for key, value in features(
                model, split, batches.decoded(split, settings.image_size)
            ).items()
        }
        np.savez(f"{place}.part.npz", **arrays)
        os.replace(f"{place}.part.npz", f"{place}.npz")
    with np.load(f"{place}.npz") as file:
        found = dict(file)
    figures = {
        "combinations": combinations(found),
        "layers": options.layers,
        "by_number": by_number(found, options.layers, options.draws),
    }
    replace_text(f"{place}.json", json.dumps(figures) + "\n")
    return figures


def main() -> None:
    """Measures the runs of the command line and prints the tables of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN_DIR")
    parser.add_argument("--query", required=True, help="folder or table, persons known")
    parser.add_argument("--gallery", required=True, help="likewise")
    parser.add_argument("--names", default="", help="template of the paths in both")
    parser.add_argument("--output", required=True, help="folder for features and figures")
    parser.add_argument("--layers", choices=LAYERS[:2], default="running", help="by number")
    parser.add_argument("--draws", type=int, default=5, help="of pictures of each number")
    options = parser.parse_args()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        os.makedirs(options.output, exist_ok=True)
    except OSError as error:
        raise ArgumentError("output", options.output, str(error)) from error
    for path in options.runs:
        run = RunDir(path)
        settings = recipes.settings_of(run)
        if not (isinstance(settings, StrongSettings) and os.path.exists(run.file(ADAPTED))):
            raise UserError(f"{path}: no run of --preset=strong with an {ADAPTED}")
        print(report(path, measured(run, settings, options)), flush=True)


if __name__ == "__main__":
    command_line.call(main)
