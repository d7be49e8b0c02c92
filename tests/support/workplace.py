"""A folder where a reader types the command lines of the documentation, one after the other."""

import pathlib
import shutil
import sys

from tests.support import small_data, small_strong
from tests.support.places import ROOT
from tests.support.program import Program

SERVER = "localhost:8500"
# How lines begin that aren't run, and why.
NOT_RUN = {
    "make": "CI runs them",
    ".venv/bin/python -m pytest": "CI runs it",
    "pip install": "needs a package index",
    "docker": "needs Docker",
    "kubectl": "needs a cluster",
    "cp": "is for the volume of a server",
    "tensorboard": "serves until it is stopped",
    "saved_model_cli": "tests/served/publish_test.py compares what it prints",
    "python -m arn_tf.ablate": "trains for hours, on real archives",
    "python -m arn_tf.embed --images=/mnt/crops": "needs a cluster",
    "python -m arn_tf.evaluate --model_dir=runs/joint": "scores a run of a study",
    "python -m arn_tf.inspect crops --names": "shows pictures with faults put in",
    "python -m arn_tf.train --preset=strong --source=market --target=duke --backbone=OSNetAIN": (
        "needs a file of public weights"
    ),
    "python -m arn_tf.train --preset=strong --source=market,persons/,site.csv": (
        "tests/strong/several_sources_test.py trains such a run"
    ),
    "python -m arn_tf.train --preset=strong --source=none --target=crops/ --backbone=OSNetAIN": (
        "needs a file of public weights"
    ),
    "python -m arn_tf.train --preset=strong --source=none --self_training_rounds=0": (
        "needs a file of public weights"
    ),
    "python -m arn_tf.weights": "tests/commands/weights_test.py has such a file",
    "python -m benchmarks.": "take minutes",
    f"python -m serving.gallery build --server={SERVER} --gallery=gal/ --names={{camera}}/{{": (
        "tests/serving/gallery/tracklets_test.py has tracklets"
    ),
    "python -m serving.gallery search --server=localhost:8500 --gallery=gal/ --by=tracklet": (
        "tests/serving/gallery/tracklets_test.py has tracklets"
    ),
    f"python -m serving.gallery add --server={SERVER} --gallery=gal/ site.csv": (
        "tests/serving/gallery/times_test.py has such a table"
    ),
    f"python -m serving.gallery search --server={SERVER} --gallery=gal/ --after": (
        "tests/serving/gallery/times_test.py has times"
    ),
    "python -m serving.gallery fill --gallery=http": "needs a Milvus",
    "python -m serving.gallery move": "needs a Milvus",
    f"python -m serving.gallery search --server={SERVER} --gallery=http": "needs a Milvus",
    "python -m serving.server --model_dir=models/arn_openvino": (
        "tests/serving/server/openvino_model_test.py starts such a server"
    ),
    "python -m studies.": "make runs on real archives, or read them",
    "python -m serving.client status --server=arn-serving": "needs a cluster",
    "python -m serving.client status --server=my-host": "needs a host with TLS",
    "python -m serving.deploy.tls_config": "tests/serving/deploy/tls_config_test.py has the keys",
}


def reason_not_to_run(line: list[str]) -> str | None:
    """Why a line isn't run, or None if it can be."""
    text = " ".join(line)
    return next((reason for start, reason in NOT_RUN.items() if text.startswith(start)), None)


class Workplace:
    """Runs lines in a folder with pictures such as a reader has.

    query.jpg; crops/ in folders of two cameras; query/ and gallery/ of persons with names;
    new_crops/ of camera 9.

    And labelled/ with query, gallery and pairs.csv of persons that somebody knows.

    Args:
        folder: an empty one.

    Attributes:
        folder: the same.
        address: "host:port" of the server, once a line has started it.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.address = SERVER
        self._server: Program | None = None
        for name in ("crops/entrance", "crops/lift", "query", "gallery", "new_crops"):
            (folder / name).mkdir(parents=True)
        query = small_data.picture(1, 1, 0)
        (folder / "query.jpg").write_bytes(query)
        for number, place in enumerate(("entrance", "lift"), 1):
            for shot in range(24):
                # The first is the query's, so that its similarity is known.
                crop = small_data.picture(31 + shot % 6, number, shot) if shot else query
                (folder / "crops" / place / f"{shot + 1}.jpg").write_bytes(crop)
            for person in ("amy", "bob"):
                split = "query" if number == 1 else "gallery"
                crop = small_data.picture(ord(person[0]), number, 1)
                (folder / split / f"{person}_{place}_1.jpg").write_bytes(crop)
        for shot in range(64):
            crop = small_data.picture(101 + shot % 4, 3, shot)
            (folder / "new_crops" / f"{shot:04d}_c9.jpg").write_bytes(crop)
        self._label()
        shutil.copytree(ROOT / "serving" / "deploy", folder / "serving" / "deploy")

    def _label(self) -> None:
        labelled = self.folder / "labelled"
        for folder, cameras in (("query", (1,)), ("gallery", (2, 3))):
            (labelled / folder).mkdir(parents=True)
            for person in (1, 2, 3):
                for camera in cameras:
                    data = small_data.picture(person, camera, 0)
                    (labelled / folder / f"{person:04d}_gate{camera}_0.jpg").write_bytes(data)
        lines = ["a,b,same"]
        for person, other in ((1, 1), (1, 2), (2, 2), (2, 3), (3, 1)):
            a, b = f"query/{person:04d}_gate1_0.jpg", f"gallery/{other:04d}_gate2_0.jpg"
            lines.append(f"{a},{b},{int(person == other)}")
        (labelled / "pairs.csv").write_text("\n".join(lines))

    def run(self, line: list[str]) -> None:
        """Runs a `python -m` line to its end, or starts the server; fails with what it prints."""
        module, *words = line[2:]
        # Only a process that trains or loads a run must know the tiny network.
        start = [sys.executable, "-u", "-m", module]
        if module.startswith("arn_tf."):
            start = small_data.command(module)
        program = Program([*start, *self._here(module, words)], cwd=self.folder)
        if module == "serving.server":
            self._server = program
            self.address = program.line(r"serving .* on (\S+)")[1]
            return
        out, err = program.communicate(timeout=300)
        assert program.returncode == 0, f"{' '.join(line)}\n{(out + err)[-4000:]}"

    def close(self) -> None:
        """Ends the server."""
        if self._server:
            self._server.kill()
            self._server.wait()

    def _here(self, module: str, words: list[str]) -> list[str]:
        """A line's words with the server's address, and what makes training tiny.

        Of equal flags the last counts.
        """
        words = [word.replace(SERVER, self.address) for word in words]
        tiny = {}
        if module == "serving.server":
            tiny = {"port": 0}
        elif module == "arn_tf.train" and "--preset=strong" in words:
            tiny = small_strong.TINY | small_strong.inputs()
        elif module == "arn_tf.train":
            tiny = small_data.TINY | small_data.SHORT | small_data.inputs()
        # What the line itself names.
        given = {word.partition("=")[0].lstrip("-") for word in words}
        tiny = {name: value for name, value in tiny.items() if name not in given - {"port"}}
        return words + [f"--{name}={value}" for name, value in tiny.items()]
