"""Trains a run: `python -m arn_tf.train --source=market --target=duke --model_dir=runs/m2d`.

--preset=paper is ARN as published, --preset=strong the strong recipe. Whatever happens, the same
command goes on from the newest checkpoint.
"""

from absl import flags

from arn_tf import recipes
from arn_tf.run import command_line


def main() -> None:
    """Trains the run that the flags describe."""
    settings = recipes.from_flags()
    command_line.start_tensorflow(settings.replicas)
    run = recipes.recipe_of(settings).train(settings)
    print(f"done: {run.path}. Score it with\n  python -m arn_tf.evaluate --model_dir={run.path}")


if __name__ == "__main__":
    recipes.define_flags()
    flags.adopt_module_key_flags(recipes)
    command_line.run(main)
