"""Where a gallery in Milvus is, and what is none."""

import dataclasses
import fcntl
import json
import os

import pytest

from serving.errors import ServingError
from serving.gallery import place
from tests.support import small_shards
from tests.support.gallery_shell import SERVER, run
from tests.support.milvus_galleries import ONE, both, loaded, pictures
from tests.support.small_gallery import BINDING, unit_vectors

pytest.importorskip("milvus_lite")
milvus_connection = pytest.importorskip("serving.gallery.milvus_connection")
milvus_layout = pytest.importorskip("serving.gallery.milvus_layout")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
