"""Scores a run: `python -m arn_tf.evaluate --model_dir=runs/m2d`.

Prints CMC and mAP on the target for the adapted model and for the baselines that separate
adaptation from transfer; writes the same to `results.json`.
"""

import os

from absl import flags

from arn_tf import recipes
from arn_tf.errors import ArgumentError
from arn_tf.run import command_line


def main() -> None:
    command_line.start_tensorflow()
    from arn_tf.run import results
    from arn_tf.run.folder import RunDir

    arguments = flags.FLAGS
    run = RunDir(os.path.expanduser(arguments.model_dir))
    settings = recipes.with_moved_folders(recipes.settings_of(run))
    evaluation = recipes.recipe_of(settings).evaluate(run, settings, arguments.rerank)
    results.report(run, settings, evaluation)
    if arguments.ranked_lists:
        try:
            evaluation.ranked_lists.save(arguments.ranked_lists)
        except (OSError, ValueError) as error:
            raise ArgumentError("ranked_lists", arguments.ranked_lists, str(error)) from error
        print(f"ranked lists: {arguments.ranked_lists}")


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", "", "folder of a run of arn_tf.train")
    recipes.define_moved_folders()
    flags.DEFINE_bool(
        "rerank",
        None,
        "whether the table has re-ranked rows (k-reciprocal); by default --preset=strong has them",
    )
    flags.DEFINE_string(
        "ranked_lists", "", "PNG file to draw ranked lists of the adapted model into"
    )
    command_line.run(main)
