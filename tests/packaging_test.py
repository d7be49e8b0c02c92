"""What `pip install .` installs: all of arn_tf, datasets and serving, and nothing else."""

import fnmatch
import pathlib
import re
import subprocess
import tomllib

import pytest

from tests.support.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS = ("arn_tf", "datasets", "serving")


def is_found(package: str) -> bool:
    """Whether setuptools' `find_packages` takes it: each pattern is of `fnmatch`."""
    patterns = SETUPTOOLS["packages"]["find"]["include"]
    return any(fnmatch.fnmatchcase(package, pattern) for pattern in patterns)


def is_data(file: pathlib.Path, kind: str = "package-data") -> bool:
    """Whether a pattern of some package above it is like a file, given relative to ROOT."""
    for package, patterns in SETUPTOOLS[kind].items():
        folder = pathlib.Path(*package.split("."))
        if any(ROOT / file in (ROOT / folder).glob(pattern) for pattern in patterns):
            return True
    return False


def test_every_package_of_the_product_is_installed_and_no_other():
    sources = [path.relative_to(ROOT) for path in ROOT.glob("[a-z]*/**/*.py")]
    packages = {".".join(path.parent.parts) for path in sources if path.parts[0] in FOLDERS}
    assert len(packages) > 15
    for package in packages:
        assert is_found(package), package
        # Without one a folder is no package to find.
        assert ROOT.joinpath(*package.split("."), "__init__.py").exists(), package
    for folder in ("tests", "tests.serving", "studies", "benchmarks", "docs", "arn_tf_more"):
        assert not is_found(folder), folder


def test_every_file_beside_the_sources_is_installed():
    if not (ROOT / ".git").exists():
        pytest.skip("only a clone knows which files are its own")
    line = ["git", "ls-files", "-z", *FOLDERS]
    listed = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [pathlib.Path(name) for name in listed.split("\0") if name]
    data = [file for file in files if file.suffix != ".py" and (ROOT / file).exists()]
    assert len(data) > 20
    lacking = [str(file) for file in data if not is_data(file)]
    assert not lacking
    assert not [str(file) for file in data if is_data(file, "exclude-package-data")]


def test_no_key_is_installed():
    """`serving/deploy/config/ssl.config`, which git ignores, holds one where TLS is set up."""
    patterns = SETUPTOOLS["exclude-package-data"]["serving.deploy"]
    assert "config/ssl.config" in patterns
    assert "ssl.config" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_project_agrees_with_its_other_files():
    project = PROJECT["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## (\d+\.\d+\.\d+) - ", changelog, re.MULTILINE)[1] == project["version"]
    assert f"license: {project['license']}\n" in (ROOT / "CITATION.cff").read_text()
    limits = re.findall(r"\(3, (\d+)\)", (ROOT / "Makefile").read_text())
    assert project["requires-python"] == ">=3.{},<3.{}".format(*limits)
    assert project["dynamic"] == ["dependencies"]
    assert SETUPTOOLS["dynamic"]["dependencies"] == {"file": ["requirements.txt"]}
    lock = (ROOT / "requirements-lock.txt").read_text().splitlines()
    assert set(PROJECT["build-system"]["requires"]) <= set(lock)
