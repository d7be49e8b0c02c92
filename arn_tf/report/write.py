"""Writes the page of an evaluation, whole or not at all."""

from arn_tf.errors import ArgumentError
from arn_tf.ranking.evaluation import Evaluation
from arn_tf.report.about import about
from arn_tf.report.page import page
from arn_tf.run.folder import RunDir
from arn_tf.run.labelled import Labelled
from arn_tf.run.settings import RunSettings
from datasets.files.atomic_files import replace_text


def write(
    path: str,
    run: RunDir,
    settings: RunSettings,
    labelled: Labelled,
    evaluation: Evaluation,
    model: str,
) -> None:
    """Writes the page of an evaluation.

    Args:
        path: of the page; what is there is replaced.
        run: folder of the run.
        settings: of the run.
        labelled: the user's own pictures that it was scored on, if any.
        evaluation: what to show, with `kept`.
        model: `RunDir.digest` of the model that was scored.

    Raises:
        UserError: it can't be written; what was there before still is.
    """
    assert evaluation.kept is not None
    known = bool(evaluation.rows)
    text = page(about(run, settings, labelled, evaluation.kept, model, known), evaluation)
    try:
        replace_text(path, text)
    except OSError as error:
        raise ArgumentError("report", path, f"can't be written: {error.strerror}") from error
