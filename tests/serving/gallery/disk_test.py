"""A gallery on a disk without locks, on one that fails, and on one that can't be written."""

import errno
import fcntl
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

from datasets.files import durable, locks
from serving.errors import GalleryError
from serving.gallery import approximate_search, sqlite_file
from serving.gallery.store import GalleryStore
from tests.support import failing_disk, fake_embedder, other_system
from tests.support.fake_embedder import write_files
from tests.support.gallery_shell import SERVER, add, build, stored
from tests.support.places import ROOT
from tests.support.small_gallery import contents, filled, integrity, picture

pytest_plugins = ["tests.support.gallery_fixtures"]  # fake, work

NO_LOCKS = ("ENOLCK", "ENOSYS", "ENOTSUP", "EINVAL", "EACCES")
SHORT = 40  # seconds, less than SQLite waits for another process


def failing(name):
    def fail(*_, **__):
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    return fail


def refused(*line, environment=None):
    """Runs a command that must fail before it embeds anything; returns its stderr."""
    done = subprocess.run(
        [sys.executable, *map(str, line)],
        cwd=ROOT,
        env={**(environment or os.environ), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=SHORT,
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "committed" not in done.stdout
    return done.stderr


@pytest.fixture(scope="module")
def preload(tmp_path_factory):
    return failing_disk.library(tmp_path_factory.mktemp("library"))


@pytest.mark.parametrize("name", ["ENOLCK", "ENOTSUP"])
def test_a_disk_without_locks_is_named_before_anything_is_embedded(tmp_path, preload, name):
    write_files(tmp_path / "crops", ["a.jpg", "b.jpg"])
    environment = {**preload, "NO_LOCKS": str(getattr(errno, name))}
    new, old = tmp_path / "deep" / "new", tmp_path / "old"
    filled(old, 2)[0].close()
    lines = [
        ("build", new, SERVER, tmp_path / "crops"),
        ("add", old, SERVER, tmp_path / "crops"),
        ("search", old, SERVER, tmp_path / "crops"),
        ("remove", old, "--camera=1"),
        ("info", old),
    ]
    for command, folder, *arguments in lines if name == "ENOLCK" else lines[:1]:
        line = (fake_embedder.__file__, 1, command, f"--gallery={folder}", *arguments)
        said = refused(*line, environment=environment)
        assert f"error: {folder}: this disk can't lock parts of files" in said
        assert "on a local disk" in said and os.strerror(getattr(errno, name)) in said
    assert not new.parent.exists() and os.listdir(old) == ["gallery.sqlite"]
    assert integrity(old) == "ok"


def test_where_nothing_can_be_tried_sqlite_says_that_there_are_no_locks(tmp_path, preload):
    filled(tmp_path / "gal", 2)[0].close()
    environment = {**preload, "NO_LOCKS": str(errno.ENOTSUP)}
    line = ("-m", "serving.gallery", "info", f"--gallery={tmp_path / 'gal'}")
    # A test of the file system that nobody may write: see `without_rights`.
    said = without_rights(tmp_path / "gal", *line, environment=environment)
    assert "this disk can't lock parts of files" in said.stderr and said.returncode == 2


@pytest.mark.parametrize("name", NO_LOCKS)
def test_the_locks_of_a_disk_are_tried_by_themselves(tmp_path, monkeypatch, fake, name):
    filled(tmp_path / "gal", 2)[0].close()
    monkeypatch.setattr(fcntl, "lockf", failing(name))
    with pytest.raises(GalleryError, match="gal: this disk can't lock parts of files"):
        GalleryStore(str(tmp_path / "gal"))
    with pytest.raises(GalleryError, match="new/gal: this disk can't lock"):
        sqlite_file.check_new(str(tmp_path / "new" / "gal"))
    with pytest.raises(GalleryError, match="new/gal: this disk can't lock"):
        filled(tmp_path / "new" / "gal", 2)
    assert os.listdir(tmp_path) == ["gal"]


BEGIN = """
import sqlite3, sys
sqlite3.connect(sys.argv[1], timeout=0).execute("BEGIN EXCLUSIVE")
"""


def test_the_try_leaves_the_locks_of_an_open_gallery_alone(tmp_path):
    store, _ = filled(tmp_path / "gal", 2)
    with store.locked():
        store.check_writable()
        GalleryStore(str(tmp_path / "gal")).close()
        line = [sys.executable, "-c", BEGIN, tmp_path / "gal" / "gallery.sqlite"]
        done = subprocess.run(line, capture_output=True, text=True)
        assert "database is locked" in done.stderr


# Root writes where nobody may, unless it gives this right up (PR_CAPBSET_DROP, CAP_DAC_OVERRIDE),
# which the next program feels.
WITHOUT_OVERRIDE = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def without_rights(folder, *line, environment=None):
    """Runs Python while a gallery can be read only."""
    (folder / "gallery.sqlite").chmod(0o444)
    folder.chmod(0o555)
    try:
        return subprocess.run(
            [sys.executable, "-c", WITHOUT_OVERRIDE, *map(str, line)],
            cwd=ROOT,
            env={**(environment or os.environ), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=SHORT,
        )
    finally:
        folder.chmod(0o755)


def test_another_users_gallery_can_be_searched_and_says_why_it_cannot_be_changed(tmp_path):
    folder = tmp_path / "gal"
    filled(folder, 2)[0].close()
    write_files(tmp_path / "crops", ["a.jpg"])

    def run(command, *arguments):
        line = (fake_embedder.__file__, 1, command, f"--gallery={folder}", *arguments)
        return without_rights(folder, *line)

    assert run("info").returncode == 0
    found = run("search", SERVER, tmp_path / "crops")
    assert found.returncode == 0 and "00001.jpg" in found.stdout, found.stderr
    for line in (("add", SERVER, tmp_path / "crops"), ("remove", "--camera=1")):
        done = run(*line)
        assert done.returncode == 2 and "committed" not in done.stdout
        assert f"{folder}: can be searched, but not changed: Permission denied" in done.stderr
    (folder / "gallery.sqlite").chmod(0o644)
    with GalleryStore(str(folder)) as store:
        assert len(contents(store)) == 2


def test_a_gallery_on_a_read_only_disk(work, capsys, monkeypatch, fake):
    build(capsys, "crops/0001_c1s1.jpg")
    fake()
    monkeypatch.setattr(tempfile, "TemporaryFile", failing("EROFS"))
    with pytest.raises(GalleryError, match="gal: can be searched, but not changed: Read-only file"):
        add(capsys, "crops")
    assert list(stored()) == ["0001_c1s1.jpg"]


def test_a_place_that_cannot_be_written_is_named_before_anything_is_embedded(
    work,
    capsys,
    monkeypatch,
    fake,
):
    client = fake()
    monkeypatch.setattr(tempfile, "TemporaryFile", failing("EROFS"))
    with pytest.raises(GalleryError, match="gal: can't be written: Read-only file system"):
        build(capsys)
    assert client.asked == [] and not os.path.exists("gal")


@pytest.mark.parametrize("name", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("step", ["makedirs", "replace", "first sync", "last sync", "lock"])
def test_a_disk_that_fails_at_any_step_leaves_no_half_gallery(tmp_path, monkeypatch, step, name):
    syncs = []
    if step.endswith("sync"):
        sync = durable.sync_folder

        def sync_until(folder):
            syncs.append(folder)
            if len(syncs) == {"first sync": 1, "last sync": 3}[step]:
                failing(name)()
            sync(folder)

        monkeypatch.setattr(durable, "sync_folder", sync_until)
    elif step == "lock":
        monkeypatch.setattr("datasets.files.locks.held", failing(name))
    else:
        monkeypatch.setattr(os, step, failing(name))
    with pytest.raises(
        GalleryError, match=f"new/gal: can't be written: {os.strerror(getattr(errno, name))}"
    ):
        filled(tmp_path / "new" / "gal", 2)
    assert os.listdir(tmp_path) == []
    monkeypatch.undo()
    store, _ = filled(tmp_path / "new" / "gal", 2)
    assert len(contents(store)) == 2


def test_a_folder_that_a_failed_build_took_away_is_made_again(tmp_path, monkeypatch):
    folder, held = tmp_path / "gal", locks.held

    def take_away_first(*arguments):
        monkeypatch.setattr(locks, "held", held)
        folder.rmdir()
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(locks, "held", take_away_first)
    store, _ = filled(folder, 2)
    assert len(contents(store)) == 2


# Makes a gallery again and again, and another call fails each time, until there is none left.
MAKE = """
import ctypes, errno, os, sys
from serving.errors import GalleryError
from tests.support.small_gallery import contents, filled, integrity
import pathlib
calls = ctypes.c_int.in_dll(ctypes.CDLL(os.environ["LD_PRELOAD"]), "calls")
os.environ["FAIL_WITH"] = str(getattr(errno, sys.argv[2]))
at, failed = 0, 0
while at == 0 or calls.value >= at:
    at += 1
    folder = pathlib.Path(sys.argv[1], "%d" % at, "gal")
    folder.parent.mkdir()
    os.environ["FAIL_AT"] = str(at)
    calls.value = 0
    try:
        filled(folder, 300)[0].close()
    except GalleryError as error:
        assert str(folder) in str(error), error
        assert os.listdir(folder.parent) == [], os.listdir(folder.parent)
        failed += 1
    else:
        made, os.environ["FAIL_AT"] = calls.value, "0"
        assert os.listdir(folder) == ["gallery.sqlite"]
        assert integrity(folder) == "ok" and made
        calls.value = made
print(at, failed)
"""


@pytest.mark.parametrize("name", ["EIO", "ENOSPC"])
def test_a_call_that_fails_leaves_a_whole_gallery_and_success_or_none_and_an_error(
    tmp_path, preload, name
):
    line = [sys.executable, "-c", MAKE, tmp_path, name]
    environment = {**preload, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tries, failed = map(int, done.stdout.split())
    assert tries > failed >= 3


@pytest.mark.parametrize(
    "path, uri",
    [
        (r"\\server\share\g #1\gallery.sqlite", "file:////server/share/g%20%231/gallery.sqlite"),
        (r"C:\Users\J%\gallery.sqlite", "file:///C:/Users/J%25/gallery.sqlite"),
    ],
)
def test_sqlite_is_told_paths_of_windows(path, uri):
    assert sqlite_file._uri(pathlib.PureWindowsPath(path)) == uri


@pytest.mark.parametrize(
    "name", ["a b?mode=ro#x%41", "C:", "\N{SNOWMAN}", "back\\slash", "b\udcff"]
)
def test_names_of_folders_are_no_part_of_an_address(tmp_path, name):
    filled(tmp_path / name, 2)[0].close()
    assert os.listdir(tmp_path / name) == ["gallery.sqlite"]
    notes = []
    with GalleryStore(str(tmp_path / name)) as store:
        _, vectors = store.load()
        for _ in range(2):
            (hits,), _ = approximate_search.search(store, vectors[1:], 1, notes.append)
            assert hits[0].picture.file == picture(1).file
    assert len(notes) == 1  # the index was kept, and read


@pytest.mark.parametrize("system", ["linux", "no_flock=ENOSYS"])
def test_commands_at_once_wait_for_each_other(tmp_path, system):
    names = [f"{number:03d}_c{number % 4}.jpg" for number in range(60)]
    write_files(tmp_path / "crops", names)
    write_files(tmp_path / "more", [f"more{number:03d}_c9.jpg" for number in range(60)])

    def start(command, *arguments):
        program = (other_system.__file__, system, "tests.support.fake_embedder", 4, command)
        line = [sys.executable, *program, f"--gallery={tmp_path / 'gal'}", *arguments]
        return subprocess.Popen(
            list(map(str, line)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    builds = [start("build", SERVER, tmp_path / "crops") for _ in range(2)]
    errors = [process.communicate()[1] for process in builds]
    assert sorted(process.returncode for process in builds) == [0, 2], errors
    assert "is a gallery already; use add" in "".join(errors)
    others = [
        start("add", SERVER, tmp_path / "more"),
        start("add", SERVER, tmp_path / "more"),
        start("remove", "--camera=1"),
        start("search", SERVER, tmp_path / "crops"),
    ]
    for process in others:
        _, error = process.communicate()
        assert process.returncode == 0, error
    kept = [name for name in names if not name.endswith("c1.jpg")]
    assert sorted(stored(tmp_path / "gal")) == sorted([*kept, *os.listdir(tmp_path / "more")])
    assert integrity(tmp_path / "gal") == "ok"
    assert os.listdir(tmp_path / "gal") == ["gallery.sqlite"]
