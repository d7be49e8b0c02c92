"""Scores a run: `python -m arn_tf.evaluate --model_dir=runs/m2d`.

Prints CMC and mAP on the target for the adapted model and for the baselines that separate
adaptation from transfer; writes the same to `results.json`.
"""

import dataclasses
import os
from typing import TYPE_CHECKING

from absl import flags

from arn_tf import recipes
from arn_tf.errors import ArgumentError
from arn_tf.run import command_line, outputs
from arn_tf.run.labelled import Labelled
from arn_tf.run.settings import DATASETS, RunSettings

if TYPE_CHECKING:
    from arn_tf.data.pair_pictures import PairPictures
    from arn_tf.run.folder import RunDir


def main() -> None:
    """Scores the run that the flags name; draws ranked lists where they ask for them."""
    if flags.FLAGS.names and not (flags.FLAGS.query or flags.FLAGS.gallery or flags.FLAGS.pairs):
        raise ArgumentError(
            "names",
            flags.FLAGS.names,
            "is about the paths of query, gallery and pairs: name one of them. The target's are "
            "those of its training",
        )
    command_line.start_tensorflow()
    from arn_tf.run import results
    from arn_tf.run.folder import RunDir
    from arn_tf.run.pairs import scored
    from datasets.files import atomic_files

    arguments = flags.FLAGS
    run = RunDir(os.path.expanduser(arguments.model_dir))
    settings = recipes.with_moved_folders(recipes.settings_of(run))
    labelled = Labelled(
        os.path.expanduser(arguments.query),
        os.path.expanduser(arguments.gallery),
        arguments.names,
        arguments.same_camera,
    )
    lists, page = arguments.ranked_lists, os.path.expanduser(arguments.report)
    for argument, path, check in (
        ("ranked_lists", lists, _check_picture),
        ("report", page, _check_page),
    ):
        if path:
            check(path)
            _check_place(argument, path, run, settings, labelled)
    recipe = recipes.recipe_of(settings)
    pairs = _pairs(settings) if arguments.pairs else None
    with run.unchanged("model.keras") as model:
        evaluation = recipe.evaluate(run, settings, arguments.rerank, labelled)
        if pairs:
            found = scored(
                pairs,
                lambda split: recipe.embed(run, settings, split),
                arguments.false_accept_rate,
            )
            evaluation = dataclasses.replace(evaluation, pairs=found)
    results.report(run, settings, evaluation, model)
    if lists:
        try:
            with atomic_files.replaced(lists) as partial:
                evaluation.ranked_lists.save(partial)
        except (OSError, ValueError) as error:
            raise ArgumentError("ranked_lists", lists, str(error)) from error
        print(f"ranked lists: {lists}")
    if page:
        from arn_tf.report.write import write

        write(page, run, settings, labelled, evaluation, model)
        print(f"report: {page}")


def _pairs(settings: RunSettings) -> "PairPictures":
    """Returns the pairs that the flags name, read before the work."""
    from arn_tf.run.pairs import opened

    rate = flags.FLAGS.false_accept_rate
    if not 0 < rate < 1:
        raise ArgumentError("false_accept_rate", rate, "name a share above 0 and below 1")
    return opened(settings, os.path.expanduser(flags.FLAGS.pairs), flags.FLAGS.names)


def _check_picture(path: str) -> None:
    """Raises a `UserError` where a picture can't be written, before the work."""
    from PIL import Image

    if os.path.splitext(path)[1].lower() not in Image.registered_extensions():
        raise ArgumentError("ranked_lists", path, "name a PNG file, such as ranked_lists.png")
    outputs.check_writable("ranked_lists", path)


def _check_page(path: str) -> None:
    """Raises a `UserError` where a page can't be written, before the work."""
    other = os.path.exists(path) and not os.path.isfile(path)
    if other or not path.lower().endswith((".html", ".htm")):
        raise ArgumentError("report", path, "name an HTML file, such as report.html")
    outputs.check_writable("report", path)


def _check_place(argument: str, path: str, run: "RunDir", *given: RunSettings | Labelled) -> None:
    """Raises a `UserError` where a file would lie among pictures: the next run would list it."""
    from datasets.files import walk

    folder = os.path.dirname(os.path.abspath(path))
    if walk.is_inside(folder, run.path):
        return  # which is passed over
    for name in ("source", "target", "query", "gallery"):
        for values in given:
            crops = os.path.expanduser(getattr(values, name, ""))
            if crops and crops not in DATASETS and walk.is_inside(folder, crops):
                raise ArgumentError(
                    argument, path, f"lies among the pictures of {name}; name a folder elsewhere"
                )


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", "", "folder of a run of arn_tf.train")
    recipes.define_moved_folders()
    flags.DEFINE_bool(
        "rerank",
        None,
        "whether the table has re-ranked rows (k-reciprocal); by default --preset=strong has them",
    )
    flags.DEFINE_string(
        "query",
        "",
        "folder or table of pictures whose persons are known, to score on instead of the target's",
    )
    flags.DEFINE_string(
        "gallery", "", "the same, to be ranked; the query's pictures themselves when empty"
    )
    flags.DEFINE_string(
        "names", "", "what their paths mean, like '{person_id}_{camera}_{*}'; a guess when empty"
    )
    flags.DEFINE_bool(
        "same_camera", False, "whether pictures of the query's own camera count as matches"
    )
    flags.DEFINE_string(
        "pairs",
        "",
        "table of pairs of pictures, CSV with columns a, b and same, to find a threshold of "
        "similarity by",
    )
    flags.DEFINE_float(
        "false_accept_rate", 0.01, "share of pairs of different persons that may pass it"
    )
    flags.DEFINE_string(
        "ranked_lists", "", "PNG file to draw ranked lists of the adapted model into"
    )
    flags.DEFINE_string(
        "report", "", "HTML file to write scores, charts and ranked lists into, all in one page"
    )
    command_line.run(main)
