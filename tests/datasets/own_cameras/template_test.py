"""Templates of paths."""

import pytest

from datasets.own_cameras.template import Template, TemplateError


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("{camera}/{tracklet}/{*}.jpg", "lift/7/a.jpg", {"camera": "lift", "tracklet": "7"}),
        # Any picture's ending, in any case, and none.
        ("{camera}/{tracklet}/{*}.jpg", "lift/7/a.PNG", {"camera": "lift", "tracklet": "7"}),
        ("{camera}/{*}", "lift/a", {"camera": "lift"}),
        ("{camera}/{*}", "lift/a.b.c.webp", {"camera": "lift"}),
        # Without a /, the name alone counts.
        (
            "{person_id}_{camera}_{*}",
            "x/y/0001_c1s1_000451_03.jpg",
            {"person_id": "0001", "camera": "c1s1"},
        ),
        ("{*}_c{camera}s{*}", "0001_c12s1_03.jpg", {"camera": "12"}),
        ("{camera}/{**}", "a/b/c/d.jpg", {"camera": "a"}),
        ("{**}/{camera}/{*}", "a/b/c/d.jpg", {"camera": "c"}),
        # No folder is a number of folders, too.
        ("{**}/{camera}/{*}", "c/d.jpg", {"camera": "c"}),
        ("{camera}/{**}/{*}", "a/d.jpg", {"camera": "a"}),
        ("{camera}/{**}/{*}", "a/b/c/d.jpg", {"camera": "a"}),
        ("site/{**}/{camera}/{**}/x_{*}", "site/c/x_1.jpg", {"camera": "c"}),
        ("{**}/{person_id}_{*}", "7_1.jpg", {"person_id": "7"}),
        ("{camera}/x{**}/{*}", "a/xy/z/d.jpg", {"camera": "a"}),
        ("{camera}/{time}_{*}", "a/12.5_x.jpg", {"camera": "a", "time": "12.5"}),
        ("{camera}/{person_id}.jpg", "a/bob.jpg", {"camera": "a", "person_id": "bob"}),
        # What regular expressions take for signs are letters here.
        ("({camera})+/{*}", "(a)+/1.jpg", {"camera": "a"}),
        ("{camera}/{*}", "Lo\u0308bby/1.jpg", {"camera": "L\u00f6bby"}),
        ("{camera}/{*}", "two\nlines/1.jpg", {"camera": "two\nlines"}),
        ("{camera}/{*}", "\udcff/1.jpg", {"camera": "\udcff"}),
    ],
)
def test_values(template, path, values):
    assert Template(template).values(path) == values


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{camera}/{*}", "a.jpg"),
        ("{camera}/{*}", "a/b/c.jpg"),
        ("{camera}/x{*}", "a/b.jpg"),
        ("{person_id}_{camera}_{*}", "0001_c1.jpg"),
        ("{camera}/{*}.txt", "a/b.jpg"),
        # It ends where a folder does, and a name stays.
        ("{camera}/{**}/x{*}", "a/bx1.jpg"),
        ("{camera}/x{**}/{*}", "a/d.jpg"),
        ("{camera}/{**}", "a.jpg"),
    ],
)
def test_paths_that_are_not_like_it(template, path):
    assert Template(template).values(path) is None


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("", "names none of {camera}, {tracklet}, {time}, {person_id}"),
        ("{*}/{*}", "names none of"),
        ("{kamera}/{camera}", "{kamera} is unknown; there are {camera},"),
        ("{camera}/{camera}", "{camera} is there more than once"),
        ("{camera}{tracklet}", "two fields need something between them"),
        ("{camera/{*}", "brace is not closed"),
        ("camera}/{person_id}", "brace is not closed"),
    ],
)
def test_bad_templates(template, words):
    with pytest.raises(TemplateError) as raised:
        Template(template)
    assert words in str(raised.value)


def test_a_path_that_can_be_read_in_two_ways():
    with pytest.raises(TemplateError, match=r"two ways: camera is 'b_c' or 'c'"):
        Template("{*}_{camera}.jpg").values("a_b_c.jpg")


def test_fields():
    assert Template("{person_id}/{camera}/{*}").fields == ("camera", "person_id")
