"""When pictures were taken: from tables, paths and jobs into a gallery, and in searches."""

import os
import re
import sqlite3

import numpy as np
import pytest
from PIL import Image

from datasets.own_cameras.cameras import Tracklet
from serving.errors import BadInputError, GalleryError
from serving.gallery import command_line, place, search, tracklet_search
from serving.gallery.records import EVERYTHING, Picture, Selection
from serving.gallery.store import GalleryStore
from tests.support import small_shards
from tests.support.fake_embedder import by_colour
from tests.support.gallery_shell import SERVER, add, build, run
from tests.support.small_gallery import BINDING, unit_vectors

pytest_plugins = ["tests.support.gallery_fixtures"]  # fake, work
TABLE = """file,camera,time
crops/red.png,gate,1970-01-01T00:01:40
crops/rose.png,yard,1970-01-01 01:03:20+01:00
crops/green.png,gate,300
crops/blue.png,yard,
"""
SHADES = {"red": (250, 10, 10), "rose": (250, 90, 90), "green": (10, 250, 10), "blue": (9, 9, 250)}


@pytest.fixture
def crops(tmp_path, monkeypatch, fake):
    monkeypatch.chdir(tmp_path)
    fake(embed=by_colour)
    (tmp_path / "crops").mkdir()
    for name, colour in SHADES.items():
        Image.new("RGB", (16, 32), colour).save(tmp_path / "crops" / f"{name}.png")
    Image.new("RGB", (16, 32), (240, 20, 20)).save(tmp_path / "query.png")
    (tmp_path / "site.csv").write_text(TABLE)
    return tmp_path


def times(folder="gal"):
    with place.open_gallery(folder) as store:
        return {os.path.basename(each.file)[:-4]: each.taken_at for each in store.pictures()}


def searched(capsys, *flags, gallery="gal"):
    """The names that are found, best first, and what is said on stderr."""
    command_line.main(["search", SERVER, f"--gallery={gallery}", *flags, "query.png"])
    output = capsys.readouterr()
    rows = [line.split() for line in output.out.splitlines() if re.match(r" +\d+ ", line)]
    return [os.path.basename(row[-1])[:-4] for row in rows], output


def test_a_table_tells_times_and_a_search_keeps_to_them(crops, capsys):
    build(capsys, "site.csv")
    # Seconds of the table, as they are; a zone counts.
    assert times() == {"red": 100, "rose": 200, "green": 300, "blue": None}
    assert "times               of 3 pictures" in run(capsys, "info", "--gallery=gal")
    assert searched(capsys)[0] == ["red", "rose", "green", "blue"]
    # From the one moment on, and before the other.
    assert searched(capsys, "--after=200")[0] == ["rose", "green"]
    assert searched(capsys, "--before=200")[0] == ["red"]
    assert searched(capsys, "--after=1970-01-01T00:01:40", "--before=300")[0] == ["red", "rose"]
    assert searched(capsys, "--after=0", "--camera=gate")[0] == ["red", "green"]
    names, output = searched(capsys, "--after=300.5")
    assert names == [] and "no picture of the gallery passes the filter" in output.out
    assert "1 pictures of the gallery have no time, and are left out" in output.err
    assert "no time" not in searched(capsys)[1].err


def test_paths_tell_times_and_those_that_are_none_are_said(crops, capsys):
    for name, new in (("red", "50_a"), ("rose", "60_b"), ("green", "noon_c"), ("blue", "70_d")):
        os.rename(f"crops/{name}.png", f"crops/{new}.png")
    (crops / "site").mkdir()
    os.rename("crops", "site/gate")
    command_line.main(["build", SERVER, "--gallery=gal", "--names={camera}/{time}_{*}", "site"])
    said = capsys.readouterr().err
    assert "1 times are no times, and count as unknown: 'noon'" in said
    assert times() == {"50_a": 50, "60_b": 60, "noon_c": None, "70_d": 70}


def test_a_gallery_gets_times_from_the_same_pictures_and_keeps_them(crops, capsys):
    build(capsys)
    with pytest.raises(GalleryError, match=r"holds no picture with a time\. Give add the same"):
        searched(capsys, "--after=0")
    (crops / "site.csv").write_text(TABLE.replace("gate", "").replace("yard", ""))
    told = add(capsys, "site.csv")
    assert ", 3 of another tracklet or time now" in told and "0 pictures added" in told
    assert times() == {"red": 100, "rose": 200, "green": 300, "blue": None}
    # Not told again, they stay; told otherwise, they change.
    add(capsys, "crops")
    assert times()["red"] == 100
    (crops / "site.csv").write_text("file,time\ncrops/red.png,7.25\n")
    assert ", 1 of another tracklet or time now" in add(capsys, "site.csv")
    assert times()["red"] == 7.25 and times()["rose"] == 200


@pytest.mark.parametrize(
    "flags, what",
    [
        (["--after=yesterday"], "--after=yesterday: give seconds, or a date and time"),
        (["--before="], "--before=: give seconds"),
        (["--before=nan"], "--before=nan: give seconds"),
        (["--after=inf"], "--after=inf: give seconds"),
        (["--after=2026-02-30"], "--after=2026-02-30: give seconds"),
        (["--after=200", "--before=200"], "--after=200: is not earlier than 200"),
        (["--after=1970-01-01T00:10", "--before=5"], "is not earlier than 5"),
    ],
)
def test_times_that_are_none_are_refused_before_anything_is_embedded(crops, capsys, flags, what):
    build(capsys, "site.csv")
    with pytest.raises(BadInputError, match=re.escape(what)):
        searched(capsys, *flags)


def test_the_graph_of_a_folder_gives_way_to_exact_search(crops, capsys):
    build(capsys, "site.csv")
    for flags, why in (
        (["--after=0"], "the time filter"),
        (["--after=0", "--camera=gate"], "the camera and time filter"),
        (["--camera=gate"], "the camera filter"),
    ):
        assert f"exact search, because of {why}" in searched(capsys, "--approximate", *flags)[1].out
    assert sorted(os.listdir("gal")) == ["gallery.sqlite"]


def earlier(folder):
    """Makes of a gallery one of the version before there were times."""
    with sqlite3.connect(folder / "gallery.sqlite") as connection:
        connection.execute("DROP INDEX pictures_by_time")
        connection.execute("ALTER TABLE pictures DROP COLUMN taken_at")


def test_a_gallery_of_an_earlier_version_is_searched_and_gets_times(crops, capsys):
    build(capsys, "site.csv")
    earlier(crops / "gal")
    assert searched(capsys, "--camera=gate")[0] == ["red", "green"]
    with pytest.raises(GalleryError, match="holds no picture with a time"):
        searched(capsys, "--before=9")
    with GalleryStore("gal") as store:
        assert store.timed() == 0 == store.count(Selection(taken_after=0.0))
        assert store.remove(Selection(taken_before=9.0)) == 0
        with store.snapshot():
            assert store.load(Selection(taken_after=0.0))[0] == []
    add(capsys, "site.csv")
    assert searched(capsys, "--after=200")[0] == ["rose", "green"]


def test_fill_takes_the_times_of_a_job_and_move_keeps_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards").mkdir()
    small_shards.write(tmp_path / "shards", small_shards.job())
    run(capsys, "fill", "--gallery=gal", "--shards=shards")
    expected = {f"{row:03d}": row if row % 3 else None for row in range(7)}
    assert times() == expected
    assert "7 were there already" in run(capsys, "fill", "--gallery=gal", "--shards=shards")
    run(capsys, "move", "--gallery=gal", "--to=other")
    assert times("other") == expected


def timed(count, seed=0):
    """Pictures of two cameras; a fifth has no time, and times are not in the order of rows."""
    drawn = np.random.default_rng(seed).permutation(count) / 4
    return [
        Picture(
            f"/crops/{row:05d}.jpg",
            "ab"[row % 2],
            b"%032d" % row,
            taken_at=None if row % 5 == 0 else float(drawn[row]),
        )
        for row in range(count)
    ]


SEARCHED = ("gal", "gal.db")
SELECTIONS = [
    Selection(taken_after=20.0),
    Selection(taken_before=20.25),
    Selection(taken_after=10.5, taken_before=30.75, cameras=("a",)),
    Selection(taken_before=-1.0),
]


@pytest.mark.parametrize("at", SEARCHED)
def test_exact_search_under_times_agrees_with_numpy(tmp_path, monkeypatch, at):
    if at.endswith(".db"):
        pytest.importorskip("milvus_lite")
    monkeypatch.chdir(tmp_path)
    pictures, vectors = timed(200), unit_vectors(200)
    queries = unit_vectors(6, seed=9)
    with place.create(at, BINDING, pictures, vectors) as store:
        assert store.timed() == 160
        for selection in SELECTIONS:
            low = -np.inf if selection.taken_after is None else selection.taken_after
            high = np.inf if selection.taken_before is None else selection.taken_before
            rows = [
                row
                for row, each in enumerate(pictures)
                if each.taken_at is not None
                and low <= each.taken_at < high
                and (not selection.cameras or each.camera in selection.cameras)
            ]
            assert store.count(selection) == len(rows)
            scores = queries.astype(np.float64) @ vectors[rows].astype(np.float64).T
            for query, hits in enumerate(search.exact(store, queries, 10, selection)):
                order = np.argsort(-scores[query])[:10]
                expected = [pictures[rows[each]].file for each in order]
                assert [hit.picture.file for hit in hits] == expected
                np.testing.assert_allclose(
                    [hit.score for hit in hits], scores[query, order], atol=1e-6
                )


def test_a_tracklet_counts_by_its_pictures_of_that_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vectors = np.eye(16, dtype=np.float32)[:4]
    pictures = [
        Picture(f"/{row}.jpg", "1", bytes([row]) * 32, 5, 0, Tracklet("t", "/"), float(row))
        for row in range(4)
    ]
    with GalleryStore.create("gal", BINDING, pictures, vectors) as store:
        asked = [("query.jpg", None, None)]
        [result] = tracklet_search.search(
            store, vectors[2:3], asked, 5, Selection(taken_after=2.0), False
        )
        [hit] = result.hits
        assert (hit.count, hit.score) == (2, pytest.approx(1 / np.sqrt(2)))
        assert store.count(EVERYTHING) == 4
