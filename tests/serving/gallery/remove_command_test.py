"""`remove` and `info`."""

import os
import re
import sqlite3
import subprocess
import sys
import time

import pytest

from serving import command
from serving.errors import BadInputError, GalleryError
from serving.gallery import command_line, sqlite_transactions
from serving.gallery.store import GalleryStore
from tests.support import fake_embedder
from tests.support.fake_embedder import write_files
from tests.support.gallery_shell import SERVER, build, remove, run, stored
from tests.support.places import ROOT

pytest_plugins = ["tests.support.gallery_fixtures"]  # fake, work


def test_remove_by_file_camera_and_both(work, capsys):
    build(capsys)
    assert remove(capsys, "--file=crops/0001_*", "--camera=1") == "gal: 1 pictures removed\n"
    assert "0001_c2s1.jpg" in stored() and "0001_c1s1.jpg" not in stored()
    remove(capsys, "--file=crops/plain.PNG", "--file=crops/deep/*")
    remove(capsys, "--file=/*0002*")
    assert sorted(stored()) == ["0001_c2s1.jpg", "0003_c1s1.jpg", "0003_c2s1.jpg"]
    remove(capsys, "--camera=2", "--camera=1")
    assert stored() == {}


def test_a_file_is_a_pattern_only_when_no_picture_has_its_name(work, capsys, monkeypatch):
    (work / "a[b]").mkdir()
    monkeypatch.chdir(work / "a[b]")
    write_files(work / "a[b]" / "crops", ["img[1].jpg", "img1.jpg", "img2.jpg", "img3.jpg"])
    write_files(work / "ab" / "crops", ["img2.jpg"], "no copy of the other img2.jpg")
    build(capsys, "crops", "../ab/crops")
    assert remove(capsys, "--file=crops/img[1].jpg") == "gal: 1 pictures removed\n"
    with GalleryStore("gal") as store:
        left = [os.path.relpath(each.file, work) for each in store.pictures()]
    assert left == [*(f"a[b]/crops/img{number}.jpg" for number in (1, 2, 3)), "ab/crops/img2.jpg"]
    # Now it is a pattern; and the working folder's name isn't one.
    assert remove(capsys, "--file=crops/img[12].jpg") == "gal: 2 pictures removed\n"
    assert remove(capsys, "--file=../a[b]/crops/img2.jpg") == "gal: 1 pictures removed\n"
    assert stored() == {"img3.jpg": None}


def test_remove_by_age(work, capsys):
    build(capsys)
    with sqlite3.connect("gal/gallery.sqlite") as connection:
        set_age = "UPDATE pictures SET inserted_at = ? WHERE file LIKE ?"
        connection.execute(set_age, (int(time.time()) - 2 * 86400 - 60, "%_c1s1.jpg"))
        connection.execute(set_age, (int(time.time()) - 2 * 86400 + 60, "%_c2s1.jpg"))
    connection.close()
    assert remove(capsys, "--older_than=3d") == "gal: 0 pictures removed\n"
    assert remove(capsys, "--older_than=2d") == "gal: 3 pictures removed\n"
    assert remove(capsys, "--older_than=48h", "--camera=7") == "gal: 0 pictures removed\n"
    assert remove(capsys, "--older_than=2870m") == "gal: 3 pictures removed\n"
    assert sorted(stored()) == ["0009_c2s1.jpeg", "plain.PNG"]


def test_dry_run_lists_and_removes_nothing(work, capsys):
    build(capsys)
    before = (work / "gal" / "gallery.sqlite").read_bytes()
    listed = remove(capsys, "--camera=1", "--dry_run").splitlines()
    assert [line.split("/")[-1] for line in listed[:-1]] == [f"000{n}_c1s1.jpg" for n in (1, 2, 3)]
    assert listed[-1] == "gal: 3 pictures would be removed"
    assert (work / "gal" / "gallery.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "say which pictures"),
        (["--older_than=30"], "--older_than=30: give a whole number"),
        (["--older_than=-1d"], "--older_than=-1d"),
        (["--older_than="], "--older_than="),
        (["--camera=9"], "no picture matches --camera=9; nothing was removed"),
        (["--file=crops"], "no picture matches --file=crops; nothing"),
        (["--camera=1", "--camera=c2", "--file=/*"], "matches --camera=c2; nothing"),
        (["--file=crops/0001_*", "--file=crops/001_*", "--camera=c1"], "001_.*, --camera=c1; "),
        (["--file=crops/0001_*", "--file=crops/001_*", "--dry_run"], "--file=crops/001_.*; "),
        (["--file=crops/0001_c1*", "--camera=2"], "no picture matches all of it; nothing"),
        (["--camera="], "--camera: is empty"),
        (["--file=\udcff"], "--file: not UTF-8"),
    ],
)
def test_remove_refuses(work, capsys, flags, message):
    build(capsys)
    with pytest.raises((BadInputError, GalleryError), match=message):
        remove(capsys, *flags)
    assert len(stored()) == 8


def test_erasure_that_fails_is_reported_and_caught_up_with(work, capsys, monkeypatch):
    build(capsys)

    def full(connection, path):
        raise GalleryError("the disk is full", path)

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_transactions, "vacuum", full)
        with pytest.raises(GalleryError, match=r"3 pictures are removed, but .* the disk is full"):
            remove(capsys, "--camera=1")
    assert len(stored()) == 5
    assert "may still hold traces" in run(capsys, "info", "--gallery=gal")
    assert remove(capsys, "--older_than=9d") == "gal: 0 pictures removed\n"
    assert "may still hold traces" not in run(capsys, "info", "--gallery=gal")


def test_a_remove_that_is_given_again_erases_what_a_killed_one_left(work, capsys, monkeypatch):
    build(capsys)
    with monkeypatch.context() as patch:
        patch.setattr(GalleryStore, "finish_erasure", lambda store: None)  # killed here
        remove(capsys, "--camera=1")
    with pytest.raises(GalleryError, match="--camera=1; nothing was removed"):
        remove(capsys, "--camera=1")
    assert "may still hold traces" not in run(capsys, "info", "--gallery=gal")


def test_a_gallery_whose_name_is_not_utf8(work, capsys):
    folder = os.fsdecode(b"gal\xff\n")
    run(capsys, "build", SERVER, f"--gallery={folder}", "crops")
    done = run(capsys, "remove", f"--gallery={folder}", "--camera=1")
    assert done == "gal\\xff\\n: 3 pictures removed\n"
    assert not re.search("traces", run(capsys, "info", f"--gallery={folder}"))


def test_an_absurd_age_removes_nothing(work, capsys):
    build(capsys)
    assert remove(capsys, "--older_than=999999999d") == "gal: 0 pictures removed\n"


def test_info(work, capsys):
    build(capsys)
    output = run(capsys, "info", "--gallery=gal")
    for line in (
        r"pictures +8",
        r"  camera - +1",
        r"  camera 1 +3",
        r"  camera 2 +4",
        r"oldest +20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ",
        rf"embedding space +{fake_embedder.SPACE}",
        r"model +arn version 1",
        r"embedding length +16",
        r"size on disk +0\.\d MB",
    ):
        assert re.search(rf"^{line}$", output, re.MULTILINE), line


def test_a_mistake_ends_in_a_message_and_exit_status_2(work, capsys):
    with pytest.raises(SystemExit) as exit_:
        command.run(lambda: command_line.main(["info", "--gallery=nowhere"]))
    assert exit_.value.code == 2
    assert capsys.readouterr().err.startswith("error: nowhere: is no gallery")


def test_neither_tensorflow_nor_a_server_is_needed_to_remove(work, capsys):
    build(capsys)
    code = (
        "import sys; from serving.gallery import command_line; command_line.main(sys.argv[1:]); "
        "assert not [name for name in sys.modules if name.startswith('tensorflow')]"
    )
    arguments = ["remove", "--gallery", str(work / "gal"), "--camera=1"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT)
    assert done.returncode == 0 and len(stored()) == 5
