"""The table of a run's scores: printed, and kept in the run's results.json."""

import json
import math
from collections.abc import Mapping, Sequence

from arn_tf.errors import UserError
from arn_tf.ranking import scores, tracklets
from arn_tf.ranking.evaluation import Evaluation, shown
from arn_tf.ranking.pair_scores import CameraPair, PairScores
from arn_tf.run.folder import RunDir
from arn_tf.run.settings import RunSettings
from datasets.files.atomic_files import is_refusal, replace_text


def report(
    run: RunDir, settings: RunSettings, evaluation: Evaluation, model: str | None = None
) -> None:
    """Prints the table and writes `results.json`, scores and intervals of every row.

    Where the folder is to be read alone, it says so instead of writing.

    Args:
        run: folder of the run.
        settings: of the run.
        evaluation: what to report.
        model: `RunDir.digest` of the model.keras that was scored; by default of the one there now.

    Raises:
        UserError: the file can't be written.
    """
    every = [*evaluation.rows, *([evaluation.by_tracklet] if evaluation.by_tracklet else [])]
    rows = {row.title: scores.metrics([row.result]) for row in every}
    if rows:
        _print_scores(settings, evaluation, rows)
    else:
        _print_without_labels(settings, evaluation)
    for note in evaluation.notes:
        print(f"Note: {note}.")
    if evaluation.pairs:
        _print_pairs(evaluation.pairs)
    record = {
        "source": settings.source,
        "target": settings.target,
        "rows": rows,
        # JSON has no NaN.
        "without_labels": {
            title: {name: None if math.isnan(value) else value for name, value in numbers.items()}
            for title, numbers in evaluation.without_labels.items()
        },
        "notes": evaluation.notes,
        "pairs": evaluation.pairs.to_json() if evaluation.pairs else None,
    }
    try:
        record["model"] = model or run.digest("model.keras")
        replace_text(run.file("results.json"), json.dumps(record, indent=2) + "\n")
    except OSError as error:
        if not is_refusal(error):
            raise UserError(f"model_dir={run.path}: {error}", ["model_dir"]) from error
        print(f"results.json can't be written in {run.path}: {error.strerror}")


def _print_scores(
    settings: RunSettings,
    evaluation: Evaluation,
    rows: Mapping[str, Mapping[str, scores.Metric]],
) -> None:
    counts = evaluation.rows[-1].result
    any_camera = evaluation.kept is not None and evaluation.kept.query.views is not None
    match = "a match" if any_camera else "a match on another camera"
    print(f"\n{settings.direction}, in percent:\n")
    print(scores.table(list(rows.items())))
    print(
        f"\n{counts.valid_queries} of {counts.queries} queries have {match} and "
        f"count; {counts.junk} junk pictures dropped, {counts.distractors} distractors kept. "
        "mAP 95%: where mAP would lie with other queries (bootstrap)."
    )
    if evaluation.by_tracklet:
        print(tracklets.counts(evaluation.by_tracklet))


def _print_without_labels(settings: RunSettings, evaluation: Evaluation) -> None:
    print(f"\n{settings.direction}, without labels:\n")
    names = list(next(iter(evaluation.without_labels.values())))
    width = max(map(len, evaluation.without_labels))
    print(f"{'':{width}}  " + "  ".join(names))
    for title, numbers in evaluation.without_labels.items():
        cells = (f"{shown(numbers[name]):>{len(name)}}" for name in names)
        print(f"{title:{width}}  " + "  ".join(cells))
    print(
        "\nother_camera_share: of the 10 nearest, over chance; mutual_rate: pictures that are each "
        "other's nearest across cameras; similarity_entropy: nats. Higher is better for all three."
    )


def _print_pairs(pairs: PairScores) -> None:
    counts = pairs.scores
    print(
        f"\nPairs: {counts.same} of one person, {counts.other} of different ones. "
        f"AUC {counts.auc:.4f}\n"
    )
    lines = [
        [
            f"{rate:g}",
            f"{100 * found.true_accepts:.1f}",
            f"{found.threshold:.4f}",
            "[{:.4f}, {:.4f}]".format(*found.interval),
        ]
        for rate, found in pairs.operations.items()
        if found
    ]
    header = ["false-accept rate", "true accepts, %", "threshold", "threshold 95%"]
    if lines:
        print(scores.markdown([header, *lines]))
    for sentence in (*pairs.lacking(), *pairs.notes):
        print(f"Note: {sentence}.")
    if pairs.cameras:
        header = ["cameras", "AUC", "false accepts, %", "true accepts, %", "own threshold"]
        print(f"\nBy cameras, at the threshold of all pairs for {pairs.wanted:g}:\n")
        print(scores.markdown([header, *map(_camera_line, pairs.cameras)]))
    if pairs.left_out:
        print(f"{pairs.left_out} pairs of cameras have too few pairs for a line of their own")


def _camera_line(line: CameraPair) -> list[str]:
    rates = [
        "-" if rate is None else f"{100 * rate:.1f}"
        for rate in (line.false_accepts, line.true_accepts)
    ]
    own = "-" if line.own is None else f"{line.own.threshold:.4f}"
    return [line.title, f"{line.scores.auc:.4f}", *rates, own]


def scores_of_model(run: RunDir, titles: Sequence[str]) -> tuple[str, Mapping[str, object]] | None:
    """Returns what `report` wrote of the run's model.

    Args:
        run: folder of the run.
        titles: of rows that are about the model; the last one that is there counts.

    Returns:
        title and scores of that row; None where the run was not evaluated, or its model changed
        since, as by a calibration.

    Raises:
        UserError: the file is not what `report` writes.
    """
    path = run.file("results.json")
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        if found["rows"] == {} and found.get("without_labels"):
            return None  # nobody knew a person
        if found["model"] != run.digest("model.keras"):
            print(f"{path} is of another model than this; run arn_tf.evaluate again")
            return None
        title = [title for title in titles if title in found["rows"]][-1]
        return title, found["rows"][title]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{path}: not what arn_tf.evaluate writes ({error}); run it again, or remove the file"
        ) from error
