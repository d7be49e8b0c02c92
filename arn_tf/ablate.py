"""Whole tables over seeds: `python -m arn_tf.ablate --source=market --target=duke`.

The paper's table 2: its four rows, and beside them source-only training and the untrained backbone;
each row is a run of its own under --model_dir, so the same command goes on where it stopped. With
--encoder_i_epochs=0 all rows and seeds read one feature cache; where E_I is tuned, each objective
makes another E_I. With --preset=strong a seed is one run, whose stages are the rows.
"""

import concurrent.futures
import concurrent.futures.process
import dataclasses
import json
import multiprocessing
import os
import signal
import threading

import numpy as np
from absl import flags

from arn_tf import cli, evaluate, presets, scoring, strong_evaluate, strong_train
from arn_tf.errors import UserError
from arn_tf.files import replace_text
from arn_tf.replicas import split_cpu
from arn_tf.train import train

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


def ablate(settings, seeds):
    """Trains and scores every row with seeds 0 to `seeds` - 1.

    Args:
        settings: of the full model; `seed` is the first seed.
        seeds: number of seeds.

    Returns:
        {row: [metrics of each seed]}, see `RankingResult.to_json`.

    Raises:
        UserError: see `train` and `evaluate`.
    """
    scores = {}
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
                    results = process.submit(_train_and_score, row_settings).result()
            except concurrent.futures.process.BrokenProcessPool as error:
                raise UserError(
                    f"the process of row {row or folder!r}, seed {seed}, was killed, perhaps for "
                    "want of memory. The same command goes on there"
                ) from error
            if row:
                results[row] = results.pop(evaluate.ARN_ROW)
            for name, metrics in results.items():
                # Every run has the untrained backbone; the full one speaks for all.
                if name == row or folder in ("full", "strong"):
                    scores.setdefault(name, []).append(metrics)
    return scores


def _follow_parent():
    """Ends this process with its parent, whose row would otherwise stay locked."""

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    # The parent says what there is to say.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))


def _train_and_score(settings):
    """{row of one run's table: metrics}."""
    split_cpu(settings.replicas)
    if settings.preset == "strong":
        results, _ = strong_evaluate.evaluate(strong_train.train(settings), settings)
    else:
        results, _ = evaluate.evaluate(train(settings), settings)
    return {name: result.to_json() for name, result in results.items()}


def summary(scores):
    """Rows in the table's order with (mean, spread) over seeds; spread is the sample deviation."""
    baselines = [name for name in scores if name not in ROWS]
    rows = []
    for name in [*baselines, *(name for name in ROWS if name in scores)]:
        values = scores[name]
        row = {}
        for key in values[0]:
            numbers = [value[key] for value in values]
            spread = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else 0.0
            row[key] = (float(np.mean(numbers)), spread)
        rows.append((name, row))
    return rows


def main():
    settings = presets.from_flags()
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
    scores = ablate(settings, seeds)
    rows = summary(scores)
    text = scoring.table(rows)
    print(f"\n{settings.source} to {settings.target}, {seeds} seeds, percent, mean ± deviation:\n")
    print(text)
    record = {"settings": dataclasses.asdict(settings), "seeds": scores}
    try:
        for name, content in (("table.json", json.dumps(record, indent=2)), ("table.md", text)):
            replace_text(os.path.join(settings.run_dir, name), content + "\n")
    except OSError as error:
        raise UserError(f"--model_dir={settings.run_dir}: {error}") from error
    print(f"\nsaved as table.md and table.json in {settings.run_dir}")


if __name__ == "__main__":
    presets.define_flags()
    flags.adopt_module_key_flags(presets)
    flags.DEFINE_integer("seeds", 1, "seeds to train every row with", lower_bound=1)
    cli.run(main)
