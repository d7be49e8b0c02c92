"""Scores a run: `python -m arn_tf.evaluate --model_dir=runs/m2d`.

Prints CMC and mAP on the target for ARN and, beside it, the two baselines without which nobody can
tell adaptation from transfer; writes the same to `results.json`.
"""

import json
import os

import tensorflow as tf
from absl import flags

from arn_tf import recipes
from arn_tf.data.reid_data import ReidData
from arn_tf.errors import UserError
from arn_tf.paper import embedding
from arn_tf.paper.feature_cache import cached_maps
from arn_tf.paper.model import SOURCE, TARGET
from arn_tf.ranking import reranking, scores
from arn_tf.run import command_line
from arn_tf.run.atomic_files import replace_text
from arn_tf.run.folder import RunDir
from arn_tf.strong import evaluate as strong_evaluate

UNTRAINED = "untrained pooled backbone"
SOURCE_ONLY = "source only"
SOURCE_ONLY_TARGET_STATISTICS = "source only, target statistics"
ARN_ROW = "ARN"
RERANKED = " + re-ranking"


def evaluate(run, settings, rerank=False):
    """Scores every model of a finished run on the target.

    Args:
        run: `RunDir`.
        settings: the run's `Settings`.
        rerank: whether each row is followed by one that is re-ranked, which uses the gallery as a
            whole: `reranking.rerank`.

    Returns:
        {row name: RankingResult}, the ranked lists of the last row as a `PIL.Image`, and what a
        reader of the table must know, a list of sentences.

    Raises:
        UserError: the run isn't finished, or its data can't be read.
    """
    data = ReidData(
        settings.target, settings.data_dir, settings.manual_dir, settings.skip_bad_images
    )
    query, gallery = data.split("query"), data.split("gallery")
    run.keep_data({"target query": query.digest, "target gallery": gallery.digest})
    tf.config.experimental.enable_tensor_float_32_execution(False)
    results = {}

    def add(name, embed, model):
        embeddings = [embed(model, split, _maps(model, data, key, settings))
                      for key, split in (("query", query), ("gallery", gallery))]  # fmt: skip
        results[name] = scores.score(*embeddings, query, gallery)
        if rerank:
            results[name + RERANKED] = scores.score(
                *embeddings, query, gallery, distance=reranking.rerank
            )
        return embeddings

    # Loaded first: it is the one that an unfinished run lacks.
    arn = run.load_model("model.keras")
    add(UNTRAINED, embedding.pool_split, run.load_model("initial.keras"))
    if settings.source_only_baseline:
        model = run.load_model("source_only.keras")
        for name, domain in ((SOURCE_ONLY, SOURCE), (SOURCE_ONLY_TARGET_STATISTICS, TARGET)):
            add(name, lambda *a, domain=domain: embedding.embed_split(*a, domain), model)
    embeddings = add(ARN_ROW, embedding.embed_split, arn)
    title = f"{settings.source} to {settings.target}: {ARN_ROW}"
    return results, scores.draw_ranked_lists(*embeddings, query, gallery, title), []


def _maps(model, data, split, settings):
    if settings.feature_cache != "disk":
        return None
    title = f"{data.name} {split}"
    return cached_maps(model, data.split(split), 1, settings.feature_dir, title)


# How a run is scored, by its settings' preset.
OF_PRESET = {"paper": evaluate, "strong": strong_evaluate.evaluate}


def report(run, settings, results, notes=()):
    """Prints the table and writes `results.json`, scores and intervals of every row.

    Args:
        run: `RunDir`.
        settings: its settings.
        results: {row name: RankingResult}.
        notes: see `evaluate`.

    Raises:
        UserError: the file can't be written.
    """
    rows = {name: scores.metrics([result]) for name, result in results.items()}
    counts = list(results.values())[-1]
    print(f"\n{settings.source} to {settings.target}, in percent:\n")
    print(scores.table(list(rows.items())))
    print(
        f"\n{counts.valid_queries} of {counts.queries} queries have a match on another camera and "
        f"count; {counts.junk} junk pictures dropped, {counts.distractors} distractors kept. "
        "mAP 95%: where mAP would lie with other queries (bootstrap)."
    )
    for note in notes:
        print(f"Note: {note}.")
    record = {
        "source": settings.source, "target": settings.target, "rows": rows, "notes": list(notes),
    }  # fmt: skip
    try:
        record["model"] = run.digest("model.keras")
        replace_text(run.file("results.json"), json.dumps(record, indent=2) + "\n")
    except OSError as error:
        raise UserError(f"--model_dir={run.path}: {error}") from error


def main():
    run = RunDir(os.path.expanduser(flags.FLAGS.model_dir))
    settings = recipes.with_moved_folders(run.settings())
    # The strong recipe's table has re-ranked rows in any case.
    how = {"rerank": flags.FLAGS.rerank} if settings.preset == "paper" else {}
    results, picture, notes = OF_PRESET[settings.preset](run, settings, **how)
    report(run, settings, results, notes)
    if flags.FLAGS.ranked_lists:
        try:
            picture.save(flags.FLAGS.ranked_lists)
        except (OSError, ValueError) as error:
            raise UserError(f"--ranked_lists={flags.FLAGS.ranked_lists}: {error}") from error
        print(f"ranked lists: {flags.FLAGS.ranked_lists}")


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", "", "folder of a run of arn_tf.train")
    recipes.define_moved_folders()
    flags.DEFINE_bool(
        "rerank", False,
        "a re-ranked row after each row (k-reciprocal; --preset=strong always has them)",
    )  # fmt: skip
    flags.DEFINE_string(
        "ranked_lists", "", "PNG file to draw ranked lists of the adapted model into"
    )
    command_line.run(main)
