"""What --source and --source_names stand for: none, one and several sources."""

import dataclasses
import os
import pathlib

import pytest

from arn_tf.errors import UserError
from arn_tf.paper.settings import Settings
from arn_tf.run import sources
from arn_tf.run.command_line import message
from arn_tf.strong.settings import StrongSettings
from tests.support.user_errors import refused


@pytest.fixture
def folders(tmp_path: pathlib.Path) -> pathlib.Path:
    """Returns a folder of the folders `one`, `two` and `a,b`, and of the table `site.csv`."""
    for name in ("one", "two", "a,b"):
        (tmp_path / name).mkdir()
    (tmp_path / "site.csv").write_text("file,person_id\n")
    return tmp_path


def of(folders: pathlib.Path, *names: str, **more: str) -> StrongSettings:
    """Returns settings whose sources are names, or paths below the folder."""
    given = (name if name in ("market", "none") else str(folders / name) for name in names)
    return StrongSettings(source=",".join(given), **more)


def test_one_none_and_several(folders):
    assert of(folders, "market").sources == ("market",)
    assert of(folders, "none").sources == ()
    several = of(folders, "market", "one", "site.csv")
    assert several.sources == ("market", str(folders / "one"), str(folders / "site.csv"))
    several.check()


def test_titles_and_the_folder_of_the_run(folders):
    several = of(folders, "market", "one", "site.csv", target="duke")
    assert several.direction == "market+one+site to duke"
    assert several.run_dir == os.path.join("runs", "strong_market+one+site_to_duke")
    alone = of(folders, "none", target="duke")
    assert alone.direction == "duke alone"
    assert alone.run_dir == os.path.join("runs", "strong_duke_alone")
    alone.check()


def test_a_path_with_a_comma_is_taken_whole_where_it_is_there(folders):
    whole = of(folders, "a,b")
    assert whole.sources == (str(folders / "a,b"),)
    whole.check()
    assert of(folders, "one", "a,b", "two").sources == tuple(
        str(folders / name) for name in ("one", "a,b", "two")
    )
    (folders / "a,b").rmdir()
    assert of(folders, "a,b").sources == (str(folders / "a"), "b")


def test_a_run_that_began_with_such_a_path_finds_it_again_when_it_is_gone(folders):
    run = folders / "run"
    (run / "pictures").mkdir(parents=True)
    for name in ("initial.keras", "pictures/source.json"):
        (run / name).touch()
    (folders / "a,b").rmdir()
    gone = of(folders, "a,b", model_dir=str(run))
    assert gone.sources == (str(folders / "a,b"),)
    gone.check()


def test_each_of_several_has_a_record_of_its_own(folders):
    """A run that has decoded them all goes on without any of them."""
    run = folders / "run"
    for name in ("initial.keras", "pictures/source_1/source.json", "pictures/source_2/source.json"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).touch()
    gone = of(folders, "gone", "lost", model_dir=str(run))
    gone.check()
    (run / "pictures/source_2/source.json").unlink()
    with refused("--source=.*lost: no such folder or table"):
        gone.check()


@pytest.mark.parametrize(
    "source, words",
    [
        ("", "--source=: name data sets, folders or tables, separated by single commas"),
        ("market,", "--source=market,: name data sets, folders or tables, separated by single"),
        ("market,,duke", "--source=market,,duke: name data sets"),
        ("market,none", "--source=market,none: none stands alone; a folder of that name is ./none"),
        ("market,cuhk", "--source=cuhk: no such folder or table; data sets that have a name are"),
        ("toy_market,market,toy_market", "toy_market is there twice; name it once"),
        ("market,toy_duke", "--source and --target are both toy_duke"),
    ],
)
def test_what_cannot_be_a_source(source, words):
    with pytest.raises(UserError) as error:
        StrongSettings(source=source).check()
    assert words in message(error.value)


def test_one_folder_by_two_names_is_no_two_sources(folders):
    (folders / "link").symlink_to(folders / "one")
    with refused("link is there twice"):
        of(folders, "one", "market", "link").check()


# Templates.


def templates(names: str, *given: str) -> list[str]:
    return sources.templates(names, given, ["market"])


def test_a_template_of_one_source_may_have_commas():
    assert templates("{person_id},{*}", "one") == ["{person_id},{*}"]
    assert templates("", "one", "two") == ["", ""]


def test_one_template_is_for_all_folders():
    assert templates("{camera}/{*}", "market", "one", "site.csv", "two") == [
        "",
        "{camera}/{*}",
        "",
        "{camera}/{*}",
    ]


def test_one_template_for_each_source():
    assert templates(",{camera}/{*},{person_id}_{*}", "market", "one", "two") == [
        "",
        "{camera}/{*}",
        "{person_id}_{*}",
    ]


def test_templates_that_do_not_fit_the_sources(folders):
    three = dataclasses.replace(of(folders, "market", "one"), source_names="{*},{*},{*}")
    with refused(r"--source_names=.*: 3 templates, separated by commas, of 2 sources. Give one"):
        three.check()
    with refused(r"--source_names=\{\*\}: is for folders, and no source is one"):
        of(folders, "market", "site.csv", source_names="{*}").check()
    with refused(r"--source_names=\{\*\}: market has its own names"):
        of(folders, "market", "one", source_names="{*},{*}").check()
    with refused(r"--source_names=\{\*\}: there is no source"):
        of(folders, "none", source_names="{*}").check()


# Settings without a source, or of the other recipe.


def test_without_a_source_a_batch_needs_no_identities():
    StrongSettings(source="none", batch_size=30).check()
    with refused("--batch_size=30 is not a multiple of --images_per_identity=4"):
        StrongSettings(batch_size=30).check()


@pytest.mark.parametrize("source", ["none", "market,duke"])
def test_the_papers_recipe_learns_from_one_source(source):
    with refused(f"--source={source}: --preset=paper learns from one source; --preset=strong"):
        Settings(source=source).check()
