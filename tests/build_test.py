"""Tests that BUILD and the requirements files say what the folders and imports say; without Bazel.

The layers are import-linter's: `make lint`.
"""

import ast
import functools
import importlib.metadata
import re
import sys

import pytest

from tests.support.places import ROOT

FOLDERS = ("arn_tf", "benchmarks", "datasets", "serving", "studies", "tests")
# Run in environments of their own: one with an older TensorFlow, see the README there, and the
# Python with PyTorch that `benchmarks.beside_torch` is given.
ELSEWHERE = {"tests/oracle/record_tfa.py", "benchmarks/torch_steps.py"}
# Of requirements-openvino.txt, imported where it is asked for; tests and benchmarks need it, too.
OPENVINO = {"openvino"}
# Of requirements-milvus.txt, likewise; milvus-lite is imported by pymilvus.
MILVUS = {"milvus-lite", "pymilvus"}
# For who wants it; imported where it is asked for.
OPTIONAL = {
    "requirements-int8.txt": {"nncf"},
    "requirements-milvus.txt": MILVUS,
    "requirements-ray.txt": {"ray"},
}
# Needed, yet imported by nothing here; requirements.txt and requirements-dev.txt say what for.
NOT_IMPORTED = {
    "check-jsonschema",
    "dill",
    "import-linter",
    "importlib-resources",
    "mypy",
    "promql-parser",
    "ruff",
    "types-grpcio",
    "types-tqdm",
}


def glob(patterns, exclude=(), allow_empty=False):
    """Bazel's: the files, relative to the checkout."""

    # Of pathlib's patterns, `**` at the end is folders alone.
    found = {p for each in patterns for p in ROOT.glob(re.sub(r"\*\*$", "**/*", each))}
    names = (path.relative_to(ROOT) for path in found if path.is_file())
    files = [p.as_posix() for p in names if not any(p.match(unwanted) for unwanted in exclude)]
    assert files or allow_empty, f"no file is like {patterns}"
    return sorted(files)


@pytest.fixture(scope="module")
def targets():
    """Those of BUILD: {name: the attributes of the rule, and `rule`}."""
    found = {}

    def rule(kind):
        def declare(name, srcs=(), deps=(), data=(), main=None, **_):
            assert name not in found, f"two targets are named {name}"
            found[name] = {"rule": kind, "srcs": srcs, "deps": deps, "data": data, "main": main}

        return declare

    rules = {kind: rule(kind) for kind in ("py_library", "py_binary", "py_test")}
    code = compile((ROOT / "BUILD").read_text(), "BUILD", "exec")
    exec(code, {"load": lambda *_: None, "glob": glob, **rules})
    return found


@pytest.fixture(scope="module")
def sources():
    return glob([f"{folder}/**/*.py" for folder in FOLDERS], ELSEWHERE)


def sources_of(targets, rule):
    return [source for t in targets.values() if t["rule"] == rule for source in t["srcs"]]


def below(targets, name):
    """The names of a target and of everything that it depends on."""
    ours = (label[1:] for label in targets[name]["deps"] if label[0] == ":")
    return {name}.union(*(below(targets, other) for other in ours))


@functools.cache
def imports(source):
    """(first-party files, third-party distributions) that a file imports, at its top or later."""
    modules = set()
    for node in ast.walk(ast.parse((ROOT / source).read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{source}: no relative imports here"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            modules |= {node.module} | {name for name in names if file_of(name)}
    ours = {module for module in modules if module.split(".")[0] in FOLDERS}
    known = set(sys.stdlib_module_names).union(*OPTIONAL.values())
    theirs = {m for m in modules - ours if m.split(".")[0] not in known}
    return {file_of(module) for module in ours} - {None}, set(map(distribution, theirs))


def file_of(module):
    path = module.replace(".", "/")
    return next((f for f in (f"{path}.py", f"{path}/__init__.py") if (ROOT / f).is_file()), None)


def distribution(module):
    """The name on the package index of what a third-party module belongs to."""
    # Many distributions share the name `google`; the code takes protobuf from it.
    if module.startswith("google."):
        return "protobuf"
    found = installed().get(module.split(".")[0])
    assert found, f"nothing installed provides {module}"
    return canonical(found[0])


@functools.cache
def installed():
    return importlib.metadata.packages_distributions()


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(file):
    """{canonical name: version} of the lines of a requirements file, all of them exact pins."""
    pins = {}
    for line in (ROOT / file).read_text().splitlines():
        line = line.partition("#")[0].strip()
        if line and not line.startswith("-r "):
            name, version = re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)", line).groups()
            pins[canonical(name)] = version
    return pins


def test_every_source_is_in_one_library_or_has_a_test(targets, sources):
    libraries = sources_of(targets, "py_library")
    assert len(libraries) == len(set(libraries)) > 100
    tests = {source for source in sources if source.endswith("_test.py")}
    assert set(sources) == set(libraries) | tests
    assert tests <= set(sources_of(targets, "py_test"))


def test_every_command_has_a_binary(targets, sources):
    commands = {s for s in sources if "\nif __name__ ==" in (ROOT / s).read_text()}
    commands = {source for source in commands if not source.startswith("tests/")}
    assert commands == set(sources_of(targets, "py_binary"))
    assert all(t["main"] in t["srcs"] for t in targets.values() if t["rule"] != "py_library")


def test_every_file_that_is_no_source_is_some_targets_data(targets):
    files = glob([f"{folder}/**" for folder in FOLDERS], ["**/*.py", "**/*.pyc"])
    listed = {file for name in targets if name != "checkout" for file in targets[name]["data"]}
    by_hand = {"serving/README.md", "serving/requirements.txt"}
    assert set(files) - listed <= by_hand


def test_dependencies_cover_the_imports(targets):
    missing = {}
    for name, target in targets.items():
        reached = [targets[other] for other in below(targets, name)]
        files = {source for other in reached for source in other["srcs"]}
        theirs = {label for other in reached for label in other["deps"] if label[0] == "@"}
        theirs = {canonical(label.removeprefix("@pypi//")) for label in theirs}
        for source in target["srcs"]:
            ours, distributions = imports(source)
            if lacking := ours - files | distributions - theirs:
                missing.setdefault(name, set()).update(lacking)
    assert not missing


def test_requirements_are_what_the_code_imports(sources):
    run, dev = set(pinned("requirements.txt")), set(pinned("requirements-dev.txt"))
    product = ("arn_tf/", "datasets/", "serving/")
    running = set().union(*(imports(s)[1] for s in sources if s.startswith(product)))
    measuring = set().union(*(imports(s)[1] for s in sources if not s.startswith(product)))
    assert running - run <= OPENVINO
    assert measuring <= run | dev
    assert run - running <= NOT_IMPORTED
    assert dev - measuring <= NOT_IMPORTED | MILVUS


def test_optional_requirements_are_what_is_optional():
    assert set(pinned("requirements-openvino.txt")) == OPENVINO
    for file in ("requirements-openvino.txt", "requirements-milvus.txt"):
        assert pinned(file).items() <= pinned("requirements-dev.txt").items(), file
    for file, packages in OPTIONAL.items():
        assert set(pinned(file)) == packages


def test_bazel_knows_the_pinned_packages(targets):
    lock = pinned("requirements-lock.txt")
    assert (pinned("requirements.txt") | pinned("requirements-dev.txt")).items() <= lock.items()
    labels = {d for target in targets.values() for d in target["deps"] if d.startswith("@pypi//")}
    assert {canonical(label.removeprefix("@pypi//")) for label in labels} <= set(lock)
