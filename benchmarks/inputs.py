"""What `python -m benchmarks` measures on: pictures, and a model with random weights, exported.

Made anew by each call that needs them, from the code as it is. How fast a network is doesn't depend
on its weights; which pictures they are matters little.
"""

import argparse
import importlib.util
import os
import shutil

from benchmarks import flags, running

FOLDER = os.path.join("runs", "bench", "inputs")
PICTURES = os.path.join(FOLDER, "pictures")
SAVED_MODEL = os.path.join(FOLDER, "models", "arn")
OPENVINO = os.path.join(FOLDER, "models", "arn_openvino")
COUNT = 256
_CAMERAS, _NETWORK = 8, "duke"
_RUN = os.path.join(FOLDER, "run")


def write_pictures(given: str | None) -> None:
    """Writes `COUNT` pictures, in folders of cameras, into a folder that is emptied first.

    Args:
        given: a folder to take them from, or nothing: they are drawn.

    Raises:
        SystemExit: it has too few, or the folder can't be written.
    """
    # Not at the top: `python -m benchmarks` reads the names above, and its memory would count as
    # that of the processes that it starts.
    from benchmarks import picture_folder

    pictures = picture_folder.read(given, COUNT) if given else _drawn()
    if len(pictures) < COUNT:
        raise SystemExit(f"--pictures={given}: fewer than {COUNT} pictures")
    try:
        if os.path.exists(FOLDER):
            shutil.rmtree(FOLDER)
        for number, picture in enumerate(pictures):
            place = os.path.join(PICTURES, f"camera{number % _CAMERAS + 1}")
            os.makedirs(place, exist_ok=True)
            with open(os.path.join(place, f"{number:04d}.jpg"), "wb") as file:
                file.write(picture)
    except OSError as error:
        raise SystemExit(f"{FOLDER}: {error}") from error


def commands(pictures: str | None) -> list[list[str]]:
    """Returns what makes all of it: `python -m` and these words, in turn.

    Args:
        pictures: as `write_pictures` takes it.
    """
    write = ["benchmarks.inputs", *([f"--pictures={pictures}"] if pictures else [])]
    train = [
        *("arn_tf.train", "--preset=strong", "--source=none", "--self_training_rounds=0"),
        *(f"--target={PICTURES}", f"--model_dir={_RUN}"),
        *("--backbone=MobileNetV2", "--backbone_weights=random"),
    ]
    exports = [["--format=saved_model", f"--export_dir={SAVED_MODEL}"]]
    if importlib.util.find_spec("openvino"):
        exports.append(["--format=openvino", f"--export_dir={OPENVINO}"])
    return [write, train, *(["arn_tf.export", f"--model_dir={_RUN}", *flags] for flags in exports)]


def _drawn() -> list[bytes]:
    from datasets.toy_reid import camera, roster

    seen = list(roster.sightings(_NETWORK, "train"))[:COUNT]
    return [camera.take(_NETWORK, each.number, each.camera, each.shot, each.crop) for each in seen]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Writes the pictures of `python -m benchmarks`.")
    parser.add_argument("--pictures", type=flags.folder, help="folder of real ones")
    given = parser.parse_args()
    running.run(lambda: write_pictures(given.pictures))
