"""The main job on built-in data: `python -m arn_tf.demo`, or `make demo`.

Draws the two camera networks of `datasets/toy_reid`, trains the source-only baseline and ARN on
them and scores both. The backbone has random weights, as nothing is downloaded, so the scores show
that the program works and that training helps; they say nothing about real pictures.
"""

import os

from arn_tf import recipes
from arn_tf.errors import UserError
from arn_tf.paper.settings import Settings
from arn_tf.run import command_line

SETTINGS = Settings(
    source="toy_market",
    target="toy_duke",
    model_dir=os.path.join("runs", "demo"),
    data_dir="data",
    backbone="ResNet50",
    backbone_weights="random",
    input_size="128x64",
    embedding_dim=512,
    encoder_i_epochs=0,
    learning_rate_scale=10.0,
    epochs=20,
    source_only_epochs=15,
    monitor_every=5,
)


def main(settings: Settings = SETTINGS) -> None:
    """Trains and scores the demo, and prints the table and where its files are.

    Raises:
        UserError: see `Recipe.train`; or the picture can't be written.
    """
    print("Draws two camera networks, trains and scores: about 3 minutes on 2 cores.", flush=True)
    command_line.start_tensorflow()
    from arn_tf.run import results
    from datasets.files import atomic_files

    recipe = recipes.recipe_of(settings)
    run = recipe.train(settings)
    with run.unchanged("model.keras") as model:
        evaluation = recipe.evaluate(run, settings)
    results.report(run, settings, evaluation, model)
    path = run.file("ranked_lists.png")
    try:
        with atomic_files.replaced(path) as partial:
            evaluation.ranked_lists.save(partial)
    except OSError as error:
        raise UserError(f"{path}: {error}") from error
    print(
        f"\nranked lists  {path}\n"
        f"TensorBoard   tensorboard --logdir={run.logs}\n"
        f"model         {run.file('model.keras')}\n"
        f"Remove {settings.run_dir} to train again."
    )


if __name__ == "__main__":
    command_line.run(main)
