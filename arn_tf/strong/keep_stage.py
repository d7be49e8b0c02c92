"""Which stage of a strong run becomes its result.

`--keep_best=unlabelled` reads no label of the target (`checkpoint_choice`); `labelled` is an oracle
for studies, and every output says so.
"""

import dataclasses
import json

import numpy as np

from arn_tf.ranking import scores as ranking_scores
from arn_tf.run.atomic_files import replace_text
from arn_tf.strong import batches, stage_choice, tensorboard
from arn_tf.strong.embedding import embed_by_camera

ORACLE = "ORACLE: chosen by the target's labels"
CHOICE_FILE = "choice.json"


@dataclasses.dataclass(frozen=True)
class StageChoice:
    """A stage and why.

    Attributes:
        stage: name of its file.
        reason: in words.
        scores: {stage: what it was compared by}.
    """

    stage: str
    reason: str
    scores: dict


def without_labels(stages, embeddings, camera_id, alarms=None):
    """Chooses among the stages of a run by unlabelled pictures.

    Args:
        stages: names of their files, in the order of training.
        embeddings: of the target's training pictures by each stage, float [N, D] each.
        camera_id: int [N].
        alarms: of each stage, why it is known to be collapsed, or None.
    """
    found = stage_choice.choose(embeddings, camera_id, alarms)
    return StageChoice(
        stages[found.index], found.reason, dict(zip(stages, found.scores, strict=True))
    )


def by_labels(stages, run, target, image_size):
    """The stage with the highest mAP of row (b) on the target's query and gallery: an oracle.

    Args:
        stages: names of their files.
        run: `RunDir`.
        target: its `ReidData`.
        image_size: (height, width) in pixels.
    """
    splits = [target.split(name) for name in ("query", "gallery")]
    pictures = [batches.decoded(split, image_size) for split in splits]
    scores = {}
    for stage in stages:
        model = run.load_model(stage)
        embeddings = [
            embed_by_camera(model, each, split.camera_id)
            for each, split in zip(pictures, splits, strict=True)
        ]
        scores[stage] = ranking_scores.score(*embeddings, *splits).mean_ap
    best = max(scores, key=scores.get)
    return StageChoice(best, f"{ORACLE}, mAP {100 * scores[best]:.1f}", scores)


def record(run, keep_best, choice):
    """Writes a choice into the run's folder and TensorBoard, and prints it."""
    scores = {k: None if np.isnan(v) else float(v) for k, v in choice.scores.items()}
    text = {"keep_best": keep_best, "stage": choice.stage, "reason": choice.reason,
            "scores": scores}  # fmt: skip
    text = json.dumps(text, indent=2)
    replace_text(run.file(CHOICE_FILE), text + "\n")
    tensorboard.write_stage(run, "choice", 0, {}, f"```json\n{text}\n```")
    print(f"kept: {choice.stage} ({choice.reason})", flush=True)
