"""What choosing the stage by the target's labels would give: an oracle, no way to train.

    python -m studies.labelled_choice RUN_DIR [RUN_DIR ...]

Each RUN_DIR is a finished run of `--preset=strong`. Prints mAP of row (b) on the target's query and
gallery for every stage that the run chose from, the best of them, and what the one that it kept
loses against it. The run's folder stays as it is.
"""

import argparse
import json
import os

import tensorflow as tf

from arn_tf import recipes
from arn_tf.errors import UserError
from arn_tf.ranking import scores
from arn_tf.run import command_line
from arn_tf.run.data import opened
from arn_tf.run.folder import RunDir
from arn_tf.strong import batches
from arn_tf.strong.embedding import embed_by_camera
from arn_tf.strong.settings import StrongSettings
from arn_tf.strong.stage_choice import CHOICE_FILE


def stages_of(run: RunDir) -> list[str]:
    """Returns the names of the stages that a finished run chose from, in the order of training."""
    with open(run.file(CHOICE_FILE), encoding="utf-8") as file:
        return list(json.load(file)["scores"])


def scores_by_labels(run: RunDir, settings: StrongSettings) -> dict[str, float]:
    """Returns mAP of row (b) of the stages that a run chooses from, {stage: 0 to 1}.

    Args:
        run: folder of a finished run.
        settings: of the run.
    """
    data = opened(settings, "target", run)
    splits = [data.split(name) for name in ("query", "gallery")]
    pictures = [batches.decoded(split, settings.image_size) for split in splits]
    found = {}
    for stage in stages_of(run):
        model = run.load_model(stage)
        embeddings = [
            embed_by_camera(model, each, split.camera_id)
            for each, split in zip(pictures, splits, strict=True)
        ]
        found[stage] = scores.score(*embeddings, *splits).mean_ap
    return found


def report(path: str) -> None:
    """Prints the scores of a run's stages, the best, and what the stage that was kept loses."""
    run = RunDir(path)
    settings = recipes.settings_of(run)
    if not (isinstance(settings, StrongSettings) and os.path.exists(run.file(CHOICE_FILE))):
        raise UserError(f"{path}: not a finished run of --preset=strong")
    found = scores_by_labels(run, settings)
    best = max(found, key=lambda stage: found[stage])
    print(f"{path}, ORACLE, by the target's labels: {best}, mAP {100 * found[best]:.1f}")
    for stage, value in found.items():
        print(f"  {stage} {100 * value:.1f}")
    with open(run.file(CHOICE_FILE), encoding="utf-8") as file:
        kept = json.load(file)["stage"]
    print(f"  kept without labels: {kept}, {100 * (found[best] - found[kept]):.2f} points less")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN_DIR")
    paths = parser.parse_args().runs
    tf.config.experimental.enable_tensor_float_32_execution(False)
    for path in paths:
        report(path)


if __name__ == "__main__":
    command_line.call(main)
