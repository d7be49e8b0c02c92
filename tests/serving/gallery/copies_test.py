"""Files with the same bytes: one picture if they are of one camera, and said so."""

import os
import shutil
import sqlite3

import pytest

from serving.gallery import command_line
from serving.gallery.store import GalleryStore
from tests.support.fake_embedder import write_files
from tests.support.gallery_shell import SERVER, add, build, run

pytest_plugins = ["tests.support.gallery_fixtures"]  # fake, work


def told(capsys, action, *arguments):
    command_line.main([action, SERVER, "--gallery=gal", *map(str, arguments)])
    return capsys.readouterr()


def names(work):
    with GalleryStore("gal") as store:
        return [os.path.relpath(each.file, work) for each in store.pictures()]


def test_a_copy_in_an_add_is_the_picture_that_is_there(work, capsys, fake):
    build(capsys)
    before = names(work)
    shutil.copytree(work / "crops", work / "backup")
    asked = fake()
    for given in (["backup"], ["backup"], ["crops", "backup"]):
        output = told(capsys, "add", *given)
        assert "0 bad ones skipped, 8 copies" in output.out
        assert f"{work}/backup/0001_c1s1.jpg is {work}/crops/0001_c1s1.jpg" in output.err
        assert "8 files are copies" in output.err and "and 5 more" in output.err
        assert not asked.asked and names(work) == before


def test_copies_within_one_build(work, capsys, fake):
    write_files(work / "p", ["a.jpg"])
    for name in ("b.jpg", "c.jpg"):
        shutil.copy(work / "p" / "a.jpg", work / "p" / name)
    asked = fake()
    output = told(capsys, "build", "p")
    assert output.out == "gal: 1 pictures added, 0 bad ones skipped, 2 copies\n"
    assert f"{work}/p/b.jpg is {work}/p/a.jpg" in output.err
    assert names(work) == ["p/a.jpg"] and len(asked.asked) == 1


def test_a_hard_link_is_a_copy(work, capsys):
    write_files(work / "p", ["a.jpg"])
    os.link(work / "p" / "a.jpg", work / "p" / "b.jpg")
    assert "1 copies" in build(capsys, "p")


def test_equal_bytes_of_several_cameras_stay_apart_and_are_told(work, capsys):
    write_files(work / "p", ["a_c1.jpg"])
    for name in ("b_c2.jpg", "c_c2.jpg", "d.jpg"):
        shutil.copy(work / "p" / "a_c1.jpg", work / "p" / name)
    output = told(capsys, "build", "p")
    assert names(work) == ["p/a_c1.jpg", "p/b_c2.jpg", "p/d.jpg"]
    assert "3 pictures added, 0 bad ones skipped, 1 copies" in output.out
    assert "2 files have the bytes of a picture of another camera" in output.err
    assert f"{work}/p/b_c2.jpg and {work}/p/a_c1.jpg" in output.err
    shutil.copy(work / "p" / "a_c1.jpg", work / "p" / "e_c3.jpg")
    output = told(capsys, "add", "p")
    assert "1 pictures added, 3 were there already, 0 bad ones skipped, 1 copies" in output.out
    assert "1 files have the bytes" in output.err


def test_the_copy_takes_over_when_the_picture_is_gone(work, capsys, fake):
    build(capsys)
    shutil.copy(work / "crops" / "plain.PNG", work / "copy.PNG")
    assert "1 copies" in add(capsys, "copy.PNG")
    (work / "crops" / "plain.PNG").unlink()
    asked = fake()
    assert "1 moved" in add(capsys, "crops", "copy.PNG")
    assert not asked.asked
    assert "copy.PNG" in names(work) and "crops/plain.PNG" not in names(work)


def test_a_picture_overwritten_with_a_copy_of_another_leaves_nothing(work, capsys):
    build(capsys)
    shutil.copy(work / "crops" / "0001_c1s1.jpg", work / "crops" / "0002_c1s1.jpg")
    output = add(capsys, "crops")
    assert "0 pictures added, 7 were there already, 0 bad ones skipped, 1 copies" in output
    assert "crops/0002_c1s1.jpg" not in names(work) and len(names(work)) == 7
    assert b"0002_c1s1" not in (work / "gal" / "gallery.sqlite").read_bytes()


def test_rows_of_one_content_that_are_there_stay(work, capsys, fake):
    """An earlier version made a row of each file."""
    build(capsys)
    source = work / "crops" / "plain.PNG"
    shutil.copy(source, work / "copy.PNG")
    with sqlite3.connect("gal/gallery.sqlite") as connection:
        connection.execute(
            "INSERT INTO pictures (file, camera, inserted_at, content_hash, embedding) SELECT ?,"
            " camera, inserted_at, content_hash, embedding FROM pictures WHERE file = ?",
            (str(work / "copy.PNG"), str(source)),
        )
    connection.close()
    asked = fake()
    assert "0 pictures added, 9 were there already" in add(capsys, "crops", "copy.PNG")
    # Both moved: both keep their rows.
    (work / "all").mkdir()
    source.rename(work / "all" / "a.PNG")
    (work / "copy.PNG").rename(work / "all" / "b.PNG")
    assert "2 moved" in add(capsys, "all")
    assert not asked.asked and len(names(work)) == 9


def test_copies_of_a_bad_picture_are_bad(work, capsys):
    for name in ("a.jpg", "b.jpg"):
        write_files(work / "p", [name])
        (work / "p" / name).write_bytes(b"\xff\xd8\xffBAD")
    write_files(work / "p", ["c.jpg"])
    output = told(capsys, "build", "--skip_bad_images", "p")
    assert output.out == "gal: 1 pictures added, 2 bad ones skipped\n"
    assert output.err.count("skipped: ") == 2 and "note:" not in output.err


def test_the_same_picture_from_two_processes_under_two_names(work, capsys, fake, monkeypatch):
    build(capsys)
    write_files(work / "new", ["a.jpg"])
    shutil.copy(work / "new" / "a.jpg", work / "copy.jpg")
    client = fake()
    stream_files = client.stream_files

    def after_another(*arguments):
        client.stream_files = stream_files
        add(capsys, "copy.jpg")
        return stream_files(*arguments)

    client.stream_files = after_another
    output = told(capsys, "add", "new")
    assert "0 pictures added, 0 were there already, 0 bad ones skipped, 1 copies" in output.out
    assert "new/a.jpg" not in names(work) and "copy.jpg" in names(work)


@pytest.mark.parametrize("action", ["build", "add", "search"])
def test_links_to_one_picture_are_told(work, capsys, action):
    if action != "build":
        build(capsys, "crops/plain.PNG")
    write_files(work / "p", ["a.jpg"])
    (work / "p" / "link.jpg").symlink_to(work / "p" / "a.jpg")
    (work / "p" / "more.jpg").symlink_to("link.jpg")
    output = told(capsys, action, "p", "p/a.jpg")
    assert "2 names lead by links to files that have another name here" in output.err
    assert f"{work}/p/link.jpg is {work}/p/a.jpg" in output.err
    # The same name twice is no link.
    assert "by links" not in told(capsys, "search", "p/a.jpg", work / "p" / "a.jpg").err


def test_the_table_marks_what_is_gone_as_the_page_does(work, capsys):
    build(capsys)
    write_files(work, ["query_c1.jpg"])
    (work / "crops" / "0002_c1s1.jpg").unlink()
    lines = run(capsys, "search", SERVER, "--gallery=gal", "query_c1.jpg").splitlines()
    gone = [line for line in lines if line.endswith("  (file is gone)")]
    assert len(gone) == 1 and "0002_c1s1.jpg" in gone[0]
