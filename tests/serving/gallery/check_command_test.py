"""`check`: rows whose files are gone or changed."""

import os
import subprocess
import sys

import pytest

from serving.errors import BadInputError, GalleryError
from serving.gallery import check as row_check
from serving.gallery import command_line, sqlite_transactions
from serving.gallery.store import GalleryStore
from tests.support import fake_embedder
from tests.support.fake_embedder import write_files
from tests.support.gallery_shell import SERVER, add, build, run, stored
from tests.support.places import ROOT

pytest_plugins = ["tests.support.gallery_fixtures"]  # fake, work


def check(capsys, *arguments):
    return run(capsys, "check", "--gallery=gal", *arguments)


def test_what_is_gone_and_what_changed_is_listed(work, capsys):
    build(capsys)
    nothing = "gal: 8 pictures checked; 0 files are gone, 0 changed, 0 can't be read\n"
    assert check(capsys) == nothing
    (work / "crops" / "0003_c2s1.jpg").unlink()
    (work / "crops" / "plain.PNG").unlink()
    (work / "crops" / "plain.PNG").symlink_to("nowhere")
    write_files(work / "crops", ["0001_c1s1.jpg"], "changed")
    before = (work / "gal" / "gallery.sqlite").read_bytes()
    lines = check(capsys).splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["changed", "gone", "gone"]
    assert [line.split()[1] for line in lines[:-1]] == ["1", "2", "-"]
    assert [line.split("/")[-1] for line in lines[:-1]] == [
        "0001_c1s1.jpg",
        "0003_c2s1.jpg",
        "plain.PNG",
    ]
    assert lines[-1] == (
        "gal: 8 pictures checked; 2 files are gone, 1 changed (add embeds them again), "
        "0 can't be read"
    )
    assert (work / "gal" / "gallery.sqlite").read_bytes() == before
    add(capsys, "crops/0001_c1s1.jpg")
    assert "2 files are gone, 0 changed" in check(capsys)


def test_rows_without_files_are_removed_with_all_traces(work, capsys):
    build(capsys)
    for name in ("0003_c2s1.jpg", "plain.PNG"):
        (work / "crops" / name).unlink()
    write_files(work / "crops", ["0001_c1s1.jpg"], "changed")
    before = (work / "gal" / "gallery.sqlite").read_bytes()
    assert check(capsys, "--remove", "--dry_run").endswith("gal: 2 pictures would be removed\n")
    assert (work / "gal" / "gallery.sqlite").read_bytes() == before
    assert check(capsys, "--remove").endswith("gal: 2 pictures removed\n")
    # What changed stays, for add.
    assert len(stored()) == 6 and "0001_c1s1.jpg" in stored()
    assert b"plain.PNG" not in (work / "gal" / "gallery.sqlite").read_bytes()
    with GalleryStore("gal") as store:
        assert not store.unerased()
    assert check(capsys, "--remove").endswith("gal: 0 pictures removed\n")


@pytest.mark.parametrize("gone", ["crops", "crops/deep", "crops/deep/er"])
@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("flags", [["--remove"], ["--remove", "--dry_run"]])
def test_a_disk_that_is_not_mounted_empties_no_gallery(work, capsys, gone, empty, flags):
    build(capsys)
    (work / gone).rename(work / "unmounted")
    if empty:
        (work / gone).mkdir()
    (work / "crops" / "plain.PNG").unlink(missing_ok=True)  # nothing of the others goes either
    with pytest.raises(GalleryError, match=r"nothing was removed: \d folders have no file") as got:
        check(capsys, *flags)
    assert f"{work}/crops/deep/er (1 pictures)" in str(got.value)
    assert "name them, or a folder above them, by --folder" in str(got.value)
    assert len(stored()) == 8
    command_line.main(["check", "--gallery=gal"])
    assert "note: " in capsys.readouterr().err


def test_a_folder_that_is_named_is_emptied_and_others_are_not_looked_at(work, capsys):
    write_files(work / "crops[1]", ["x.jpg"])
    write_files(work / "crops1", ["y.jpg"])
    build(capsys, "crops", "crops[1]", "crops1")
    for name in ("crops[1]", "crops1", "crops/deep"):
        (work / name).rename(work / f"unmounted {name.replace('/', '_')}")
    output = check(capsys, "--remove", "--folder=crops[1]")
    assert "gal: 1 pictures checked; 1 files are gone" in output
    assert output.endswith("gal: 1 pictures removed\n")
    assert "x.jpg" not in stored() and "y.jpg" in stored()
    output = check(capsys, "--remove", f"--folder={work}/crops/", "--folder=crops1")
    assert output.endswith("gal: 2 pictures removed\n")
    assert len(stored()) == 7
    assert "gal: 7 pictures checked; 0 files are gone" in check(capsys, "--folder=/")


def test_a_folder_of_no_picture_is_reported(work, capsys):
    build(capsys)
    for flags in (["--folder=nowhere"], ["--folder=crops", "--folder=nowhere", "--remove"]):
        with pytest.raises(GalleryError, match="no picture is below --folder=nowhere"):
            check(capsys, *flags)
    with pytest.raises(BadInputError, match="--folder: is empty"):
        check(capsys, "--folder=")


def test_files_that_nobody_can_read_are_not_gone(work, capsys, monkeypatch):
    build(capsys)
    monkeypatch.setattr(row_check, "state", lambda *_: row_check.FileState.UNREADABLE)
    output = check(capsys, "--remove")
    assert "0 files are gone, 0 changed, 8 can't be read" in output
    assert output.endswith("gal: 0 pictures removed\n")


def test_what_comes_back_or_moves_meanwhile_stays(work, capsys, monkeypatch):
    build(capsys)
    names = ("plain.PNG", "0001_c1s1.jpg", "0002_c1s1.jpg")
    for name in names:
        (work / "crops" / name).rename(work / name)
    compare = row_check.compare

    def then_others(*arguments):
        report = compare(*arguments)
        os.rename("plain.PNG", "crops/plain.PNG")
        add(capsys, "0001_c1s1.jpg")
        return report

    monkeypatch.setattr(row_check, "compare", then_others)
    assert check(capsys, "--remove").endswith("gal: 1 pictures removed\n")
    assert len(stored()) == 7 and "0002_c1s1.jpg" not in stored()


def test_a_check_that_was_killed_is_caught_up_with(work, capsys, monkeypatch):
    build(capsys)
    (work / "crops" / "plain.PNG").unlink()

    def full(connection, path):
        raise GalleryError("the disk is full", path)

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_transactions, "vacuum", full)
        with pytest.raises(GalleryError, match=r"1 pictures are removed, but .* the disk is full"):
            check(capsys, "--remove")
    assert check(capsys, "--remove").endswith("gal: 0 pictures removed\n")
    with GalleryStore("gal") as store:
        assert not store.unerased()


def test_many_pages(work, capsys, monkeypatch):
    monkeypatch.setattr(row_check, "_PAGE", 3)
    build(capsys)
    (work / "crops" / "plain.PNG").unlink()
    assert "8 pictures checked; 1 files are gone" in check(capsys)


@pytest.mark.parametrize("command", ["check", "add", "build"])
def test_in_a_terminal_that_is_not_utf_8(work, capsys, command):
    write_files(work / "umlauts", ["Über_c1.jpg"])
    if command != "build":
        build(capsys, "umlauts")
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    arguments = [] if command == "check" else [SERVER, "--skip_bad_images", "umlauts"]
    done = subprocess.run(
        [sys.executable, fake_embedder.__file__, "3", command, "--gallery=gal", *arguments],
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert "names of files are ascii in this terminal" in done.stderr
    assert "Traceback" not in done.stderr and "rename" not in done.stderr
