"""A gallery in Milvus, here Milvus Lite, answers as one in a folder does."""

import dataclasses
import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from datasets.own_cameras.cameras import Tracklet
from serving.errors import ServingError
from serving.gallery import place
from serving.gallery.records import EVERYTHING, Hit, Picture, Selection
from serving.gallery.search import exact
from tests.support import small_shards
from tests.support.fake_embedder import by_colour
from tests.support.gallery_shell import SERVER, run
from tests.support.places import ROOT
from tests.support.small_gallery import BINDING, unit_vectors

pytest_plugins = ["tests.support.gallery_fixtures"]  # fake, work

pytest.importorskip("milvus_lite")
milvus_changes = pytest.importorskip("serving.gallery.milvus_changes")
milvus_connection = pytest.importorskip("serving.gallery.milvus_connection")
milvus_layout = pytest.importorskip("serving.gallery.milvus_layout")
milvus_recall = pytest.importorskip("serving.gallery.milvus_recall")

PLACES = ("gal", "gal.db")
ONE = unit_vectors(1)
ODD = 'lift "7"\\ \t\n%_é'  # a camera's name may be anything


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pictures(count):
    """Of three cameras and none, with tracklets and ages."""
    return [
        Picture(
            f"/crops/{number % 5}/[{number:03d}].jpg",
            (None, "1", "2", ODD)[number % 4],
            hashlib.sha256(b"%d" % number).digest(),
            inserted_at=1000 + number,
            tracklet=Tracklet(f"t{number // 8}", "/crops") if number % 4 else None,
            taken_at=None if number % 5 == 0 else number * 0.1,
        )
        for number in range(count)
    ]


def both(count=60):
    """The same rows in a folder and in Milvus, and their embeddings."""
    vectors = unit_vectors(count)
    return [place.create(each, BINDING, pictures(count), vectors) for each in PLACES], vectors


def rows(found):
    return [dataclasses.replace(each, id=0) for each in found]


def loaded(store):
    """{file: (picture, embedding bytes)}"""
    with store.snapshot():
        found, vectors = store.load()
    return {
        each.file: (each, vector.tobytes())
        for each, vector in zip(rows(found), vectors, strict=True)
    }


SELECTIONS = [
    EVERYTHING,
    Selection(cameras=("1",)),
    Selection(cameras=(ODD, "2")),
    Selection(other_than_camera=ODD),
    Selection(other_than_camera="1", cameras=("1", "2")),
    Selection(inserted_before=1020),
    Selection(inserted_before=1020, cameras=("2",)),
    Selection(cameras=("none",)),
    Selection(taken_after=0.1, taken_before=2.6),
    Selection(taken_before=1e-9),
    Selection(taken_after=3.0, cameras=(ODD, "2")),
    Selection(taken_after=3.0, other_than_camera="1"),
]
BY_NAME = [
    Selection(files=("/crops/0/[000].jpg", "/nowhere")),
    Selection(patterns=("/crops/1/*",)),
    Selection(patterns=("*[[]00?].jpg",), files=("/crops/0/[055].jpg",), cameras=("2", ODD)),
]


@pytest.mark.parametrize("selection", SELECTIONS + BY_NAME)
def test_the_same_rows_are_selected(selection):
    (folder, milvus), _ = both()
    assert rows(milvus.pictures(selection)) == rows(folder.pictures(selection))
    assert milvus.count(selection) == folder.count(selection)
    for store in (folder, milvus):
        pages = list(store.pages(selection, 7))
        assert all(0 < len(page) <= 7 for page in pages)
        assert sum(map(len, pages)) == store.count(selection)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_exact_search_finds_the_same_with_the_same_scores(selection):
    (folder, milvus), _ = both()
    queries = unit_vectors(5, seed=3)
    for top in (1, 10, 100):
        expected = folder.nearest(queries, top, selection)
        found = milvus.nearest(queries, top, selection)
        for one, other in zip(expected, found, strict=True):
            assert rows(hit.picture for hit in other) == rows(hit.picture for hit in one)
            np.testing.assert_allclose(
                [hit.score for hit in other], [hit.score for hit in one], atol=1e-6
            )


def test_queries_that_leave_out_their_own_cameras():
    (folder, milvus), vectors = both()
    left_out = ["1", None, ODD]
    for one, other in zip(
        exact(folder, vectors[:3], 9, EVERYTHING, left_out),
        exact(milvus, vectors[:3], 9, EVERYTHING, left_out),
        strict=True,
    ):
        assert rows(hit.picture for hit in other) == rows(hit.picture for hit in one)


def test_what_is_added_replaced_moved_and_removed():
    stores, _ = both()
    results = []
    for store in stores:
        read = {each.file: each for each in store.pictures()}
        first, second, third, fourth = list(read.values())[:4]
        changed = dataclasses.replace(first, content_hash=bytes(32), inserted_at=77)
        again = dataclasses.replace(second, camera="9", tracklet=None, inserted_at=0)
        copy = dataclasses.replace(third, file="/copy")
        apart = dataclasses.replace(third, file="/apart", camera="9", inserted_at=5)
        newer = unit_vectors(4, seed=8)
        copies = store.add([changed, again, copy, apart], newer, once=True)
        overtaken = (first, dataclasses.replace(first, file="/lost"))
        # Two exchange their names; one goes over another's, which is thus removed.
        done = store.move(
            [
                (third, dataclasses.replace(third, file=fourth.file, tracklet=None)),
                (fourth, dataclasses.replace(fourth, file=third.file, camera="8")),
                overtaken,
            ],
            stale=[second],
        )
        removed = store.remove(Selection(cameras=("2",), inserted_before=1030))
        left = store.remove_rows([first, *store.pictures(Selection(files=("/apart",)))])
        assert store.unerased()
        results.append(
            (
                copies,
                [(old.file, new.file) for old, new in done],
                removed,
                left,
                loaded(store),
                store.cameras(),
                store.tracklets(),
                {key: rows(each) for key, each in store.by_content([third.content_hash]).items()},
            )
        )
    for expected, found in zip(*results, strict=True):
        if isinstance(expected, dict):
            for key in {**expected, **found}:
                assert found.get(key) == expected.get(key)
        assert found == expected
    assert results[0][0] == {"/copy": third.file} and len(results[0][1]) == 2


def test_it_is_there_when_it_is_opened_again():
    (folder, milvus), _ = both()
    before = loaded(milvus)
    milvus.close()
    with place.open_gallery("gal.db") as store:
        assert (store.binding, loaded(store)) == (BINDING, before)
        assert abs(store.created_at - folder.created_at) <= 5
    assert place.exists("gal.db") and not place.exists("other.db")


def test_more_than_the_server_returns_is_refused():
    (_, milvus), vectors = both(3)
    with pytest.raises(ServingError, match=r"top=20000: Milvus returns 16384"):
        milvus.nearest(vectors, 20000, EVERYTHING)


def test_collections_of_something_else_are_refused_and_left():
    (_, milvus), _ = both(3)
    milvus.close()
    connection = milvus_connection.Collection("other.db")
    connection.call("create_collection", dimension=4)
    with pytest.raises(ServingError, match=r"other\.db: is a collection of something else"):
        place.open_gallery("other.db")
    assert connection.call("has_collection")
    with pytest.raises(ServingError, match="is a gallery already"):
        place.create("gal.db", BINDING, pictures(3), unit_vectors(3))
    with place.open_gallery("gal.db") as store:
        assert store.count() == 3


def test_a_folder_of_milvus_lite_is_one_with_a_separator_behind_it():
    place.create("gal.db/", BINDING, pictures(3), unit_vectors(3)).close()
    assert os.listdir() == ["gal.db"] and place.exists("gal.db/")
    for each in ("gal.db", "gal.db/", "gal.db//"):
        with place.open_gallery(each) as store:
            assert store.count() == 3


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


@pytest.mark.parametrize(
    "address, what",
    [
        ("http://localhost:1/people", "can't be reached.*give the same command again"),
        ("http://localhost:19530", "is no address of a gallery"),
        ("http://localhost:19530/a-b", "is no address of a gallery"),
        ("milvus://localhost/people", "is no address of a gallery"),
        ("http://me:secret@localhost/people", "set MILVUS_TOKEN"),
        ("nowhere/gal.db", "is no gallery; make one"),
        ("none.db", "is no gallery; make one"),
        ("none.db/", "is no gallery; make one"),
    ],
)
def test_addresses_where_nothing_is(address, what):
    with pytest.raises(ServingError, match=what) as caught:
        place.open_gallery(address)
    assert "secret" not in str(caught.value)
    assert not os.listdir()


def test_nothing_is_made_where_only_a_question_was_asked(capsys):
    lines = [["search", SERVER, "query.jpg"], ["info"], ["remove", "--file=*"], ["check"]]
    for command, *flags in lines:
        with pytest.raises(ServingError, match=r"typo\.db: is no gallery; make one"):
            run(capsys, command, "--gallery=typo.db", *flags)
    assert not place.exists("typo.db")
    place.check_new("typo.db")
    for ask in (place.check_new, lambda at: place.create(at, BINDING, pictures(1), ONE)):
        with pytest.raises(ServingError, match=r"there is no folder .*nowhere; make it first"):
            ask("nowhere/gal.db")
    assert not os.listdir()


def test_milvus_lite_that_another_process_has_open(folder, capfd):
    (folder / "gal.db").mkdir()
    with open("gal.db/LOCK", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ServingError, match="for one process at a time: wait"):
            place.open_gallery("gal.db")
    assert "Traceback" not in capfd.readouterr().err


def test_vectors_that_are_none_are_refused_and_nothing_is_made():
    with pytest.raises(ServingError, match="unit length"):
        place.create("gal.db", BINDING, pictures(3), unit_vectors(3) * 2)
    assert not place.exists("gal.db")


def test_the_commands_say_the_same(folder, fake, capsys):
    """But for where the gallery is, and what is told of its files."""
    fake(embed=by_colour)
    (folder / "crops").mkdir()
    for number, camera in enumerate((1, 1, 2, 3)):
        colour = (250, 60 * number, 10)
        Image.new("RGB", (16, 32), colour).save(folder / "crops" / f"{number}_c{camera}.png")
    Image.new("RGB", (16, 32), (240, 20, 20)).save(folder / "query_c1.png")
    outputs = []
    for each in PLACES:
        here = f"--gallery={each}"
        lines = [
            run(capsys, "build", SERVER, here, "crops/0_c1.png"),
            run(capsys, "add", SERVER, here, "crops"),
            run(capsys, "add", SERVER, here, "crops"),
            run(capsys, "search", SERVER, here, "query_c1.png"),
            run(capsys, "search", SERVER, here, "--camera=2", "--camera=1", "query_c1.png"),
            run(capsys, "search", SERVER, here, "--exclude_same_camera", "query_c1.png"),
            run(capsys, "remove", here, "--file=*/0_*", "--dry_run"),
            run(capsys, "remove", here, "--camera=3"),
            run(capsys, "check", here),
            "\n".join(run(capsys, "info", here).splitlines()[1:8]),
        ]
        moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"
        outputs.append([re.sub(moment, "", line.replace(each, "")) for line in lines])
    assert outputs[0] == outputs[1]
    assert "1 pictures removed" in outputs[0][7]


def test_approximate_search_says_what_it_finds(folder, work, fake, capsys):
    run(capsys, "build", SERVER, "--gallery=gal.db", "crops")
    flags = ["--gallery=gal.db", "--approximate", "--exclude_same_camera", "crops/0001_c1s1.jpg"]
    found = run(capsys, "search", SERVER, *flags)
    # So few pictures that every list is visited.
    assert "approximate search: finds 100.0% of the exact 10 nearest" in found


def test_more_lists_are_visited_until_enough_is_found_under_each_filter():
    """The nearest of what passes are found where a fixed number of lists would miss them."""
    many = 4000
    vectors = unit_vectors(many)
    with place.create("gal.db", BINDING, pictures(many), vectors) as milvus:
        queries = unit_vectors(20, seed=3)
        for selection in (
            EVERYTHING,
            Selection(cameras=("1",)),
            Selection(taken_after=100.0, taken_before=200.0),
            Selection(cameras=("1",), inserted_before=1400),
        ):
            truth = milvus.nearest(queries, 10, selection)
            few, end = 1.0, time.monotonic() + 60
            # Until it has its index, of which it doesn't tell, every row is compared.
            while few == 1 and time.monotonic() < end:
                few = milvus_recall.recall(truth, milvus.search(queries, 10, selection, 1)).recall
            hits, quality = milvus_recall.search(milvus, queries, 10, selection)
            assert few < 0.6 < 0.95 <= quality.recall
            assert quality == milvus_recall.recall(truth, hits)


def test_the_share_that_is_found_is_counted_by_scores():
    def hits(*scores):
        return [Hit(picture, score) for score, picture in zip(scores, pictures(9), strict=False)]

    truth = [hits(0.9, 0.8, 0.7), [], hits(0.5)]
    # Equal scores are as good as the exact ones, lower ones aren't.
    found = [hits(0.9, 0.7, 0.6), [], hits(0.4)]
    assert milvus_recall.recall(truth, found) == milvus_recall.Quality(0.5, 10, 3)
    assert milvus_recall.recall([[]], [[]]).recall == 1


@pytest.mark.parametrize(
    "changes, what",
    [
        ({"embedding_space": "0" * 16}, "of space abcdef.*and the shards are of space 0{16}"),
        ({"embedding_dim": 4}, "8 numbers each.*4 numbers; fill another gallery"),
    ],
)
def test_another_space_or_length_is_refused_and_nothing_changes(folder, capsys, changes, what):
    for name, facts in (("one", {}), ("other", changes)):
        (folder / name).mkdir()
        small_shards.write(folder / name, small_shards.job(**facts))
    run(capsys, "fill", "--gallery=gal.db", "--shards=one")
    with place.open_gallery("gal.db") as store:
        before = loaded(store)
    with pytest.raises(ServingError, match=what):
        run(capsys, "fill", "--gallery=gal.db", "--shards=other")
    with place.open_gallery("gal.db") as store:
        assert loaded(store) == before


def test_a_collection_that_is_not_what_it_says_is_damaged(folder):
    wide = dataclasses.replace(BINDING, dim=32)
    place.create("gal.db", wide, pictures(3), unit_vectors(3, dim=32)).close()
    connection = milvus_connection.Collection("gal.db")
    told = {"format": 2, "created_at": 1, "binding": dataclasses.asdict(BINDING)}
    for about, what in (
        (told, "is damaged: embeddings of 32 numbers, and it says 16"),
        (told | {"format": 1}, "has another layout than this program knows"),
    ):
        properties = {"arn_tf.gallery": json.dumps(about)}
        connection.call("alter_collection_properties", properties=properties)
        with pytest.raises(ServingError, match=rf"gal\.db: {what}"):
            milvus_layout.opened(connection)
    connection.close()


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
