"""Calibrates a model of the strong recipe on new cameras: unlabelled pictures, no training.

    python -m arn_tf.calibrate --model_dir=runs/strong --images=crops/ --camera_pattern='_c(\\d+)'

A camera that the model knows is refreshed, another is added; `--drop_cameras=3,7` removes some.
Nothing else in the model changes.
"""

import os

from absl import flags

from arn_tf.run import command_line


def main() -> None:
    command_line.start_tensorflow()
    from arn_tf.run.folder import RunDir
    from arn_tf.strong.calibrate import calibrate

    arguments = flags.FLAGS
    run = RunDir(os.path.expanduser(arguments.model_dir))
    model, outcomes = calibrate(
        run, arguments.images, arguments.camera_pattern, arguments.drop_cameras
    )
    for camera, outcome in outcomes.items():
        print(f"camera {camera}: {outcome}")
    print(f"cameras with statistics of their own: {', '.join(map(str, model.cameras)) or 'none'}")


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", "", "folder of a run of arn_tf.train --preset=strong")
    flags.DEFINE_string("images", "", "folder of unlabelled pictures of the cameras")
    flags.DEFINE_string("camera_pattern", r"_c(\d+)", "finds the camera's number in a file's name")
    flags.DEFINE_list("drop_cameras", [], "numbers of cameras to forget, separated by commas")
    command_line.run(main)
