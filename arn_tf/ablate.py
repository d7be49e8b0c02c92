"""Whole tables over seeds: `python -m arn_tf.ablate --source=market --target=duke`.

The paper's table 2: its four rows, and beside them source-only training and the untrained backbone;
each row is a run of its own under --model_dir, so the same command goes on where it stopped, and
runs that are finished are only scored. With --encoder_i_epochs=0 all rows and seeds read one
feature cache; where E_I is tuned, each objective makes another E_I. With --preset=strong a seed is
one run, whose stages are the rows.
"""

import concurrent.futures
import concurrent.futures.process
import contextlib
import dataclasses
import json
import multiprocessing
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from absl import flags

from arn_tf import recipes
from arn_tf.errors import ArgumentError, UserError
from arn_tf.run import command_line, streams
from arn_tf.run.ablation import Ablation
from arn_tf.run.settings import RunSettings

if TYPE_CHECKING:
    from arn_tf.ranking.evaluation import Evaluation
    from arn_tf.ranking.protocol import RankingResult
    from arn_tf.run.folder import RunDir

# Scores of a row by name, as `ranking.scores.metrics` returns them.
Metrics = dict[str, float | tuple[float, float]]


@dataclasses.dataclass
class SeedRow:
    """A row of the table over seeds.

    Attributes:
        title: of the row.
        results: scores, one for each seed that has the row.
    """

    title: str
    results: list["RankingResult"] = dataclasses.field(default_factory=list)


def ablate(
    settings: RunSettings, ablation: Ablation, seeds: int
) -> tuple[dict[str, SeedRow], list[str]]:
    """Trains and scores every row with seeds 0 to `seeds` - 1.

    Args:
        settings: of the full model; `seed` is the first seed.
        ablation: which runs make the table.
        seeds: number of seeds.

    Returns:
        {key: row}, and notes on single runs, a list of sentences.

    Raises:
        UserError: see `Recipe.train` and `Recipe.evaluate`.
    """
    rows: dict[str, SeedRow] = {}
    notes: list[str] = []
    # TensorFlow keeps the memory of finished models: each row has a process of its own.
    spawn = multiprocessing.get_context("spawn")
    for seed in range(settings.seed, settings.seed + seeds):
        for run in ablation.runs:
            run_dir = os.path.join(settings.run_dir, f"seed_{seed}", run.folder)
            row_settings = dataclasses.replace(
                settings, **run.changes, seed=seed, model_dir=run_dir
            )
            name = run.row[1] if run.row else run.folder
            print(f"\n=== seed {seed}, {name}", flush=True)
            try:
                with concurrent.futures.ProcessPoolExecutor(
                    1, spawn, initializer=_follow_parent
                ) as process:
                    with _as_commands_import():
                        scored = process.submit(_train_and_score, row_settings)
                    evaluation = scored.result()
            except concurrent.futures.process.BrokenProcessPool as error:
                raise UserError(
                    f"the process of row {name!r}, seed {seed}, was killed, perhaps for want of "
                    "memory. The same command goes on there"
                ) from error
            notes += [f"seed {seed}, {name}: {note}" for note in evaluation.notes]
            last = len(evaluation.rows) - 1
            for place, row in enumerate(evaluation.rows):
                key, title = row.key, row.title
                if run.row and place == last:
                    key, title = run.row
                elif not run.all_rows:
                    continue
                rows.setdefault(key, SeedRow(title)).results.append(row.result)
    own = {run.row[0]: None for run in ablation.runs if run.row}
    order = [key for key in rows if key not in own] + [key for key in own if key in rows]
    return {key: rows[key] for key in order}, notes


@contextlib.contextmanager
def _as_commands_import() -> Iterator[None]:
    """Processes that start in it import arn_tf without TensorFlow, whose notes would come first."""
    argv = sys.argv
    sys.argv = ["-m", *argv[1:]]
    try:
        yield
    finally:
        sys.argv = argv


def _follow_parent() -> None:
    """Ends this process with its parent, whose row would otherwise stay locked."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # ProcessPoolExecutor started this process.

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    # The parent prints what there is to print.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))


def _train_and_score(settings: RunSettings) -> "Evaluation":
    """Returns the evaluation of one run, which it trains first where it isn't finished."""
    streams.prepare()  # this process has its own
    command_line.start_tensorflow(settings.replicas)
    from arn_tf.run.folder import RunDir

    recipe, run = recipes.recipe_of(settings), RunDir(settings.run_dir)
    if not _is_finished(run, settings):
        run = recipe.train(settings)
    # Without the pictures, which would have to cross to the parent.
    return dataclasses.replace(recipe.evaluate(run, settings), kept=None)


def _is_finished(run: "RunDir", settings: RunSettings) -> bool:
    """Returns whether a run with these settings is complete: model.keras is written last."""
    return os.path.exists(run.file("model.keras")) and not settings.differences(run.settings())


def summary(rows: Mapping[str, SeedRow]) -> list[tuple[str, Metrics]]:
    """Returns (title, `scores.metrics`) of the rows in their order.

    The title of a row that not every seed has, as where self-training stopped before its first
    round, gives the number of seeds.
    """
    from arn_tf.ranking import scores

    seeds = max(len(row.results) for row in rows.values())
    return [
        (
            row.title
            if len(row.results) == seeds
            else f"{row.title} ({len(row.results)} of {seeds})",
            scores.metrics(row.results),
        )
        for row in rows.values()
    ]


def differences(
    rows: Mapping[str, SeedRow], ablation: Ablation
) -> dict[str, tuple[float, tuple[float, float]] | None]:
    """Returns {"one row less another": (mean, (low, high))} of mAP, paired over queries and seeds.

    None instead where not every seed has both rows.
    """
    from arn_tf.ranking import intervals

    found: dict[str, tuple[float, tuple[float, float]] | None] = {}
    for one, other in _pairs(rows, ablation):
        name = f"{one.title} less {other.title}"
        found[name] = None
        if len(one.results) == len(other.results):
            found[name] = intervals.difference(
                *([result.per_query()["mean_ap"] for result in row.results] for row in (one, other))
            )
    return found


def _pairs(rows: Mapping[str, SeedRow], ablation: Ablation) -> Iterator[tuple[SeedRow, SeedRow]]:
    for one, other in ablation.compared:
        if one in rows and other in rows:
            yield rows[one], rows[other]


def main() -> None:
    """Trains and scores the table that the flags describe; prints and writes it."""
    settings = recipes.from_flags()
    seeds = flags.FLAGS.seeds
    command_line.start_tensorflow()
    ablation = recipes.recipe_of(settings).ablation(settings)
    from arn_tf.run import scored

    scored.check_target(settings)
    if not settings.model_dir:
        settings = dataclasses.replace(
            settings, model_dir=f"runs/{ablation.name}_{settings.direction.replace(' ', '_')}"
        )
    found, notes = ablate(settings, ablation, seeds)
    rows, compared = summary(found), differences(found, ablation)
    command = f"python -m arn_tf.ablate {shlex.join(sys.argv[1:])}"
    text = _as_markdown(settings, seeds, rows, compared, notes, command)
    print(f"\n{text}")
    record = {
        "command": command,
        "settings": dataclasses.asdict(settings),
        "rows": dict(rows),
        "differences": {name: value for name, value in compared.items() if value},
        "notes": notes,
        "seeds": {row.title: [each.to_json() for each in row.results] for row in found.values()},
    }
    from datasets.files.atomic_files import is_refusal, replace_text

    try:
        for name, content in (("table.json", json.dumps(record, indent=2)), ("table.md", text)):
            replace_text(os.path.join(settings.run_dir, name), content + "\n")
    except OSError as error:
        if not is_refusal(error):
            raise ArgumentError("model_dir", settings.run_dir, str(error)) from error
        # Where every run is finished the folder may be another's.
        print(f"\ntable.md and table.json can't be written in {settings.run_dir}: {error.strerror}")
        return
    print(f"\nsaved as table.md and table.json in {settings.run_dir}")


def _as_markdown(
    settings: RunSettings,
    seeds: int,
    rows: list[tuple[str, Metrics]],
    compared: Mapping[str, tuple[float, tuple[float, float]] | None],
    notes: list[str],
    command: str,
) -> str:
    from arn_tf.ranking import scores

    several = "one seed" if seeds == 1 else f"mean ± deviation of {seeds} seeds"
    lines = [
        f"{settings.direction}, in percent, {several}; 95%: over queries, bootstrap:\n",
        scores.table(rows),
        "\nmAP, paired over queries:\n",
    ]
    for name, value in compared.items():
        if value is None:
            lines.append(f"* {name}: not compared, as not every seed has both")
            continue
        mean, (low, high) = value
        lines.append(f"* {name}: {100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]")
    return "\n".join([*lines, *(f"\n{note}" for note in notes), f"\nMade by `{command}`"])


if __name__ == "__main__":
    recipes.define_flags()
    flags.adopt_module_key_flags(recipes)
    flags.DEFINE_integer("seeds", 1, "seeds to train every row with", lower_bound=1)
    command_line.run(main)
