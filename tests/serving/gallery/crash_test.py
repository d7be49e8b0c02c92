"""Builds and adds that are killed, or run at once, lose nothing that was acknowledged."""

import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

from serving.gallery.store import GalleryStore
from tests.support import fake_embedder
from tests.support.fake_embedder import unit, write_files
from tests.support.gallery_shell import SERVER, stored
from tests.support.places import ROOT


def start(chunk, *arguments):
    return subprocess.Popen(
        [sys.executable, fake_embedder.__file__, str(chunk), *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_build_and_add_keep_every_acknowledged_chunk_and_add_goes_on(tmp_path):
    folder, chunk = tmp_path / "gal", 4
    files = write_files(tmp_path / "crops", [f"{number:05d}_c1.jpg" for number in range(3000)])
    expected = {str(file): unit(fake_embedder.by_content(file, 16)).tobytes() for file in files}
    chance = random.Random(5)
    kept, killed = 0, 0
    for attempt in itertools.count():
        action = "add" if folder.exists() else "build"
        process = start(chunk, action, SERVER, f"--gallery={folder}", tmp_path / "crops")
        if attempt < 10:
            first = process.stdout.readline()
            assert first, process.stderr.read()
            time.sleep(chance.uniform(0, 0.15))
            os.kill(process.pid, signal.SIGKILL)
        # Not communicate, which overlooks what readline has taken from the pipe but not given.
        lines = (first if attempt < 10 else "") + process.stdout.read()
        process.communicate()
        acknowledged = kept + chunk * lines.count("committed")
        rows = check_prefix(folder, files, expected)
        if process.returncode == 0:
            break
        killed += 1
        assert rows in (acknowledged, acknowledged + chunk)
        kept = rows
    assert killed >= 8 and rows == 3000


def check_prefix(folder, files, expected):
    with GalleryStore(str(folder)) as store, store.snapshot():
        pictures, vectors = store.load()
    got = {each.file: vector.tobytes() for each, vector in zip(pictures, vectors, strict=True)}
    assert got == {str(file): expected[str(file)] for file in files[: len(got)]}
    with sqlite3.connect(folder / "gallery.sqlite") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    return len(got)


def test_two_builds_at_once_make_one_gallery(tmp_path):
    crops = tmp_path / "crops"
    write_files(crops, [f"{number:05d}.jpg" for number in range(40)])
    processes = [
        start(4, "build", SERVER, f"--gallery={tmp_path / 'gal'}", crops) for _ in range(2)
    ]
    errors = [process.communicate()[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 2], errors
    assert "is a gallery already; use add" in "".join(errors)
    assert len(stored(tmp_path / "gal")) == 40


def test_adds_at_once_lose_nothing(tmp_path):
    write_files(tmp_path / "first", ["0.jpg"])
    start(4, "build", SERVER, f"--gallery={tmp_path / 'gal'}", tmp_path / "first").communicate()
    for name in ("a", "b"):
        write_files(tmp_path / name, [f"{name}{number:04d}.jpg" for number in range(200)])
    processes = [
        start(3, "add", SERVER, f"--gallery={tmp_path / 'gal'}", tmp_path / name) for name in "ab"
    ]
    for process in processes:
        error = process.communicate()[1]
        assert process.returncode == 0, error
    assert len(stored(tmp_path / "gal")) == 401


def moved_gallery(tmp_path):
    """A gallery of 1500 pictures, aged, in a folder that has moved and has 60 new ones."""
    folder, crops = tmp_path / "gal", tmp_path / "crops"
    write_files(crops, [f"{number:05d}_c1.jpg" for number in range(1500)])
    start(500, "build", SERVER, f"--gallery={folder}", crops).communicate()
    with sqlite3.connect(folder / "gallery.sqlite") as connection:
        connection.execute("UPDATE pictures SET inserted_at = 1000")
    connection.close()
    moved = crops.rename(tmp_path / "moved")
    write_files(moved, [f"new{number:03d}_c1.jpg" for number in range(60)])
    return folder, moved


def contents(folder):
    """{content: name}, each once; and how many are as old as the first."""
    with GalleryStore(str(folder)) as store:
        pictures = store.pictures()
    found = {each.content_hash: os.path.basename(each.file) for each in pictures}
    assert len(found) == len(pictures)
    return found, sum(each.inserted_at == 1000 for each in pictures)


def test_a_killed_add_of_pictures_that_moved_loses_and_doubles_none(tmp_path):
    folder, moved = moved_gallery(tmp_path)
    before, _ = contents(folder)
    chance = random.Random(7)
    for _ in range(4):
        process = start(2, "add", SERVER, f"--gallery={folder}", moved)
        # In the middle of what it writes, or soon after.
        while process.poll() is None and not (folder / "gallery.sqlite-journal").exists():
            time.sleep(0.0005)
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.communicate()
        found, old = contents(folder)
        assert before.items() <= found.items() and old == 1500
    process = start(20, "add", SERVER, f"--gallery={folder}", moved)
    assert process.communicate() and process.returncode == 0
    found, old = contents(folder)
    assert (len(found), old) == (1560, 1500)
    with GalleryStore(str(folder)) as store:
        assert {os.path.dirname(each.file) for each in store.pictures()} == {str(moved)}
        assert not store.unerased()


def test_adds_at_once_of_pictures_that_moved_double_none(tmp_path):
    folder, moved = moved_gallery(tmp_path)
    processes = [start(20, "add", SERVER, f"--gallery={folder}", moved) for _ in range(2)]
    for process in processes:
        error = process.communicate()[1]
        assert process.returncode == 0, error
    found, old = contents(folder)
    assert (len(found), old) == (1560, 1500)
