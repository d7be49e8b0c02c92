"""Whole tables over seeds: `python -m arn_tf.ablate --source=market --target=duke`.

The paper's table 2: its four rows, and beside them source-only training and the untrained backbone;
each row is a run of its own under --model_dir, so the same command goes on where it stopped, and
runs that are finished are only scored. With --encoder_i_epochs=0 all rows and seeds read one
feature cache; where E_I is tuned, each objective makes another E_I. With --preset=strong the rows
are the stages of a run, then the bound that the target's labels give at equal cost, and with
--beside the same stages of another network.
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
from collections.abc import Iterator
from typing import TYPE_CHECKING

from absl import flags

from arn_tf import recipes
from arn_tf.errors import ArgumentError, UserError
from arn_tf.run import command_line, streams
from arn_tf.run.ablation import Ablation
from arn_tf.run.labelled import Labelled
from arn_tf.run.settings import RunSettings

if TYPE_CHECKING:
    from arn_tf.ranking.evaluation import Evaluation
    from arn_tf.run.folder import RunDir
    from arn_tf.run.seed_rows import SeedRow

# Flags of the network beside -> settings of its run.
_BESIDE = {
    "beside": "backbone",
    "beside_weights": "backbone_weights",
    "beside_input_size": "input_size",
}


def ablate(
    settings: RunSettings, ablation: Ablation, seeds: int, labelled: Labelled
) -> tuple[dict[str, "SeedRow"], list[str]]:
    """Trains and scores every row with seeds 0 to `seeds` - 1.

    Args:
        settings: of the full model; `seed` is the first seed.
        ablation: which runs make the table.
        seeds: number of seeds.
        labelled: the user's own pictures to score on, if any.

    Returns:
        {key: row}, and notes on single runs, a list of sentences.

    Raises:
        UserError: see `Recipe.train` and `Recipe.evaluate`.
    """
    from arn_tf.run.seed_rows import SeedRow

    rows: dict[str, SeedRow] = {}
    notes = list(ablation.notes)
    # TensorFlow keeps the memory of finished models: each row has a process of its own.
    spawn = multiprocessing.get_context("spawn")
    for seed in range(settings.seed, settings.seed + seeds):
        for run in ablation.runs:
            run_dir = os.path.join(settings.run_dir, f"seed_{seed}", run.folder)
            row_settings = dataclasses.replace(
                settings, **run.changes, seed=seed, model_dir=run_dir
            )
            print(f"\n=== seed {seed}, {run.name}", flush=True)
            try:
                with concurrent.futures.ProcessPoolExecutor(
                    1, spawn, initializer=_follow_parent
                ) as process:
                    with _as_commands_import():
                        scored = process.submit(_train_and_score, row_settings, labelled)
                    evaluation = scored.result()
            except concurrent.futures.process.BrokenProcessPool as error:
                raise UserError(
                    f"the process of row {run.name!r}, seed {seed}, was killed, perhaps for want "
                    "of memory. The same command goes on there"
                ) from error
            notes += [f"seed {seed}, {run.name}: {note}" for note in evaluation.notes]
            for row in evaluation.rows:
                if row.key in run.rows or run.all_rows:
                    key, title = run.rows.get(row.key, (row.key, row.title))
                    rows.setdefault(key, SeedRow(title)).results.append(row.result)
    own = {key: None for run in ablation.runs for key, _ in run.rows.values()}
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


def _train_and_score(settings: RunSettings, labelled: Labelled) -> "Evaluation":
    """Returns the evaluation of one run, which it trains first where it isn't finished."""
    streams.prepare()  # this process has its own
    command_line.start_tensorflow(settings.replicas)
    from arn_tf.run import stage_times
    from arn_tf.run.folder import RunDir

    recipe, run = recipes.recipe_of(settings), RunDir(settings.run_dir)
    if not _is_finished(run, settings):
        run = recipe.train(settings)
    found = recipe.evaluate(run, settings, labelled=labelled)
    # Without the pictures, which would have to cross to the parent.
    return dataclasses.replace(found, kept=None, notes=[*found.notes, *stage_times.told(run)])


def _is_finished(run: "RunDir", settings: RunSettings) -> bool:
    """Returns whether a run with these settings is complete: model.keras is written last."""
    return os.path.exists(run.file("model.keras")) and not settings.differences(run.settings())


def _beside() -> dict[str, str]:
    """Returns changes of the settings for the network beside; none where there is to be none."""
    given = {name: flags.FLAGS[flag].value for flag, name in _BESIDE.items()}
    if given["backbone"]:
        return {name: value for name, value in given.items() if value}
    for flag in _BESIDE:
        if flags.FLAGS[flag].present:
            value, problem = flags.FLAGS[flag].value, "name the network with beside=NAME"
            raise ArgumentError(flag, value, problem, also=["beside"])
    return {}


def main() -> None:
    """Trains and scores the table that the flags describe; prints and writes it."""
    settings, beside = recipes.from_flags(), _beside()
    seeds = flags.FLAGS.seeds
    command_line.start_tensorflow()
    from arn_tf.run import scored, seed_rows

    query, gallery = map(os.path.expanduser, (flags.FLAGS.query, flags.FLAGS.gallery))
    labelled = Labelled(query, gallery, settings.names)
    scored.check(settings, labelled)
    ablation = recipes.recipe_of(settings).ablation(settings, beside)
    if not settings.model_dir:
        settings = dataclasses.replace(
            settings, model_dir=f"runs/{ablation.name}_{settings.direction.replace(' ', '_')}"
        )
    found, notes = ablate(settings, ablation, seeds, labelled)
    command = f"python -m arn_tf.ablate {shlex.join(sys.argv[1:])}"
    text = seed_rows.markdown(settings, ablation, seeds, found, notes, command)
    print(f"\n{text}")
    compared = seed_rows.differences(found, ablation)
    shares = seed_rows.shares(found, ablation.bound)
    record = {
        "command": command,
        "settings": dataclasses.asdict(settings),
        "rows": dict(seed_rows.summary(found)),
        "differences": {name: value for name, value in compared.items() if value},
        "shares": dataclasses.asdict(shares) if shares else None,
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


if __name__ == "__main__":
    recipes.define_flags()
    flags.adopt_module_key_flags(recipes)
    flags.DEFINE_string(
        "query",
        "",
        "folder or table of pictures whose persons are known, to score on instead of the target's; "
        "--names is about their paths too",
    )
    flags.DEFINE_string(
        "gallery", "", "the same, to be ranked; the query's pictures themselves when empty"
    )
    flags.DEFINE_string(
        "beside",
        "",
        "another network, as --backbone takes them, whose calibrated and self-trained rows stand "
        "beside [only --preset=strong]",
    )
    flags.DEFINE_string("beside_weights", "imagenet", "its weights, as --backbone_weights")
    flags.DEFINE_string("beside_input_size", "", "its --input_size; the same when empty")
    flags.DEFINE_integer("seeds", 1, "seeds to train every row with", lower_bound=1)
    command_line.run(main)
