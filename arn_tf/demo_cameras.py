"""Your own cameras, on drawn pictures: `python -m arn_tf.demo_cameras`, or `make demo-cameras`.

Draws what eight cameras would give, as folders that have the cameras' names, and then gives the
commands that a user gives: look at the pictures, train without a label, score on a few that
somebody labelled, export, serve, fill a gallery, search it. Each command is printed before it
runs. The backbone has random weights, as nothing is downloaded: what comes out shows the path, not
its worth.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from arn_tf.errors import UserError
from arn_tf.run import command_line

FOLDER = os.path.join("runs", "demo_cameras")
CAMERAS = ("gate", "lobby", "lift", "stairs", "corridor", "canteen", "garage", "yard")
# Few steps: the whole path in about three minutes on two cores.
TRAINING = (
    "--backbone=MobileNetV2",
    "--backbone_weights=random",
    "--input_size=64x32",
    "--epochs=2",
    "--self_training_rounds=1",
    "--self_training_steps=12",
)
_NETWORK = "duke"


def main() -> None:
    """Draws the pictures and gives the commands, one after the other.

    Raises:
        UserError: one of them failed, or the folder can't be written.
    """
    crops, query, gallery = (os.path.join(FOLDER, name) for name in ("crops", "query", "gallery"))
    run, model = os.path.join(FOLDER, "run"), os.path.join(FOLDER, "model")
    report = os.path.join(FOLDER, "report.html")
    shelf, page = os.path.join(FOLDER, "gallery.searched"), os.path.join(FOLDER, "result.html")
    print("Draws pictures, trains, serves and searches: about 3 minutes on 2 cores.", flush=True)
    for split, folder in (("train", crops), ("query", query), ("gallery", gallery)):
        _draw(split, folder)
    _give("arn_tf.inspect", crops)
    _give(
        "arn_tf.train",
        "--preset=strong",
        "--source=toy_market",
        f"--target={crops}",
        f"--model_dir={run}",
        "--data_dir=data",
        *TRAINING,
    )
    _give(
        "arn_tf.evaluate",
        f"--model_dir={run}",
        f"--query={query}",
        f"--gallery={gallery}",
        "--names={person_id}_{camera}_{*}",
        f"--report={report}",
    )
    _give("arn_tf.export", f"--model_dir={run}", f"--export_dir={model}")
    first = os.path.join(query, sorted(os.listdir(query))[0])
    with _served(model) as address:
        server = [f"--server={address}", "--model=model"]
        if not os.path.exists(shelf):
            _give("serving.gallery", "build", *server, f"--gallery={shelf}", crops)
        names = "--names={person_id}_{camera}_{*}"
        search = ["search", *server, f"--gallery={shelf}", names, f"--html={page}", first]
        _give("serving.gallery", *search)
    print(
        f"\nevaluation    {report}\nsearch        {page}\n"
        "The scores mean nothing: a network with random weights learnt for seconds.\n"
        f"Remove {FOLDER} to begin anew."
    )


def _draw(split: str, folder: str) -> None:
    """Writes the pictures of a split of the toy network: by cameras, or with persons' names."""
    if os.path.isdir(folder):
        return
    from datasets.toy_reid import camera, roster

    partial = folder + ".partial"
    for number, seen in enumerate(roster.sightings(_NETWORK, split)):
        place = CAMERAS[seen.camera - 1]
        name = f"{seen.person_id:04d}_{place}_{number:04d}.jpg"
        # Nobody has labelled what is trained on.
        path = os.path.join(place, f"{number:04d}.jpg") if split == "train" else name
        path = os.path.join(partial, path)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(camera.take(_NETWORK, seen.number, seen.camera, seen.shot, seen.crop))
        except OSError as error:
            raise UserError(f"{path}: {error}") from error
    os.rename(partial, folder)


def _give(module: str, *arguments: str) -> None:
    """Prints a command and runs it."""
    shown = " ".join(f"'{each}'" if "{" in each else each for each in arguments)
    print(f"\n$ python -m {module} {shown}", flush=True)
    status = subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode
    if status:
        raise UserError(f"python -m {module} ended with status {status}; see above")


@contextlib.contextmanager
def _served(model: str) -> Iterator[str]:
    """Runs the development server; yields its address."""
    command = ["serving.server", f"--model_dir={model}", "--port=0"]
    print(f"\n$ python -m {' '.join(command)} &", flush=True)
    server = subprocess.Popen(
        [sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    try:
        assert server.stdout is not None
        for line in server.stdout:
            print(line, end="", flush=True)
            if line.startswith("serving "):
                break
        else:
            raise UserError("python -m serving.server did not start; see above")
        yield "localhost:" + line.split()[-1].rpartition(":")[2]
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    command_line.run(main)
