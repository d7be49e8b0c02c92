"""Whole tables over seeds: `python -m arn_tf.ablate --source=market --target=duke`.

The paper's table 2: its four rows, and beside them source-only training and the untrained backbone;
each row is a run of its own under --model_dir, so the same command goes on where it stopped, and
runs that are finished are only scored. With --encoder_i_epochs=0 all rows and seeds read one
feature cache; where E_I is tuned, each objective makes another E_I. With --preset=strong a seed is
one run, whose stages are the rows.
"""

import concurrent.futures
import concurrent.futures.process
import dataclasses
import json
import multiprocessing
import os
import shlex
import signal
import sys
import threading

from absl import flags

from arn_tf import evaluate, recipes, train
from arn_tf.errors import UserError
from arn_tf.layers.replicas import split_cpu
from arn_tf.ranking import intervals
from arn_tf.ranking import scores as ranking_scores
from arn_tf.run import command_line
from arn_tf.run.atomic_files import replace_text
from arn_tf.run.folder import RunDir
from arn_tf.strong import evaluate as strong_evaluate

# Row of the table -> the settings that make it. The two unsupervised ones can't begin with
# source-only epochs: all their epochs are joint.
_UNSUPERVISED = {
    "class_weight": 0.0,
    "contrastive_weight": 0.0,
    "source_only_epochs": 0,
    "source_only_baseline": False,
}
_WITHOUT_PRIVATE = {"private_encoders": False, "difference_weight": 0.0}
ROWS = {
    "w/o L_ctrs, L_class, E_S, E_T": _UNSUPERVISED | _WITHOUT_PRIVATE,
    "w/o L_ctrs, L_class": _UNSUPERVISED,
    "w/o E_S, E_T": _WITHOUT_PRIVATE | {"source_only_baseline": False},
    "full ARN": {"source_only_baseline": True},
}
_FOLDERS = ("rec", "rec_diff", "no_private", "full")
# (folder, settings that it changes, row that its ARN is; None where all its rows are the table's)
_RUNS = {
    "paper": [(f, changes, row) for f, (row, changes) in zip(_FOLDERS, ROWS.items(), strict=True)],
    "strong": [("strong", {}, None)],
}
# Pairs of rows whose paired difference is printed: does the first add anything to the second?
_COMPARED = [
    ("full ARN", evaluate.SOURCE_ONLY_TARGET_STATISTICS),
    ("full ARN", "w/o E_S, E_T"),
    (strong_evaluate.SOURCE_ONLY_CAMERAS, strong_evaluate.SOURCE_ONLY),
    (strong_evaluate.ADAPTED_CAMERAS, strong_evaluate.SOURCE_ONLY_CAMERAS),
    (strong_evaluate.ADAPTED_RERANKED, strong_evaluate.ADAPTED_CAMERAS),
]


def ablate(settings, seeds):
    """Trains and scores every row with seeds 0 to `seeds` - 1.

    Args:
        settings: of the full model; `seed` is the first seed.
        seeds: number of seeds.

    Returns:
        {row: [RankingResult of each seed]}, and notes on single runs, a list of sentences.

    Raises:
        UserError: see `train` and `evaluate`.
    """
    scores, notes = {}, []
    # TensorFlow keeps the memory of finished models: each row has a process of its own.
    spawn = multiprocessing.get_context("spawn")
    for seed in range(settings.seed, settings.seed + seeds):
        for folder, changes, row in _RUNS[settings.preset]:
            run_dir = os.path.join(settings.run_dir, f"seed_{seed}", folder)
            row_settings = dataclasses.replace(settings, **changes, seed=seed, model_dir=run_dir)
            print(f"\n=== seed {seed}, {row or folder}", flush=True)
            try:
                with concurrent.futures.ProcessPoolExecutor(
                    1, spawn, initializer=_follow_parent
                ) as process:
                    results, said = process.submit(_train_and_score, row_settings).result()
            except concurrent.futures.process.BrokenProcessPool as error:
                raise UserError(
                    f"the process of row {row or folder!r}, seed {seed}, was killed, perhaps for "
                    "want of memory. The same command goes on there"
                ) from error
            if row:
                results[row] = results.pop(evaluate.ARN_ROW)
            notes += [f"seed {seed}, {row or folder}: {note}" for note in said]
            for name, result in results.items():
                # Every run has the untrained backbone; the full one speaks for all.
                if name == row or folder in ("full", "strong"):
                    scores.setdefault(name, []).append(result)
    return scores, notes


def _follow_parent():
    """Ends this process with its parent, whose row would otherwise stay locked."""

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    # The parent says what there is to say.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))


def _train_and_score(settings):
    """{row of one run's table: RankingResult}, and the table's notes."""
    split_cpu(settings.replicas)
    run = RunDir(settings.run_dir)
    if not _is_finished(run, settings):
        run = train.OF_PRESET[settings.preset](settings)
    results, _, notes = evaluate.OF_PRESET[settings.preset](run, settings)
    return results, notes


def _is_finished(run, settings):
    """Whether a run with these settings is complete: model.keras is what it writes last."""
    return os.path.exists(run.file("model.keras")) and not run.settings().differences(settings)


def summary(scores):
    """The table's rows in its order.

    Args:
        scores: {row: [RankingResult of each seed]}.

    Returns:
        [(row, `scoring.metrics`)]; a row that not every seed has, as where self-training stopped
        before its first round, says so in its name.
    """
    baselines = [name for name in scores if name not in ROWS]
    seeds = max(map(len, scores.values()))
    return [
        (
            name if len(scores[name]) == seeds else f"{name} ({len(scores[name])} of {seeds})",
            ranking_scores.metrics(scores[name]),
        )
        for name in [*baselines, *(name for name in ROWS if name in scores)]
    ]


def differences(scores):
    """{"one row less another": (mean, (low, high))} of mAP, paired over queries and seeds."""
    return {
        f"{one} less {other}": intervals.difference(*(
            [result.per_query()["mean_ap"] for result in scores[name]] for name in (one, other)
        ))
        for one, other in _pairs(scores)
        if len(scores[one]) == len(scores[other])
    }  # fmt: skip


def _left_out(scores):
    """Differences that `differences` can't have, by name."""
    return [
        f"{one} less {other}"
        for one, other in _pairs(scores)
        if len(scores[one]) != len(scores[other])
    ]


def _pairs(scores):
    """Rows to compare; a row may say in front that it is an oracle's."""
    for pair in _COMPARED:
        one, other = (next((n for n in scores if n.endswith(name)), None) for name in pair)
        if one and other:
            yield one, other


def main():
    settings = recipes.from_flags()
    seeds = flags.FLAGS.seeds
    if settings.preset == "paper" and not (
        settings.private_encoders and all(settings.loss_weights.values())
    ):
        raise UserError(
            "the ablation's rows choose --private_encoders and the zero weights themselves"
        )
    if not settings.model_dir:
        name = "table2" if settings.preset == "paper" else "strong"
        settings = dataclasses.replace(
            settings, model_dir=f"runs/{name}_{settings.source}_to_{settings.target}"
        )
    scores, notes = ablate(settings, seeds)
    rows, compared = summary(scores), differences(scores)
    command = f"python -m arn_tf.ablate {shlex.join(sys.argv[1:])}"
    text = "\n".join([
        f"{settings.source} to {settings.target}, in percent, {_seeds_said(seeds)}; 95%: over "
        "queries, bootstrap:\n",
        ranking_scores.table(rows),
        "\nmAP, paired over queries:\n",
        *(f"* {name}: {100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
          for name, (mean, (low, high)) in compared.items()),
        *(f"* {name}: not compared, as not every seed has both" for name in _left_out(scores)),
        *(f"\n{note}" for note in notes),
        f"\nMade by `{command}`",
    ])  # fmt: skip
    print(f"\n{text}")
    record = {
        "command": command,
        "settings": dataclasses.asdict(settings),
        "rows": dict(rows),
        "differences": compared,
        "notes": notes,
        "seeds": {name: [each.to_json() for each in results] for name, results in scores.items()},
    }
    try:
        for name, content in (("table.json", json.dumps(record, indent=2)), ("table.md", text)):
            replace_text(os.path.join(settings.run_dir, name), content + "\n")
    except OSError as error:
        raise UserError(f"--model_dir={settings.run_dir}: {error}") from error
    print(f"\nsaved as table.md and table.json in {settings.run_dir}")


def _seeds_said(seeds):
    return "one seed" if seeds == 1 else f"mean ± deviation of {seeds} seeds"


if __name__ == "__main__":
    recipes.define_flags()
    flags.adopt_module_key_flags(recipes)
    flags.DEFINE_integer("seeds", 1, "seeds to train every row with", lower_bound=1)
    command_line.run(main)
