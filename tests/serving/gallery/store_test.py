"""What goes into a gallery's store comes back, all of it or nothing."""

import dataclasses
import hashlib
import os
import shutil
import time
from concurrent import futures

import numpy as np
import pytest

from serving.errors import GalleryError
from serving.gallery import rows
from serving.gallery.records import EVERYTHING, Picture, Selection
from serving.gallery.store import GalleryStore
from tests.support.small_gallery import BINDING, DIM, contents, filled, picture, unit_vectors


def test_what_goes_in_comes_back_to_the_bit(tmp_path):
    before = int(time.time())
    store, vectors = filled(tmp_path / "gal", 5)
    store.close()
    with GalleryStore(str(tmp_path / "gal")) as store:
        assert store.binding == BINDING
        assert before <= store.created_at <= time.time()
        with store.snapshot():
            by_id, loaded = store.load()
            pictures = store.pictures()
        assert loaded.dtype == np.float32
        np.testing.assert_array_equal(loaded, vectors)
        assert [each.file for each in pictures] == [picture(number).file for number in range(5)]
        assert pictures == by_id and [each.id for each in by_id] == store.ids().tolist()
        assert pictures[2].content_hash == hashlib.sha256(b"2").digest()
        assert before <= pictures[2].inserted_at <= time.time()


def test_a_file_that_is_there_is_replaced_and_the_others_stay(tmp_path):
    store, vectors = filled(tmp_path / "gal", 3)
    newer = unit_vectors(1, seed=9)
    store.add([picture(1, camera="7")], newer)
    found = contents(store)
    assert found["/crops/00001.jpg"] == newer[0].tobytes()
    assert found["/crops/00002.jpg"] == vectors[2].tobytes()
    with store.snapshot():
        assert [row[:2] for row in store.cameras()] == [("1", 2), ("7", 1)]


def test_a_picture_grows_older_under_another_camera_but_not_with_other_content(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(time, "time", lambda: 1000)
    store, _ = filled(tmp_path / "gal", 2)
    monkeypatch.setattr(time, "time", lambda: 2000)
    changed = Picture(picture(1).file, "1", hashlib.sha256(b"other").digest())
    store.add([picture(0, camera="7"), changed, picture(2)], unit_vectors(3))
    found = [(each.camera, each.inserted_at) for each in store.pictures()]
    assert found == [("7", 1000), ("1", 2000), ("1", 2000)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda vectors: vectors.astype(np.float64),
        lambda vectors: vectors[:, :-1],
        lambda vectors: vectors[:1],
        lambda vectors: np.where(np.arange(DIM) == 3, np.nan, vectors).astype(np.float32),
        lambda vectors: np.where(np.arange(DIM) == 3, np.inf, vectors).astype(np.float32),
        lambda vectors: vectors * np.float32([[1], [1.01]]),
        lambda vectors: vectors * 0,
    ],
)
def test_wrong_vectors_are_refused_and_nothing_of_the_chunk_is_kept(tmp_path, spoil):
    wrong = spoil(unit_vectors(2, seed=1))
    with pytest.raises(GalleryError, match="the server sent"):
        GalleryStore.create(str(tmp_path / "new"), BINDING, [picture(0), picture(1)], wrong)
    assert not (tmp_path / "new").exists()
    store, _ = filled(tmp_path / "gal", 1)
    revision = store.revision()
    with pytest.raises(GalleryError, match="the server sent"):
        store.add([picture(7), picture(8)], wrong)
    assert (store.count(), store.revision()) == (1, revision)


def test_a_chunk_with_a_mistake_inside_is_not_half_added(tmp_path):
    store, _ = filled(tmp_path / "gal", 1)
    twice = [picture(5), picture(6), picture(6)]
    with pytest.raises(GalleryError):
        store.add(twice, unit_vectors(3))
    assert store.count() == 1


def test_moves_that_were_overtaken_are_left_out_and_the_others_done(tmp_path):
    store, vectors = filled(tmp_path / "gal", 4)
    read = store.pictures()
    renamed = [dataclasses.replace(each, file=f"/new{each.file}", camera="7") for each in read]
    assert store.remove_rows(read[3:]) == 1 and store.remove_rows(read[3:]) == 0
    store.add([dataclasses.replace(read[1], content_hash=b"other")], unit_vectors(1, seed=9))
    done = store.move(list(zip(read, renamed, strict=True)), stale=[read[1]])
    assert done == [(read[0], renamed[0]), (read[2], renamed[2])]
    found = contents(store)
    assert found.keys() == {renamed[0].file, renamed[2].file, read[1].file}
    assert found[renamed[2].file] == vectors[2].tobytes()
    assert store.unerased()


def test_once_leaves_out_new_names_of_what_is_there(tmp_path):
    store, _ = filled(tmp_path / "gal", 2)
    copy, other = (dataclasses.replace(picture(0), file=f"/{name}", camera=name) for name in "12")
    assert store.add([copy, other], unit_vectors(2), once=True) == {"/1": picture(0).file}
    # A row that takes another camera in the same transaction is in nobody's way.
    changed = dataclasses.replace(picture(0), camera="5")
    assert store.add([changed, copy], unit_vectors(2), once=True) == {}
    assert {each.file: each.camera for each in store.pictures()} == {
        picture(0).file: "5",
        picture(1).file: "1",
        "/1": "1",
        "/2": "2",
    }


def test_selections(tmp_path):
    store = GalleryStore.create(
        str(tmp_path / "gal"),
        BINDING,
        [
            Picture("/a/1_c1.jpg", "1", b"0"),
            Picture("/a/b/2_c2.jpg", "2", b"0"),
            Picture("/a/[3].jpg", None, b"0"),
            Picture("/a/3.jpg", "3", b"0"),
        ],
        unit_vectors(4),
    )

    def files(**conditions):
        with store.snapshot():
            return [each.file for each in store.pictures(Selection(**conditions))]

    assert files(files=("/a/[3].jpg",)) == ["/a/[3].jpg"]
    assert files(patterns=("/a/[3].jpg",)) == ["/a/3.jpg"]
    assert files(patterns=("/a/?_c1.jpg",), files=("/a/3.jpg",)) == ["/a/1_c1.jpg", "/a/3.jpg"]
    assert files(patterns=("/a/*_c*",)) == ["/a/1_c1.jpg", "/a/b/2_c2.jpg"]
    assert files(patterns=("/a/%",)) == files(files=("/a/*",)) == []
    assert files(cameras=("1", "3")) == ["/a/1_c1.jpg", "/a/3.jpg"]
    assert files(other_than_camera="1") == ["/a/3.jpg", "/a/[3].jpg", "/a/b/2_c2.jpg"]
    assert files(cameras=("1", "3"), patterns=("/a/?.jpg",)) == ["/a/3.jpg"]
    assert files(cameras=("' OR 1 --",)) == []
    now = store.pictures()[0].inserted_at
    assert len(files(inserted_before=now + 2)) == 4
    assert files(inserted_before=now - 60) == []


def test_a_gallery_is_never_made_over_another(tmp_path):
    store, _ = filled(tmp_path / "gal", 2)
    store.close()
    with pytest.raises(GalleryError, match="use add"):
        filled(tmp_path / "gal", 5)
    with GalleryStore(str(tmp_path / "gal")) as store:
        assert len(contents(store)) == 2


def test_of_two_that_make_the_same_gallery_the_second_waits_and_is_refused(tmp_path, monkeypatch):
    insert = rows.insert
    with futures.ThreadPoolExecutor() as pool:
        second = []

        def insert_while_another_tries(*arguments):
            if not second:
                second.append(pool.submit(filled, tmp_path / "gal", 5))
                futures.wait(second, timeout=0.5)
                assert not second[0].done()
            return insert(*arguments)

        monkeypatch.setattr(rows, "insert", insert_while_another_tries)
        store, _ = filled(tmp_path / "gal", 2)
        with pytest.raises(GalleryError, match="use add"):
            second[0].result()
    assert store.count() == 2


def test_what_a_killed_build_left_is_cleared_away(tmp_path):
    (tmp_path / "gal").mkdir()
    (tmp_path / "gal" / "gallery.sqlite.new").write_bytes(b"half")
    (tmp_path / "gal" / "gallery.sqlite.new-journal").write_bytes(b"half")
    with pytest.raises(GalleryError, match="is no gallery; make one"):
        GalleryStore(str(tmp_path / "gal"))
    store, _ = filled(tmp_path / "gal", 2)
    assert os.listdir(tmp_path / "gal") == ["gallery.sqlite"]
    assert store.count() == 2


def test_a_copy_of_the_folder_is_a_gallery(tmp_path):
    store, vectors = filled(tmp_path / "gal", 3)
    shutil.copytree(tmp_path / "gal", tmp_path / "copy")
    with GalleryStore(str(tmp_path / "copy")) as copy:
        assert contents(copy) == contents(store)
        assert copy.count(EVERYTHING) == len(vectors)
