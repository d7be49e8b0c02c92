"""A camera that training never saw: `python -m studies.left_out_camera RUN_DIR`.

For each camera of the target of a finished run of --preset=strong, with the weights of its
adapted.keras, tuned on the source alone:

    before  the table of statistics comes from the training pictures of the other cameras, that of
            the whole target too; the camera left out falls back to the whole target
    after   the camera is calibrated with its own training pictures, unlabelled, as
            `arn_tf.calibrate` does it

mAP of row (b), camera statistics and mirror image, over the queries of that camera and over all;
the gallery is whole. The row of a camera with pictures enough hangs on them alone, so pictures of
the others are embedded once for all. The last lines are means over cameras, and all queries' paired
difference.
"""

import os
import sys
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from arn_tf import recipes
from arn_tf.data.split import Split
from arn_tf.layers.normalization import UNKNOWN_CAMERA
from arn_tf.ranking import intervals, scores
from arn_tf.run import command_line
from arn_tf.run.data import opened
from arn_tf.run.folder import RunDir
from arn_tf.strong import batches, camera_statistics
from arn_tf.strong.embedding import embed_by_camera
from arn_tf.strong.model import StrongModel
from arn_tf.strong.settings import StrongSettings

_COLUMNS = ("own before", "own after", "all before", "all after")


def main(run_dir: str) -> None:
    """Prints the table of a run."""
    run = RunDir(run_dir)
    settings = recipes.settings_of(run)
    data = opened(settings, "target", run)
    train, query, gallery = (data.split(name) for name in ("train", "query", "gallery"))
    tf.config.experimental.enable_tensor_float_32_execution(False)
    known = batches.decoded(train, settings.image_size)
    pictures = [batches.decoded(split, settings.image_size) for split in (query, gallery)]
    adapted = run.load_model("adapted.keras")

    whole, _ = camera_statistics.estimate(adapted, known, train.camera_id)
    if len(whole.cameras) < 2:
        raise SystemExit(
            f"{run_dir}: its target has {len(whole.cameras)} cameras with pictures "
            "enough; leaving one out takes two"
        )
    embeddings = [
        embed_by_camera(whole, each, split.camera_id)
        for each, split in zip(pictures, (query, gallery), strict=True)
    ]
    rows, differences = [], []
    for camera in whole.cameras:
        own = train.camera_id == camera
        # Only the row of the target: pictures of the camera will need no other.
        unseen = np.full(np.sum(~own), UNKNOWN_CAMERA)
        before, _ = camera_statistics.estimate(adapted, known[~own], unseen)
        after, _ = camera_statistics.refresh(before, known[own], train.camera_id[own])
        precisions = [
            _average_precision(model, camera, embeddings, pictures, query, gallery)
            for model in (before, after)
        ]
        queries = query.camera_id == camera
        numbers = [
            np.nanmean(each[chosen]) for chosen in (queries, slice(None)) for each in precisions
        ]
        counted = np.isfinite(precisions[0])
        rows.append((camera, np.sum(own), np.sum(queries & counted), numbers))
        differences.append([each[counted] for each in precisions[::-1]])
    _show(settings, rows, differences)


def _average_precision(
    model: StrongModel,
    camera: int,
    embeddings: Sequence[np.ndarray],
    pictures: Sequence[np.ndarray],
    query: Split,
    gallery: Split,
) -> np.ndarray:
    """Returns each query's average precision, float64 [queries].

    The camera's pictures are embedded by the model; the others have the embeddings given.
    """
    changed = []
    for known, each, split in zip(embeddings, pictures, (query, gallery), strict=True):
        own = split.camera_id == camera
        changed.append(known.copy())
        if own.any():
            changed[-1][own] = embed_by_camera(model, each[own], split.camera_id[own])
    return scores.score(*changed, query, gallery).average_precision


def _show(
    settings: StrongSettings,
    rows: list[tuple[int, int, int, list[float]]],
    differences: list[list[np.ndarray]],
) -> None:
    print(f"\n{settings.direction}, mAP of row (b), percent; own: queries of the camera left out\n")
    print(f"| left out | training pictures | queries | {' | '.join(_COLUMNS)} |")
    print("|---|---|---|" + "---|" * len(_COLUMNS))
    mean = np.mean([numbers for *_, numbers in rows], axis=0)
    for camera, crops, queries, numbers in [*rows, ("mean", "", "", mean)]:
        cells = [f"{100 * number:.1f}" for number in numbers]
        print(f"| {camera} | {crops} | {queries} | {' | '.join(cells)} |")
    # Of each query the mean over cameras left out, like seeds.
    after, before = np.swapaxes(differences, 0, 1)
    gain, (low, high) = intervals.difference(after, before)
    print(
        f"\nall queries, after less before, mean over cameras: {100 * gain:+.1f} "
        f"[{100 * low:+.1f}, {100 * high:+.1f}]"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m studies.left_out_camera RUN_DIR")
    command_line.call(lambda: main(os.path.expanduser(sys.argv[1])))
