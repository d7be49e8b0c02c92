"""`search`: its table, its filters, and what it refuses."""

import os
import re

import numpy as np
import pytest
from PIL import Image

from serving.errors import BadInputError
from serving.gallery import command_line
from tests.support.fake_embedder import by_colour
from tests.support.gallery_shell import SERVER, add, build, remove, run

pytest_plugins = ["tests.support.gallery_fixtures"]  # fake, work


@pytest.fixture
def colours(tmp_path, monkeypatch, fake, capsys):
    """A gallery of four shades and a red query."""
    monkeypatch.chdir(tmp_path)
    fake(embed=by_colour)
    (tmp_path / "crops").mkdir()
    shades = {
        "red_c1": (250, 10, 10),
        "rose_c2": (250, 90, 90),
        "green_c1": (10, 250, 10),
        "blue_c3": (10, 10, 250),
    }
    for name, colour in shades.items():
        Image.new("RGB", (16, 32), colour).save(tmp_path / "crops" / f"{name}.png")
    Image.new("RGB", (16, 32), (240, 20, 20)).save(tmp_path / "query_c1.png")
    build(capsys)
    return tmp_path


def ranked(output):
    """[(rank, score, camera, file name)] of a table."""
    rows = [line.split() for line in output.splitlines() if re.match(r" +\d+ ", line)]
    return [(int(row[0]), float(row[1]), row[2], os.path.basename(row[-1])) for row in rows]


def search(capsys, *flags):
    return run(capsys, "search", SERVER, "--gallery=gal", *flags)


def names(output):
    return [row[3].split("_")[0] for row in ranked(output)]


def test_search_prints_the_nearest_first(colours, capsys):
    output = search(capsys, "query_c1.png", "--top=3")
    assert output.splitlines()[0] == f"{colours}/query_c1.png (camera 1)"
    rows = ranked(output)
    assert [row[2:] for row in rows[:2]] == [("1", "red_c1.png"), ("2", "rose_c2.png")]
    assert [row[0] for row in rows] == [1, 2, 3]
    query, red = np.array([241, 21, 21]), np.array([251, 11, 11])
    cosine = query @ red / np.linalg.norm(query) / np.linalg.norm(red)
    assert rows[0][1] == pytest.approx(cosine, abs=1e-4)


def test_search_filters(colours, capsys):
    assert names(search(capsys, "query_c1.png", "--camera=2", "--camera=3")) == ["rose", "blue"]
    assert names(search(capsys, "query_c1.png", "--exclude_same_camera")) == ["rose", "blue"]
    flags = ["query_c1.png", "--exclude_same_camera", "--query_camera=2"]
    assert names(search(capsys, *flags))[0] == "red"
    assert "no picture of the gallery passes" in search(
        capsys, "query_c1.png", "--exclude_same_camera", "--camera=1"
    )


def test_a_query_camera_that_the_gallery_does_not_have_is_reported(colours, capsys):
    flags = ["search", SERVER, "--gallery=gal", "query_c1.png", "--exclude_same_camera"]
    command_line.main([*flags, "--query_camera=c3"])
    output = capsys.readouterr()
    assert "note: the gallery has no picture of camera c3, so --exclude" in output.err
    assert len(ranked(output.out)) == 4
    command_line.main([*flags, "--query_camera=3"])
    assert "note" not in capsys.readouterr().err


def test_search_refuses(colours, capsys):
    os.mkfifo("pipe")
    (colours / "plain.png").write_bytes((colours / "query_c1.png").read_bytes())
    for flags, message in (
        (["plain.png", "--exclude_same_camera"], "plain.png: its name tells no camera"),
        (["plain.png", "--camera=8"], "--camera=8: the gallery has no such camera, it has 1, 2, 3"),
        (["plain.png", "--top=0"], "--top=0"),
        (["plain.png", "--html=nowhere/r.html"], "there is no folder nowhere"),
        (["plain.png", "--html=gal"], "name a file, not a folder"),
        (["plain.png", "--html=pipe"], "--html=pipe: that is not a file"),
        (["plain.png", "--html=/dev/null"], "--html=/dev/null: that is not a file"),
        (["plain.png", "--query_camera="], "--query_camera: is empty"),
    ):
        with pytest.raises(BadInputError, match=message):
            search(capsys, *flags)


def test_approximate_search_tells_its_recall_and_how_it_took_filters(colours, capsys):
    command_line.main(["search", SERVER, "--gallery=gal", "query_c1.png", "--approximate"])
    output = capsys.readouterr()
    assert names(output.out) == names(search(capsys, "query_c1.png"))
    assert "approximate search: finds 100.0% of the exact 3 nearest" in output.out
    assert "building the approximate index" in output.err
    assert "finds 100.0%" in run(capsys, "info", "--gallery=gal")
    output = search(capsys, "query_c1.png", "--approximate", "--camera=3")
    assert names(output) == ["blue"] and "exact search, because of the camera filter" in output
    remove(capsys, "--camera=3")
    assert "approximate index   none" in run(capsys, "info", "--gallery=gal")
    assert sorted(os.listdir("gal")) == ["gallery.sqlite"]


def test_search_writes_a_page(colours, capsys):
    search(capsys, "query_c1.png", "--html=result.html")
    assert (colours / "result.html").read_text().count("data:image/jpeg") == 5
    assert sorted(os.listdir()) == ["crops", "gal", "query_c1.png", "result.html"]


def test_control_characters_in_names_do_not_reach_the_terminal(colours, capsys):
    hostile = colours / "crops" / "a\x1b[31m\nb\u202e_c1.png"
    Image.new("RGB", (16, 32), (250, 10, 11)).save(hostile)
    add(capsys, "crops")
    output = search(capsys, "query_c1.png") + remove(capsys, "--dry_run", "--file=/*")
    assert "\x1b" not in output and "\u202e" not in output
    assert output.count(r"a\x1b[31m\nb\u202e_c1.png") == 2
