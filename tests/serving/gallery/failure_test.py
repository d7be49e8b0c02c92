"""A store that is damaged, full, read-only or in use says so, and loses nothing."""

import os
import sqlite3

import numpy as np
import pytest

from serving.errors import GalleryError
from serving.gallery import inner_products, search, sqlite_errors, sqlite_transactions
from serving.gallery.records import Selection
from serving.gallery.store import GalleryStore
from tests.support.small_gallery import contents, filled, integrity, picture, python, unit_vectors


def damage_not_sqlite(path):
    path.write_text("not a database at all, but long enough to be read as one" * 20)


def damage_other_database(path):
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE gallery (embedding_space TEXT)")


def damage_truncated(path):
    os.truncate(path, 40000)


def damage_empty(path):
    os.truncate(path, 0)


def damage_newer(path):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")


def damage_embedding(path):
    data = path.read_bytes()
    vector = unit_vectors(300)[7].tobytes()
    assert data.count(vector) == 1
    path.write_bytes(data.replace(vector, b"\0" * len(vector)))


def damage_length(path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE pictures SET embedding = 'text' WHERE id = 3")


def damage_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "damage, message",
    [
        (damage_not_sqlite, "damaged, or no gallery; restore a copy"),
        (damage_other_database, "not the file of a gallery"),
        (damage_truncated, "damaged"),
        (damage_empty, "not the file of a gallery"),
        (damage_newer, "layout 2, and this program knows layout 1"),
        (damage_embedding, "damaged: the embedding of row 8 is not of unit length"),
        (damage_length, "damaged: the embedding of row 3 has a wrong size"),
        (damage_folder, "can't be opened"),
    ],
)
def test_damage_is_reported(tmp_path, damage, message):
    store, _ = filled(tmp_path / "gal", 300)
    store.close()
    damage(tmp_path / "gal" / "gallery.sqlite")
    with (
        pytest.raises(GalleryError, match=message),
        GalleryStore(str(tmp_path / "gal")) as store,
        store.snapshot(),
    ):
        store.load()


def test_another_writer_is_waited_for_and_then_reported(tmp_path, monkeypatch):
    store, _ = filled(tmp_path / "gal", 1)
    monkeypatch.setattr(sqlite_errors, "WAIT_FOR_LOCK", 0.2)
    with GalleryStore(str(tmp_path / "gal")) as other, other.locked():
        assert GalleryStore(str(tmp_path / "gal")).count() == 1  # readers don't mind
        with pytest.raises(GalleryError, match="another process has been reading or wri"):
            GalleryStore(str(tmp_path / "gal")).add([picture(5)], unit_vectors(1))
    store.add([picture(5)], unit_vectors(1))
    assert store.count() == 2


def test_others_may_write_while_the_nearest_are_sought(tmp_path, monkeypatch):
    """The answer is still that of the moment the gallery was read."""
    store, vectors = filled(tmp_path / "gal", 20)
    monkeypatch.setattr(sqlite_errors, "WAIT_FOR_LOCK", 0)
    nearest = inner_products.nearest

    def change_meanwhile(*arguments):
        with GalleryStore(store.folder) as other:
            other.remove(Selection(files=(picture(4).file,)))
            other.add([picture(30, camera="9")], vectors[4:5])
        return nearest(*arguments)

    monkeypatch.setattr("serving.gallery.store.nearest", change_meanwhile)
    (hits,) = search.exact(store, vectors[4:5], 30)
    assert len(hits) == 20 and hits[0].picture.file == picture(4).file


# It rests between chunks, so that a reader comes in between, however busy the machine is.
WRITER = """
import sys, time
sys.path.insert(0, ".")
from serving import command
from serving.gallery.store import GalleryStore
from tests.support.small_gallery import contents, picture, unit_vectors

def main():
    with GalleryStore(sys.argv[1]) as store:
        print(len(contents(store)), flush=True)
        for number in range(int(sys.argv[2]), int(sys.argv[2]) + 300, 3):
            chunk = range(number, number + 3)
            store.add([picture(each) for each in chunk], unit_vectors(1000)[list(chunk)])
            time.sleep(0.005)

command.run(main)
"""


def test_two_writers_lose_nothing_and_readers_see_whole_chunks(tmp_path):
    store, _ = filled(tmp_path / "gal", 1)
    writers = [python(WRITER, tmp_path / "gal", start) for start in (100, 500)]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        seen.add(len(contents(store)))
    for writer in writers:
        assert writer.wait() == 0, writer.stderr.read()
        writer.communicate()
    assert len(seen) > 2 and all(count % 3 == 1 for count in seen)
    vectors = unit_vectors(1000)
    expected = [*range(100, 400), *range(500, 800)]
    rows = contents(store)
    assert len(rows) == 601
    assert all(rows[picture(number).file] == vectors[number].tobytes() for number in expected)


@pytest.mark.parametrize("work", ["store.load()", "sqlite_transactions.vacuum(Starved(), 'gal')"])
def test_want_of_memory_is_reported(tmp_path, monkeypatch, work):
    store, _ = filled(tmp_path / "gal", 3)

    class Starved:
        def execute(self, *_):
            raise MemoryError

    def starved(*_):
        raise MemoryError

    monkeypatch.setattr(np, "empty", starved)
    with pytest.raises(GalleryError, match="isn't enough memory for this"), store.snapshot():
        eval(work, {"store": store, "sqlite_transactions": sqlite_transactions, "Starved": Starved})
    monkeypatch.undo()
    assert len(contents(store)) == 3


# Here and below in the process itself, not by preexec_fn: where gRPC runs, a fork may abort.
LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
"""


def test_a_full_disk_is_reported_and_what_was_committed_stays(tmp_path):
    folder = tmp_path / "gal"
    store, _ = filled(folder, 3)
    store.close()
    size = (folder / "gallery.sqlite").stat().st_size
    process = python(LIMITED.format(size=size + 32768) + WRITER, folder, 100)
    _, error = process.communicate()
    assert process.returncode == 2
    assert "the disk is full or failing. What was committed is kept" in error
    assert "Traceback" not in error
    with GalleryStore(str(folder)) as store:
        rows = contents(store)
        assert len(rows) > 3 and len(rows) % 3 == 0
        store.add([picture(900)], unit_vectors(1))
    assert integrity(folder) == "ok"


# Root writes into read-only folders unless it gives this right up (PR_CAPBSET_DROP,
# CAP_DAC_OVERRIDE), which the next program feels.
WITHOUT_OVERRIDE = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[1:]])
"""


def test_a_read_only_folder_can_be_read_and_a_write_is_reported(tmp_path):
    folder = tmp_path / "gal"
    store, _ = filled(folder, 3)
    store.close()
    (folder / "gallery.sqlite").chmod(0o444)
    folder.chmod(0o555)
    process = python(WITHOUT_OVERRIDE, WRITER, folder, 100)
    output, error = process.communicate()
    folder.chmod(0o755)
    assert output == "3\n"
    assert process.returncode == 2
    assert "can't be opened or written; check the rights" in error and "Traceback" not in error


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GalleryError, match="can't be written: Not a directory"):
        filled(tmp_path / "file" / "gal", 1)
    with pytest.raises(GalleryError, match="can't be written: File exists"):
        filled(tmp_path / "file", 1)
