"""A machine with the client alone installs what the product pins."""

import os
import shutil
import subprocess
import sys

from tests.support.places import ROOT


def test_the_clients_requirements_are_those_of_the_product():
    pins = (ROOT / "requirements.txt").read_text().splitlines()
    lines = (ROOT / "serving" / "requirements.txt").read_text().splitlines()
    names = {line.partition("==")[0] for line in lines if not line.startswith("#")}
    assert names == {"faiss-cpu", "filelock", "grpcio", "numpy", "pillow", "protobuf", "tqdm"}
    pinned = {line.split()[0] for line in pins if not line.startswith("#")}
    assert {line for line in lines if not line.startswith("#")} <= pinned


def test_the_folders_that_are_named_there_are_enough(tmp_path):
    shutil.copytree(ROOT / "serving", tmp_path / "serving")
    shutil.copytree(ROOT / "datasets" / "files", tmp_path / "datasets" / "files")
    for name in ("__init__.py", "camera_names.py"):
        shutil.copy(ROOT / "datasets" / name, tmp_path / "datasets")
    program = """
import serving.client.commands, serving.gallery.commands, serving.deploy.tls_config
assert serving.client.__file__.startswith({!r})
"""
    line = [sys.executable, "-c", program.format(str(tmp_path))]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
