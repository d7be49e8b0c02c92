"""Tracklets in the gallery's commands: from templates and tables, to search, page and info."""

import os
import re
import sqlite3

import pytest
from PIL import Image

from serving.errors import BadInputError, GalleryError
from serving.gallery.store import GalleryStore
from tests.support.fake_embedder import by_colour
from tests.support.gallery_shell import SERVER, add, build, remove, run

pytest_plugins = ["tests.support.gallery_fixtures"]  # fake, work
NAMES = "--names={camera}/{tracklet}/{*}"
COLOURS = {
    "gate/t1/a": (250, 10, 10),
    "gate/t1/b": (200, 60, 10),
    "gate/t2/a": (10, 250, 10),
    "yard/t1/a": (10, 10, 250),
    "yard/t1/b": (10, 60, 200),
}


@pytest.fixture
def crops(tmp_path, monkeypatch, fake):
    monkeypatch.chdir(tmp_path)
    fake(embed=by_colour)
    for name, colour in COLOURS.items():
        path = tmp_path / "crops" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 32), colour).save(path)
    (tmp_path / "query" / "yard" / "q7").mkdir(parents=True)
    for name, colour in (("x", (250, 20, 20)), ("y", (240, 40, 20))):
        path = tmp_path / "query" / "yard" / "q7" / f"{name}.png"
        Image.new("RGB", (16, 32), colour).save(path)
    return tmp_path


def tracklets():
    """{path below the crops: (tracklet, source)}, the last part of it."""
    with GalleryStore("gal") as store:
        return {
            os.path.relpath(each.file, "crops"): each.tracklet
            and (each.tracklet.name, os.path.basename(each.tracklet.source))
            for each in store.pictures()
        }


def search(capsys, *flags):
    return run(capsys, "search", SERVER, "--gallery=gal", "--by=tracklet", *flags)


def ranked(output):
    """[(rank, camera, tracklet, pictures, file name)] of a table's tracklets."""
    rows = [line.split() for line in output.splitlines() if re.match(r" +\d+ ", line)]
    return [(row[0], *row[2:5], os.path.basename(row[-1])) for row in rows]


def test_a_template_names_tracklets(crops, capsys):
    build(capsys, NAMES, "crops")
    assert tracklets() == {
        "gate/t1/a.png": ("t1", "crops"),
        "gate/t1/b.png": ("t1", "crops"),
        "gate/t2/a.png": ("t2", "crops"),
        "yard/t1/a.png": ("t1", "crops"),
        "yard/t1/b.png": ("t1", "crops"),
    }
    assert "tracklets           3, of 5 pictures" in run(capsys, "info", "--gallery=gal")
    # A file that is named itself has the tracklet that its folder gives it.
    remove(capsys, "--file=crops/gate/t2/a.png")
    add(capsys, NAMES, "crops/gate/t2/a.png")
    assert tracklets()["gate/t2/a.png"] == ("t2", "crops")


def test_a_table_names_tracklets(crops, capsys):
    (crops / "site.csv").write_text(
        "file,camera,tracklet\ncrops/gate/t1/a.png,gate,7\ncrops/gate/t1/b.png,,7\n"
        "crops/gate/t2/a.png,gate,\n"
    )
    build(capsys, "site.csv")
    assert tracklets() == {
        "gate/t1/a.png": ("7", "site.csv"),
        "gate/t1/b.png": ("7", "site.csv"),
        "gate/t2/a.png": None,
    }
    # The second has no camera, and is of no camera's tracklet.
    assert "tracklets           2, of 2 pictures" in run(capsys, "info", "--gallery=gal")


def test_search_by_tracklet(crops, capsys):
    build(capsys, NAMES, "crops")
    output = search(capsys, NAMES, "query", "--html=r.html")
    [title] = [line for line in output.splitlines() if "(camera" in line]
    assert title == f"{crops}/query/yard/q7/x.png and 1 more (camera yard, tracklet q7)"
    assert ranked(output) == [
        ("1", "gate", "t1", "2", "a.png"),
        ("2", "gate", "t2", "1", "a.png"),
        ("3", "yard", "t1", "2", "b.png"),
    ]
    assert output.count("b.png") == 2  # the other pictures, each in a line of its own
    page = (crops / "r.html").read_text()
    assert page.count("<img") == 2 + 5 and page.count("tracklet <bdi>t1</bdi>") == 2
    assert "tracklet <bdi>q7</bdi>" in page and "2 pictures" in page and "1 picture<" in page
    assert "cosines of tracklets' mean embeddings" in page
    # Filters are of cameras, as a tracklet is of one.
    output = search(capsys, NAMES, "query", "--exclude_same_camera", "--top=1")
    assert [row[:3] for row in ranked(output)] == [("1", "gate", "t1")]
    assert "exact search" in search(capsys, NAMES, "query", "--approximate")


def test_without_tracklets_the_way_out_is_named_and_works(crops, capsys, fake):
    build(capsys, "crops")
    with pytest.raises(
        GalleryError, match=r"holds no tracklets\. Give add the same pictures again"
    ):
        search(capsys, NAMES, "query")
    client = fake(embed=by_colour)
    assert "0 pictures added, 5 were there already" in (told := add(capsys, NAMES, "crops"))
    assert ", 5 of another tracklet or time now" in told
    assert not client.asked
    assert len(ranked(search(capsys, NAMES, "query"))) == 3
    # Given without names again, the pictures keep their tracklets.
    assert "another tracklet" not in add(capsys, "crops")
    assert tracklets()["gate/t1/a.png"] == ("t1", "crops")


# As earlier versions made it.
BEFORE = """
CREATE TABLE pictures (
    id INTEGER PRIMARY KEY,
    file TEXT NOT NULL UNIQUE,    -- absolute path
    camera TEXT,
    inserted_at INTEGER NOT NULL, -- seconds since 1970, UTC
    content_hash BLOB NOT NULL,   -- SHA-256
    embedding BLOB NOT NULL       -- float32, little-endian
)"""


def as_before(folder):
    """Makes a gallery one of an earlier version."""
    columns = "id, file, camera, inserted_at, content_hash, embedding"
    with sqlite3.connect(folder / "gallery.sqlite") as connection:
        connection.execute("ALTER TABLE pictures RENAME TO now")
        connection.execute(BEFORE)
        connection.execute(f"INSERT INTO pictures SELECT {columns} FROM now")
        connection.execute("DROP TABLE now")
        connection.execute("CREATE INDEX pictures_by_camera ON pictures (camera, inserted_at)")
    connection.close()


def test_a_gallery_of_before_is_read_as_without_tracklets_and_gets_them(crops, capsys):
    build(capsys, "crops")
    as_before(crops / "gal")
    assert set(tracklets().values()) == {None}
    assert "tracklets" not in run(capsys, "info", "--gallery=gal")
    query = "query/yard/q7/x.png"
    assert "a.png" in run(capsys, "search", SERVER, "--gallery=gal", NAMES, query)
    with pytest.raises(GalleryError, match="holds no tracklets"):
        search(capsys, NAMES, query)
    assert "1 pictures removed" in remove(capsys, "--file=crops/gate/t2/a.png")
    assert "1 pictures added" in add(capsys, NAMES, "crops")
    assert tracklets()["gate/t2/a.png"] == ("t2", "crops")
    with sqlite3.connect("gal/gallery.sqlite") as connection:
        # A program that knows no tracklets goes on writing it.
        connection.execute(
            "INSERT INTO pictures (file, camera, inserted_at, content_hash, embedding)"
            " SELECT '/new.jpg', camera, inserted_at, x'00', embedding FROM pictures LIMIT 1"
        )
    connection.close()
    remove(capsys, "--file=/new.jpg")
    assert len(ranked(search(capsys, NAMES, query))) == 3


def test_an_erased_picture_leaves_no_name_of_its_tracklet(crops, capsys):
    (crops / "crops" / "gate" / "t2").rename(crops / "crops" / "gate" / "suspect-4711")
    build(capsys, NAMES, "crops")
    file = crops / "gal" / "gallery.sqlite"
    assert b"suspect-4711" in file.read_bytes()
    remove(capsys, "--file=*suspect*")
    assert b"suspect-4711" not in file.read_bytes()


def test_moved_pictures_get_the_tracklet_that_is_named_now(crops, capsys):
    build(capsys, NAMES, "crops")
    (crops / "crops" / "gate" / "t1").rename(crops / "crops" / "gate" / "t8")
    assert "2 moved" in add(capsys, NAMES, "crops")
    assert tracklets()["gate/t8/a.png"] == ("t8", "crops")
    assert b"t1/a.png" not in (crops / "gal" / "gallery.sqlite").read_bytes().replace(
        b"yard/t1/a.png", b""
    )


@pytest.mark.parametrize("paths", [["site.csv"], ["crops", "site.csv"]])
def test_a_template_beside_a_table_is_refused(crops, capsys, paths):
    (crops / "site.csv").write_text("file,camera\ncrops/gate/t1/a.png,gate\n")
    with pytest.raises(BadInputError, match="a table says itself what its pictures are: no names"):
        build(capsys, NAMES, *paths)
    assert not os.path.exists("gal")
