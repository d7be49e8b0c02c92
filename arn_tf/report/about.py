"""What a page says beside its numbers: which run, which pictures, how the model was chosen."""

import dataclasses
import json
import platform
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from arn_tf.errors import UserError
from arn_tf.ranking.evaluation import Kept
from arn_tf.report import cameras
from arn_tf.run.folder import RunDir
from arn_tf.run.labelled import Labelled
from arn_tf.run.settings import RunSettings

# Written by `arn_tf.strong.stage_choice`.
_CHOICE = "choice.json"


@dataclasses.dataclass(frozen=True)
class Choice:
    """How a stage of a run was chosen.

    Attributes:
        stage: its name.
        reason: in words.
        scores: {name of a stage: its consensus; None where it was not compared}.
    """

    stage: str
    reason: str
    scores: Mapping[str, float | None]


@dataclasses.dataclass(frozen=True)
class About:
    """A run and what it was scored on.

    Attributes:
        title: source and target.
        recipe: its preset.
        model: SHA-256 of the model, hexadecimal.
        scored: what was scored on, sentences.
        choice: how the model was chosen; None where there was one alone.
        settings: of the run.
        versions: of what scored it.
    """

    title: str
    recipe: str
    model: str
    scored: list[str]
    choice: Choice | None
    settings: Mapping[str, object]
    versions: Mapping[str, str]


def about(
    run: RunDir, settings: RunSettings, labelled: Labelled, kept: Kept, model: str, known: bool
) -> About:
    """Returns what a page says of a run.

    Args:
        run: its folder.
        settings: of the run.
        labelled: the user's own pictures that it was scored on, if any.
        kept: what was scored.
        model: `RunDir.digest` of the model.
        known: whether persons are known.

    Raises:
        UserError: the run's choice.json can't be read.
    """
    versions = {
        "Python": platform.python_version(),
        "TensorFlow": tf.__version__,
        "Keras": keras.__version__,
        "NumPy": np.__version__,
    }
    return About(
        settings.direction,
        settings.preset,
        model,
        _scored(settings, labelled, kept, known),
        _choice(run),
        dataclasses.asdict(settings),
        versions,
    )


def _scored(settings: RunSettings, labelled: Labelled, kept: Kept, known: bool) -> list[str]:
    query, gallery = kept.query, kept.gallery
    seen = f"{len(cameras.names(query, gallery))} cameras"
    if not known:
        return [
            f"Target {settings.target}: {len(query)} pictures, {seen}. No person is known, so "
            "nothing is right or wrong here; the numbers say how sure the model is of its matches."
        ]
    persons = len(np.unique(query.person_id))
    if labelled.query:
        searched = labelled.gallery or "the same"
        lines = [f"Your own pictures: queries of {labelled.query}, gallery of {searched}."]
    else:
        lines = [f"Query and gallery pictures of the target, {settings.target}."]
    lines.append(
        f"{len(query)} queries of {persons} persons, {len(gallery)} gallery pictures, {seen}."
    )
    lines.append(
        "A match is another picture of the query's person, of any camera."
        if labelled.same_camera
        else "A match is a picture of the query's person by another camera."
    )
    return lines


def _choice(run: RunDir) -> Choice | None:
    path = run.file(_CHOICE)
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        scores = {str(stage): score for stage, score in found.get("scores", {}).items()}
        return Choice(str(found["stage"]), str(found["reason"]), scores)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not what arn_tf.train writes ({error})") from error
