"""Nothing of a removed picture stays in the folder, not even when the process is killed."""

import dataclasses
import os
import random
import signal
import time

import pytest

from serving.gallery import sqlite_transactions
from serving.gallery.records import Picture, Selection
from serving.gallery.store import GalleryStore
from tests.support.small_gallery import (
    BINDING,
    contents,
    everything_on_disk,
    filled,
    integrity,
    picture,
    python,
    traces,
    unit_vectors,
)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_of_an_erased_picture_is_left_in_the_folder(tmp_path, seed):
    # Oldest first, as retention removes. With secure_delete but without the VACUUM every one
    # of these seeds finds 1 or 2 of the 1000 here.
    folder = tmp_path / "gal"
    random_ = random.Random(seed)
    count = 1500
    vectors = unit_vectors(count, seed)
    pictures = [
        Picture(f"/{random_.random()}/person{number:05d}.jpg", "1", b"%032d" % number)
        for number in range(count)
    ]
    store = GalleryStore.create(str(folder), BINDING, pictures[:8], vectors[:8])
    for start in range(8, count, 8):
        store.add(pictures[start : start + 8], vectors[start : start + 8])
    (folder / "approximate.faiss").write_bytes(vectors.tobytes())
    (folder / "approximate.faiss.new").write_bytes(vectors.tobytes())
    gone = sorted(random_.sample(range(count), count * 2 // 3))
    for start in range(0, len(gone), 50):
        chosen = tuple(pictures[number].file for number in gone[start : start + 50])
        assert store.remove(Selection(files=chosen)) == len(chosen)
    # Zeros are written at once.
    assert len(set(traces(folder, vectors)) & set(gone)) < 10
    store.finish_erasure()
    kept = sorted(set(range(count)) - set(gone))
    # The search for traces finds what is there, and only that.
    assert traces(folder, vectors) == kept
    data = everything_on_disk(folder)
    named = [n for n in range(count) if f"person{n:05d}.jpg".encode() in data]
    assert named == kept
    assert not store.unerased()
    assert sorted(contents(store)) == sorted(pictures[number].file for number in kept)


def test_the_old_embedding_of_a_replaced_picture_is_erased_too(tmp_path):
    store, vectors = filled(tmp_path / "gal", 20)
    store.add([picture(4)], unit_vectors(1, seed=5))
    store.finish_erasure()
    assert traces(tmp_path / "gal", vectors) == [row for row in range(20) if row != 4]


MEASURED_VACUUM = """
import os, resource, sqlite3, sys
from serving.gallery import sqlite_file, sqlite_transactions

connection, opened = sqlite_file.connect(sys.argv[1]), set()

def look():
    for number in os.listdir("/proc/self/fd"):
        try:
            opened.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            pass

def used():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

connection.set_progress_handler(look, 1000)
before = used()
sqlite_transactions.vacuum(connection, os.path.join(sys.argv[1], "gallery.sqlite"))
print((used() - before) // 1024)
print(sum("(deleted)" in path and os.path.dirname(path) == sys.argv[1] for path in opened))
print([path for path in opened if path.startswith(("/var/tmp", "/usr/tmp", "/tmp/etilqs"))])
"""


def test_rewriting_takes_no_memory_and_no_room_elsewhere(tmp_path):
    folder = tmp_path / "it's a gäl"
    vectors = unit_vectors(3000, dim=4096)  # 48 MiB
    binding = dataclasses.replace(BINDING, dim=4096)
    GalleryStore.create(str(folder), binding, [picture(n) for n in range(3000)], vectors).close()
    process = python(MEASURED_VACUUM, folder)
    output, error = process.communicate()
    assert process.returncode == 0, error
    mib, here, elsewhere = output.splitlines()
    assert int(mib) < 20 and int(here) == 1 and elsewhere == "[]"
    assert os.listdir(folder) == ["gallery.sqlite"]


def test_erasure_that_was_cut_short_is_caught_up_with(tmp_path, monkeypatch):
    store, _ = filled(tmp_path / "gal", 20)
    store.remove(Selection(files=(picture(3).file,)))
    store.close()  # killed here
    rewritten = []
    vacuum = sqlite_transactions.vacuum
    monkeypatch.setattr(
        sqlite_transactions, "vacuum", lambda *both: (rewritten.append(1), vacuum(*both))
    )
    with GalleryStore(str(tmp_path / "gal")) as store:
        assert store.unerased()
        store.finish_erasure()
        assert not store.unerased() and rewritten == [1]
        store.finish_erasure()
    assert rewritten == [1]


def test_what_another_process_removes_meanwhile_is_not_taken_for_erased(tmp_path, monkeypatch):
    store, _ = filled(tmp_path / "gal", 20)
    store.remove(Selection(files=(picture(3).file,)))
    vacuum = sqlite_transactions.vacuum

    def remove_more_afterwards(*arguments):
        vacuum(*arguments)
        with GalleryStore(store.folder) as other:
            other.remove(Selection(files=(picture(4).file,)))

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_transactions, "vacuum", remove_more_afterwards)
        store.finish_erasure()
    assert store.unerased()
    store.finish_erasure()
    assert not store.unerased()


def test_nothing_removed_changes_nothing(tmp_path):
    store, _ = filled(tmp_path / "gal", 3)
    (tmp_path / "gal" / "approximate.faiss").write_bytes(b"index")
    revision = store.revision()
    assert store.remove(Selection(cameras=("9",))) == 0
    assert store.revision() == revision and not store.unerased()
    assert (tmp_path / "gal" / "approximate.faiss").exists()


REMOVER = """
import sys
sys.path.insert(0, ".")
from serving.gallery.records import Selection
from serving.gallery.store import GalleryStore
from tests.support.small_gallery import picture

with GalleryStore(sys.argv[1]) as store:
    print("ready", flush=True)
    for number in range(400):
        store.remove(Selection(files=(picture(number).file,)))
        store.finish_erasure()
        print(number, flush=True)
"""


@pytest.mark.parametrize("attempt", range(8))
def test_a_killed_remove_has_erased_what_it_acknowledged_and_lost_nothing_else(tmp_path, attempt):
    folder = tmp_path / "gal"
    store, vectors = filled(folder, 400)
    store.close()
    process = python(REMOVER, folder)
    assert process.stdout.readline() == "ready\n"
    time.sleep(random.Random(attempt).uniform(0.005, 0.4))
    os.kill(process.pid, signal.SIGKILL)
    acknowledged = process.stdout.read().split()
    process.communicate()
    count = len(acknowledged)
    # Before anybody repairs anything.
    assert not [row for row in traces(folder, vectors) if row < count]
    with GalleryStore(str(folder)) as store:
        left = sorted(contents(store))
        assert left in (
            [picture(n).file for n in range(start, 400)] for start in (count, count + 1)
        )
        store.remove(Selection(files=(picture(399).file,)))
        store.finish_erasure()
    assert traces(folder, vectors) == list(range(400 - len(left), 399))
    assert integrity(folder) == "ok"
