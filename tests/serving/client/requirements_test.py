"""A machine with the client alone installs what the product pins, and needs no more."""

import importlib.metadata
import shutil
import subprocess
import sys

import pytest

from tests.support.places import ROOT

# Everything that a command of the client and of the gallery imports, and from where.
IMPORTED = """
import sys
from serving.client import async_client, commands
from serving.gallery import commands
import serving
print(serving.__file__)
print(" ".join({name.partition(".")[0] for name in sys.modules}))
"""


def pins(file):
    """The pins of a requirements file."""
    lines = (ROOT / file).read_text().splitlines()
    return {line.split()[0] for line in lines if not line.startswith("#")}


def names(found):
    """The distributions of pins."""
    return {pin.partition("==")[0].partition("[")[0] for pin in found}


def test_the_clients_requirements_are_those_of_the_product():
    ours = pins("serving/requirements.txt")
    assert names(ours) == {
        "faiss-cpu",
        "filelock",
        "grpcio",
        "numpy",
        "pillow",
        "protobuf",
        "tqdm",
    }
    assert ours <= pins("requirements.txt")


def copy(folder, *of_datasets):
    """Copies what the client needs, and folders of datasets."""
    shutil.copytree(ROOT / "serving", folder / "serving")
    (folder / "datasets").mkdir()
    for name in ("__init__.py", "camera_names.py"):
        shutil.copy(ROOT / "datasets" / name, folder / "datasets" / name)
    for name in ("files", "own_cameras", *of_datasets):
        shutil.copytree(ROOT / "datasets" / name, folder / "datasets" / name)


@pytest.mark.parametrize(
    "folders, said",
    [
        ([], "reading shards needs the folder datasets/embedding_shards/; copy it, too"),
        (["embedding_shards"], "none: no job.json there"),
    ],
)
def test_fill_needs_one_folder_more_and_says_so(tmp_path, folders, said):
    copy(tmp_path, *folders)
    flags = ["fill", "--gallery=gal", "--shards=none"]
    line = [sys.executable, "-m", "serving.gallery", *flags]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert said in done.stderr and ("copy it" in done.stderr) == (not folders)
    for file in ("serving/requirements.txt", "docs/serving.md"):
        assert "embedding_shards/" in (ROOT / file).read_text()


def test_the_folders_that_the_requirements_name_are_enough(tmp_path):
    copy(tmp_path)
    line = [sys.executable, "-c", IMPORTED]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=True)
    where, modules = done.stdout.splitlines()
    assert where.startswith(str(tmp_path))
    assert "PIL" in modules.split()
    lacking = names(pins("requirements.txt") - pins("serving/requirements.txt"))
    installed = importlib.metadata.packages_distributions()
    # Several share the folder `google`.
    provided = {module: set(installed.get(module, ["Python"])) for module in modules.split()}
    provided.pop("grpc_health", None)  # grpc itself imports it, where it is installed.
    assert not [module for module, providers in provided.items() if providers <= lacking]
