"""Another package named `datasets`, such as Hugging Face's, is named in the error."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.support.places import ROOT

# The check alone, without arn_tf/__init__.py, which is about networks.
CODE = """
import sys, types

package = types.ModuleType("arn_tf")
package.__path__ = [sys.argv[1] + "/arn_tf"]
sys.modules["arn_tf"] = package
from arn_tf.errors import UserError

try:
    import arn_tf.data
except UserError as error:
    sys.exit(str(error))
import datasets.layout
"""


def check(folder: pathlib.Path, *path: pathlib.Path) -> tuple[int, str]:
    """Runs the check in a folder, with others on PYTHONPATH; returns exit status and stderr."""
    found = subprocess.run(
        [sys.executable, "-c", CODE, str(ROOT)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
    )
    return found.returncode, found.stderr


@pytest.fixture
def foreign(tmp_path: pathlib.Path) -> pathlib.Path:
    """Returns a folder with a package that must not be imported."""
    package = tmp_path / "packages" / "datasets"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('pyarrow is missing')\n")
    return tmp_path / "packages"


def test_another_package_that_comes_first_is_named(tmp_path, foreign):
    status, error = check(tmp_path, foreign, ROOT)
    assert status == 1
    assert error.startswith(f"{foreign}/datasets/__init__.py: another package is named `datasets`")
    assert "Run the command in the checkout of arn_tf" in error
    assert "`pip install -e .` in an environment without the other" in error


def test_a_namespace_package_is_named_by_its_folder(tmp_path):
    (tmp_path / "datasets").mkdir()
    status, error = check(tmp_path, tmp_path)
    assert status == 1
    assert error.startswith(f"{tmp_path}/datasets: another package")


def test_no_package_of_that_name(tmp_path):
    status, error = check(tmp_path)
    assert status == 1
    assert error.startswith("arn_tf's package `datasets` is not on the path. Run the command in")


def test_the_checkout_comes_before_other_packages(tmp_path, foreign):
    assert check(ROOT, foreign) == (0, "")
    assert check(tmp_path, ROOT, foreign) == (0, "")
