"""Calibrates a model of the strong recipe on new cameras: unlabelled pictures, no training.

    python -m arn_tf.calibrate --model_dir=runs/strong --images=crops/ --names='{camera}/{*}'

A camera that the model knows is refreshed, another is added; `--drop_cameras=3,7` removes some.
Nothing else in the model changes.
"""

import os

from absl import flags

from arn_tf import recipes
from arn_tf.run import command_line


def main() -> None:
    """Calibrates the run that the flags name, and prints what became of each camera."""
    command_line.start_tensorflow()
    from arn_tf.run.folder import RunDir
    from arn_tf.strong.calibrate import calibrate

    arguments = flags.FLAGS
    run = RunDir(os.path.expanduser(arguments.model_dir))
    recipes.settings_of(run)  # Says how an earlier version made it.
    model, outcomes = calibrate(
        run,
        arguments.images,
        arguments.camera_pattern,
        arguments.drop_cameras,
        arguments.names,
    )
    for outcome in outcomes.values():
        print(f"camera {outcome.name}: {outcome}")
    known = ", ".join(model.camera_names.values())
    print(f"cameras with statistics of their own: {known or 'none'}")


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", "", "folder of a run of arn_tf.train --preset=strong")
    flags.DEFINE_string(
        "images", "", "folder of unlabelled pictures of the cameras, or a table of them (CSV)"
    )
    flags.DEFINE_string(
        "names",
        "",
        "what the paths in the folder mean, like '{camera}/{*}'; a guess, which is printed, when "
        "empty",
    )
    flags.DEFINE_string(
        "camera_pattern", "", "instead: finds the camera in a file's name, like '_c(\\d+)'"
    )
    flags.DEFINE_list("drop_cameras", [], "names of cameras to forget, separated by commas")
    command_line.run(main)
