"""README and the site's pages name what there is: files, modules, links, make targets, Pythons."""

import fnmatch
import re

import pytest
import yaml

from tests.support import documentation
from tests.support.places import ROOT

PAGES = documentation.pages()
README = PAGES["README.md"]
MAKEFILE = (ROOT / "Makefile").read_text()
FOLDERS = "arn_tf|datasets|serving|studies|benchmarks|docs|tests"


def test_the_readme_is_one_page():
    assert len(README.splitlines()) <= 160


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page):
    for name in re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", PAGES[page]):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES)
def test_every_module_that_a_page_names_is_there(page):
    for name in re.findall(rf"`((?:{FOLDERS})(?:\.\w+)+)[` ]", PAGES[page]):
        path = ROOT.joinpath(*name.split("."))
        assert path.with_suffix(".py").exists() or path.is_dir(), name


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_there(page):
    for link in re.findall(r"\]\(([^)#:]+)(?:#[\w-]*)?\)", PAGES[page]):
        assert ((ROOT / page).parent / link).exists(), link


def test_every_page_is_in_the_site_and_linked_from_the_readme():
    files = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert files == {page for page in PAGES if page.startswith("docs/")}
    assert files - {"docs/index.md"} <= set(re.findall(r"\]\((docs/[\w-]+\.md)\)", README))


def test_the_readme_lists_the_folders():
    section = README[README.index("## Folders") : README.index("## Documentation")]
    listed = re.findall(r"^\| `(\w+)/` \|", section, re.MULTILINE)
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()]
    there = {
        path.name
        for path in ROOT.glob("[a-z]*/")
        if not any(fnmatch.fnmatch(path.name, pattern) for pattern in ignored)
    }
    assert sorted(listed) == sorted(there)


def test_every_make_target_is_there():
    used = set(re.findall(r"`make ([a-z-]+)", "\n".join(PAGES.values())))
    used |= {line[1] for line in documentation.command_lines() if line[0] == "make"}
    assert used >= {"demo", "test", "docs"}
    for target in used:
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_the_pythons_are_those_that_make_takes():
    minors = sorted({int(minor) for minor in re.findall(r"(?<![\d.])3\.(\d\d)\b", README)})
    assert minors == list(range(minors[0], minors[-1] + 1))
    # From the first that is taken to the one that is too new, if any is.
    limits = sorted({int(minor) for minor in re.findall(r"\(3, (\d+)\)", MAKEFILE)})
    assert limits[0] == minors[0]
    assert limits[1:] in ([], [minors[-1] + 1])


def test_no_page_names_a_note_that_is_not_in_the_repository():
    for name, page in PAGES.items():
        assert "shared/" not in page, name


def test_the_hooks_are_the_linters_of_make_lint():
    recipe = MAKEFILE[MAKEFILE.index("\nlint:") :]
    recipe = recipe[: recipe.index("\n\n")]
    linters = re.findall(r"-m (ruff \w+|mypy)|(lint-imports)", recipe)
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert linters
    for linter in linters:
        assert "".join(linter) in hooks, linter


def test_the_citation_names_the_paper():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["license"] == "Apache-2.0"
    assert cited["preferred-citation"]["title"].startswith("Adaptation and Re-Identification")
    assert cited["preferred-citation"]["url"] == "https://arxiv.org/abs/1804.09347"
    assert "arxiv.org/abs/1804.09347" in README
