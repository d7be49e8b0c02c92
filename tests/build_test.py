"""Tests that BUILD and the requirements files say what the code says; without Bazel."""

import ast
import collections
import functools
import importlib.metadata
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = ("arn_tf", "datasets", "benchmarks", "serving", "tests")
# Runs by hand in an environment of its own, with an older TensorFlow; see the README there.
ELSEWHERE = "tests/oracle/"
# Needed, yet imported by nothing here; requirements.txt and requirements-dev.txt say what for.
NOT_IMPORTED = {"check-jsonschema", "dill", "importlib_resources", "promql-parser", "ruff"}
MODULE = re.compile(r"(arn_tf|datasets|serving)(\.\w+)+")


def executed(text, glob):
    """The targets of a BUILD file, {name: the attributes of the rule, and `rule`}."""
    targets = {}

    def rule(kind):
        def declare(name, srcs=(), deps=(), data=(), **attributes):
            assert name not in targets, f"two targets are named {name}"
            targets[name] = {"srcs": srcs, "deps": deps, "data": data, "rule": kind, **attributes}

        return declare

    loaded = {}

    def load(label, *names):
        loaded.update(dict.fromkeys(names, label))

    rules = {kind: rule(kind) for kind in ("py_library", "py_binary", "py_test")}
    exec(compile(text, "BUILD", "exec"), {"load": load, "glob": glob, **rules})
    used = {target["rule"] for target in targets.values()}
    assert loaded == {kind: f"@rules_python//python:{kind}.bzl" for kind in used}
    return targets


def glob(patterns, exclude=()):
    return sorted(
        path.relative_to(ROOT).as_posix()
        for pattern in patterns
        for path in ROOT.glob(pattern)
        if path.is_file() and not any(path.match(unwanted) for unwanted in exclude)
    )


def files_of(module):
    """Files that an import of a first-party module reads, the `__init__.py` of its parents too.

    Not arn_tf/__init__.py for a module of arn_tf: it imports the layers, so that no layer can
    depend on its target. Where that file isn't among the sources, arn_tf is a namespace package.
    """
    parts = module.split(".")
    files = ["/".join([*parts[:i], "__init__.py"]) for i in range(1, len(parts) + 1)]
    if module.startswith("arn_tf."):
        files.remove("arn_tf/__init__.py")
    return {file for file in ["/".join(parts) + ".py", *files] if (ROOT / file).is_file()}


def imports(path):
    """(first-party files, third-party modules) that a source imports, at its top or later."""
    modules = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: no relative imports here"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                path_of = ROOT / whole.replace(".", "/")
                is_module = path_of.with_suffix(".py").is_file() or path_of.is_dir()
                modules.add(whole if is_module else node.module)
        elif isinstance(node, ast.Constant) and MODULE.fullmatch(str(node.value)):
            modules.add(node.value)  # What importlib or `python -m` will be given.
    if path.startswith("tests/"):  # pytest and Bazel put this folder on the path.
        helpers = {m for m in modules if (ROOT / "tests" / f"{m}.py").is_file()}
        modules = modules - helpers | {f"tests.{module}" for module in helpers}
    ours = {module for module in modules if module.split(".")[0] in FOLDERS}
    theirs = {m for m in modules - ours if m.split(".")[0] not in sys.stdlib_module_names}
    return set().union(*map(files_of, ours)), theirs


@functools.cache
def distribution(module):
    """The name on the package index of what a third-party module belongs to."""
    if module.startswith("google."):
        # Many distributions share that name; the code takes protobuf from it.
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


@pytest.fixture(scope="module")
def targets():
    return executed((ROOT / "BUILD").read_text(), glob)


@pytest.fixture(scope="module")
def sources():
    found = [
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in ROOT.glob(f"{folder}/**/*.py")
    ]
    return sorted(path for path in found if not path.startswith(ELSEWHERE))


def test_every_source_is_in_a_target(targets, sources):
    assert len(sources) > 30
    built = {source for target in targets.values() for source in target["srcs"]}
    assert set(sources) == built


def test_every_library_source_is_in_one_library(targets):
    counts = collections.Counter(
        source
        for target in targets.values()
        if target["rule"] == "py_library"
        for source in target["srcs"]
    )
    assert not [source for source, count in counts.items() if count > 1]


def test_every_test_file_has_a_test_and_every_command_a_binary(targets, sources):
    mains = {"py_test": set(), "py_binary": set()}
    for name, target in targets.items():
        if target["rule"] in mains:
            (source,) = target["srcs"]  # So that `main` can be no other.
            assert target.get("main", source) == source
            assert "main" in target or source.endswith(f"/{name}.py")
            mains[target["rule"]].add(source)
    scripts = {source for source in sources if "\nif __name__ ==" in (ROOT / source).read_text()}
    tests = {source for source in sources if source.endswith("_test.py")}
    assert mains["py_test"] == tests
    assert mains["py_binary"] == {source for source in scripts if not source.startswith("tests/")}
    assert tests <= scripts  # Under Bazel a test file runs as a program.


def test_what_targets_name_exists(targets):
    for name, target in targets.items():
        for path in [*target["srcs"], *target["data"]]:
            assert (ROOT / path).is_file(), f"{name}: there is no {path}"
        for label in target["deps"]:
            assert label.startswith("@pypi//") or label[1:] in targets, f"{name}: no {label}"


def test_dependencies_cover_the_imports(targets):
    missing = {}
    for name, target in targets.items():
        deps = set(target["deps"])
        if target["rule"] == "py_binary":  # Its library says what the same source needs.
            for label in [dep for dep in deps if dep[0] == ":"]:
                if set(target["srcs"]) <= set(targets[label[1:]]["srcs"]):
                    deps |= set(targets[label[1:]]["deps"])
        ours = {dep[1:] for dep in deps if dep[0] == ":"}
        theirs = {canonical(dep.removeprefix("@pypi//")) for dep in deps if dep[0] == "@"}
        given = {source for label in ours for source in targets[label]["srcs"]}
        for source in target["srcs"]:
            files, modules = imports(source)
            lacking = files - given - set(target["srcs"])
            lacking |= {distribution(module) for module in modules} - theirs
            if lacking:
                missing.setdefault(name, set()).update(lacking)
    assert not missing


def test_libraries_form_layers(targets):
    done, left = set(), dict(targets)
    while left:
        ready = {
            name
            for name, target in left.items()
            if {d[1:] for d in target["deps"] if d[0] == ":"} <= done
        }
        assert ready, f"a cycle among {sorted(left)}"
        done |= ready
        left = {name: target for name, target in left.items() if name not in ready}


def test_requirements_are_what_the_code_imports(sources):
    run, dev = pinned("requirements.txt"), pinned("requirements-dev.txt")
    used = {source: {distribution(module) for module in imports(source)[1]} for source in sources}
    running = set().union(
        *(used[s] for s in used if s.split("/")[0] not in ("benchmarks", "tests"))
    )
    assert running <= set(run)
    assert set().union(*used.values()) <= set(run) | set(dev)
    excused = {canonical(name) for name in NOT_IMPORTED}
    assert set(run) - running <= excused
    assert set(dev) - set().union(*used.values()) <= excused


def test_bazel_knows_the_pinned_packages(targets):
    lock = pinned("requirements-lock.txt")
    assert (pinned("requirements.txt") | pinned("requirements-dev.txt")).items() <= lock.items()
    labels = {d for target in targets.values() for d in target["deps"] if d.startswith("@pypi//")}
    assert {canonical(label.removeprefix("@pypi//")) for label in labels} <= set(lock)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
