"""What a folder is taken for, where nobody says."""

import pytest

from datasets.own_cameras.guess import UnknownLayoutError, guess
from datasets.own_cameras.template import Template


@pytest.mark.parametrize(
    ("names", "official", "camera", "person"),
    [
        (["0002_c1s1_000451_03.jpg", "-1_c3s2_000151_01.jpg"], "Market-1501", "1", "0002"),
        (["0001_c2_f0046182.jpg"], "DukeMTMC-reID", "2", "0001"),
        (["0000_001_02_0303morning_0015_1.jpg"], "MSMT17", "02", "0000"),
        (["0003_c1_21.png"], "CUHK03-np", "1", "0003"),
        (["0002_c002_00030600_0.jpg"], "VeRi", "002", "0002"),
    ],
)
def test_official_names(names, official, camera, person):
    found = guess([f"train/{name}" for name in names])
    assert found.official == official
    assert found.values(f"query/{names[0]}") == {
        "camera": camera,
        "person_id": person,
        "split": "query",
    }
    assert f"as {official} has them" in found.title
    assert found.values("notes.jpg") is None


def test_other_names_that_tell_a_number():
    found = guess(["a/walk_c3_1.jpg", "b/walk_c12.jpg"])
    assert (found.official, found.title) == ("", "2 cameras, from _c and a number in their names")
    assert found.values("query/walk_c12.jpg") == {"camera": "12"}


@pytest.mark.parametrize(
    ("paths", "template", "title"),
    [
        (["a/1.jpg", "b/1.jpg"], "{camera}/{**}", "2 cameras from the first folder: a, b"),
        (
            ["d/1/x.jpg", "c/2/x.jpg", "b/x.jpg", "a/x.jpg"],
            "{camera}/{**}",
            "4 cameras from the first folder: a, b, c, ...",
        ),
        (
            ["crops/all/a/1.jpg", "crops/all/b/2/1.jpg"],
            "{*}/{*}/{camera}/{**}",
            "2 cameras from the folder at depth 3: a, b",
        ),
        (
            [" /1.jpg", "lift /1.jpg", "a/1.jpg"],
            "{camera}/{**}",
            "3 cameras from the first folder: ' ', a, 'lift '",
        ),
        (["1.jpg", "2.jpg"], "", "no cameras: all pictures lie in one folder"),
        (["only/1.jpg", "only/2.jpg"], "", "no cameras: all pictures lie in one folder"),
    ],
)
def test_folders(paths, template, title):
    found = guess(paths)
    assert (found.official, found.template) == ("", Template(template) if template else None)
    assert found.title.startswith(title)


def test_pictures_beside_folders_are_not_guessed():
    with pytest.raises(UnknownLayoutError, match="1 of its pictures lie beside folders"):
        guess(["1.jpg", "a/1.jpg", "b/1.jpg"])


def test_many_folders_may_be_persons():
    paths = [f"{person}/1.jpg" for person in range(101)]
    with pytest.raises(UnknownLayoutError, match="101 folders, which may be cameras or persons"):
        guess(paths)
    assert guess(paths[:100]).template == Template("{camera}/{**}")
