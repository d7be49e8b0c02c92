"""A gallery in Milvus whose disk, process or server fails in the middle."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from serving.errors import ServingError
from serving.gallery import place
from serving.gallery.records import EVERYTHING
from tests.support import small_shards
from tests.support.gallery_shell import run
from tests.support.milvus_galleries import loaded, pictures
from tests.support.places import ROOT
from tests.support.small_gallery import BINDING, unit_vectors

pytest.importorskip("milvus_lite")
milvus_changes = pytest.importorskip("serving.gallery.milvus_changes")
milvus_connection = pytest.importorskip("serving.gallery.milvus_connection")
milvus_layout = pytest.importorskip("serving.gallery.milvus_layout")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_whose_maker_was_killed_before_it_had_an_index_gets_it(monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    call = milvus_connection.Collection.call

    def but_dropping(self, method, *arguments, **options):
        if method != "drop_collection":  # as after kill -9: nobody clears away
            return call(self, method, *arguments, **options)

    with monkeypatch.context() as context:
        context.setattr(milvus_layout, "_ensure_ready", killed)
        context.setattr(milvus_connection.Collection, "call", but_dropping)
        with pytest.raises(KeyboardInterrupt):
            place.create("gal.db", BINDING, pictures(3), unit_vectors(3))
    with place.open_gallery("gal.db") as store:
        assert store.count() == 0
        store.add(pictures(3), unit_vectors(3))
        assert len(store.nearest(unit_vectors(1), 3, EVERYTHING)[0]) == 3


FULL = """
import resource, signal, sys
from serving import command
from serving.gallery import command_line, milvus_changes
upsert, left = milvus_changes.upsert, int(sys.argv[1])
def until_full(*arguments):
    global left
    left -= 1
    if left < 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    upsert(*arguments)
milvus_changes.upsert = until_full
command.run(lambda: command_line.main(sys.argv[2:]))
"""


@pytest.mark.parametrize("batches", [0, 1, 2])
def test_a_disk_that_is_full_in_a_fill_is_told_and_the_fill_goes_on(folder, capsys, batches):
    (folder / "shards").mkdir()
    small_shards.write(folder / "shards", small_shards.job())
    command = ["fill", "--gallery=gal.db", "--shards=shards"]
    line = [sys.executable, "-c", FULL, str(batches), *command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "gal.db: the disk is full or failing" in done.stderr
    assert "Traceback" not in done.stderr
    run(capsys, *command)
    with place.open_gallery("gal.db") as store:
        assert store.count() == 7


@pytest.mark.parametrize("end", [".idx", ".sidx"])
def test_a_part_of_an_index_file_is_no_end_of_a_gallery(folder, end):
    """As a full disk leaves it; indexes are made of the rows, and so anew."""
    (folder / "shards").mkdir()
    small_shards.write(folder / "shards", small_shards.job())
    # Of this process Milvus Lite would keep what it has loaded.
    line = [sys.executable, "-m", "serving.gallery", "fill", "--gallery=gal.db", "--shards=shards"]
    subprocess.run(line, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    files = list((folder / "gal.db").rglob(f"*{end}"))
    assert files
    for path in files:
        os.truncate(path, path.stat().st_size // 2)
    with place.open_gallery("gal.db") as store:
        pictures, vectors = store.load()
        assert len(pictures) == 7
        found = store.nearest(vectors, 3, EVERYTHING)
        expected = np.sort(vectors @ vectors.T, axis=1)[:, :-4:-1]
        scores = [[hit.score for hit in hits] for hits in found]
        np.testing.assert_allclose(scores, expected, atol=1e-6)
        assert store.by_content({pictures[0].content_hash})


KILLED = """
import os, signal, sys
from serving.gallery import command_line, milvus_changes
upsert, left = milvus_changes.upsert, int(sys.argv[1])
def until_killed(*arguments):
    global left
    upsert(*arguments)
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
milvus_changes.upsert = until_killed
command_line.main(sys.argv[2:])
"""


@pytest.mark.parametrize("batches", [0, 1])
def test_a_fill_that_was_killed_goes_on(folder, capsys, batches):
    (folder / "shards").mkdir()
    job = small_shards.job()
    small_shards.write(folder / "shards", job)
    line = [sys.executable, "-c", KILLED, str(batches)]
    command = ["fill", "--gallery=gal.db", "--shards=shards"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*line, *command], env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    run(capsys, *command)
    run(capsys, "fill", "--gallery=gal", "--shards=shards")
    with place.open_gallery("gal.db") as milvus, place.open_gallery("gal") as store:
        expected, found = loaded(store), loaded(milvus)
    assert {file: each[1] for file, each in found.items()} == {
        file: each[1] for file, each in expected.items()
    }


SERVER_PROCESS = """
import sys, time
from milvus_lite.adapter.grpc.server import start_server_in_thread
server, db, port = start_server_in_thread(sys.argv[1], port=int(sys.argv[2]))
print(port, flush=True)
time.sleep(300)
"""


def start_server(folder, port=0):
    """Milvus Lite behind a port, as a server is; returns the process and the port."""
    line = [sys.executable, "-c", SERVER_PROCESS, str(folder / "served.db"), str(port)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


def test_a_server_that_dies_in_a_fill_is_told_and_the_fill_goes_on(folder, capsys, monkeypatch):
    (folder / "shards").mkdir()
    small_shards.write(folder / "shards", small_shards.job())
    process, port = start_server(folder)
    command = ["fill", f"--gallery=http://localhost:{port}/people", "--shards=shards"]
    upsert, left = milvus_changes.upsert, [2]

    def until_the_server_dies(*arguments):
        left[0] -= 1
        if left[0] == 0:
            process.kill()
            process.wait()
        upsert(*arguments)

    try:
        with monkeypatch.context() as context:
            context.setattr(milvus_changes, "upsert", until_the_server_dies)
            context.setattr(milvus_connection, "_CALL", 5)
            with pytest.raises(ServingError, match=r"can't be reached.*give the same command"):
                run(capsys, *command)
        process.stdout.close()
        process, _ = start_server(folder, port)
        # A process of its own: the client remembers servers that were gone.
        line = [sys.executable, "-m", "serving.gallery", *command]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        assert "4 pictures added, 3 were there already" in done.stdout, done.stderr
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
