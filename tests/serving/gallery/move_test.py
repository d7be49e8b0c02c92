"""Rows that move from one gallery to another, and back."""

import dataclasses
import shutil

import numpy as np
import pytest

from serving.errors import ServingError
from serving.gallery import move, place
from serving.gallery.store import GalleryStore
from tests.support.gallery_shell import run
from tests.support.small_gallery import (
    BINDING,
    contents,
    filled,
    picture,
    traces,
    unit_vectors,
)


@pytest.fixture(autouse=True)
def small_pages(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(move, "_PAGE", 4)
    return tmp_path


def rows(gallery):
    """{file: (picture without its row, embedding)}"""
    with place.open_gallery(gallery) as store, store.snapshot():
        pictures, vectors = store.load()
    return {
        each.file: (dataclasses.replace(each, id=0), vector.tobytes())
        for each, vector in zip(pictures, vectors, strict=True)
    }


def aged(folder, count=10):
    """A gallery whose pictures came long ago."""
    pictures = [dataclasses.replace(picture(row), inserted_at=100 + row) for row in range(count)]
    vectors = unit_vectors(count)
    GalleryStore.create(folder, BINDING, pictures, vectors).close()
    return vectors


@pytest.mark.parametrize("other", ["other", "other.db"])
def test_rows_move_there_and_back_with_their_ages(small_pages, capsys, other):
    if other.endswith(".db"):
        pytest.importorskip("milvus_lite")
    vectors = aged("gal")
    before = rows("gal")
    text = run(capsys, "move", "--gallery=gal", f"--to={other}")
    assert f"{other}: 10 pictures moved and verified" in text
    assert rows(other) == before and rows("gal") == {}
    assert not traces(small_pages / "gal", vectors)
    run(capsys, "move", f"--gallery={other}", "--to=gal")
    assert rows("gal") == before and rows(other) == {}


def test_stopped_anywhere_it_goes_on(small_pages, capsys, monkeypatch):
    aged("gal")
    before = rows("gal")
    add, left = GalleryStore.add, [2]

    def until_stopped(self, *arguments, **options):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return add(self, *arguments, **options)

    with monkeypatch.context() as context:
        context.setattr(GalleryStore, "add", until_stopped)
        left[0] = 1
        with pytest.raises(KeyboardInterrupt):
            run(capsys, "move", "--gallery=gal", "--to=other")
    assert rows("gal") == before and len(rows("other")) == 8
    remove, calls = GalleryStore.remove_rows, []

    def once(self, pictures):
        if calls:
            raise KeyboardInterrupt
        calls.append(remove(self, pictures))

    with monkeypatch.context() as context:
        context.setattr(GalleryStore, "remove_rows", lambda self, some: once(self, some) or 0)
        with pytest.raises(KeyboardInterrupt):
            run(capsys, "move", "--gallery=gal", "--to=other")
    assert len(rows("gal")) == 6
    run(capsys, "move", "--gallery=gal", "--to=other")
    assert rows("gal") == {} and rows("other") == before


def test_a_folder_is_not_moved_onto_itself_under_another_name(small_pages, capsys):
    aged("gal")
    before = rows("gal")
    (small_pages / "mount").mkdir()
    (small_pages / "mount" / "gallery.sqlite").hardlink_to("gal/gallery.sqlite")
    with pytest.raises(ServingError, match="mount: is the same gallery as gal; nothing was"):
        run(capsys, "move", "--gallery=gal", "--to=mount")
    assert rows("gal") == before
    shutil.copytree("gal", "copy")
    run(capsys, "move", "--gallery=gal", "--to=copy")
    assert rows("gal") == {} and rows("copy") == before


def test_a_collection_is_not_moved_onto_itself_under_another_name(capsys, monkeypatch):
    pytest.importorskip("milvus_lite")
    milvus_connection = pytest.importorskip("serving.gallery.milvus_connection")

    def parts(address):
        return ("other.db" if "elsewhere" in address else "gal.db"), "gallery"

    # One server has both names, and a third is another's.
    monkeypatch.setattr(milvus_connection, "_parts", parts)
    one, same, other = (
        f"http://{host}:19530/people" for host in ("localhost", "127.0.0.1", "elsewhere")
    )
    aged("gal")
    before = rows("gal")
    run(capsys, "move", "--gallery=gal", f"--to={one}")
    with pytest.raises(ServingError, match=r"127\.0\.0\.1.* is the same gallery as .*localhost"):
        run(capsys, "move", f"--gallery={one}", f"--to={same}")
    assert rows(one) == before
    place.create(other, BINDING, [picture(0)], unit_vectors(1)).close()
    with place.open_gallery(same) as store, place.open_gallery(other) as apart:
        assert not apart.is_same(store) and not store.is_same(apart)
        for each in (store, apart):
            found = each._collection.call("describe_collection")["properties"]
            assert "arn_tf.gallery" in found and "arn_tf.token" not in found


def test_what_isn_t_there_as_it_was_copied_is_told_and_nothing_is_removed(capsys, monkeypatch):
    aged("gal")
    before = rows("gal")
    load = GalleryStore.load

    def damaged(self, *arguments):
        pictures, vectors = load(self, *arguments)
        if self.folder == "other":
            vectors[-1, 0] = np.nextafter(vectors[-1, 0], np.float32(1))
        return pictures, vectors

    with monkeypatch.context() as context:
        context.setattr(GalleryStore, "load", damaged)
        with pytest.raises(ServingError, match=r"doesn't hold .*nothing was removed"):
            run(capsys, "move", "--gallery=gal", "--to=other")
    assert rows("gal") == before


def test_another_picture_of_the_same_name_or_another_space_is_refused(capsys):
    aged("gal")
    before = rows("gal")
    store, vectors = filled("other", 2, seed=5)
    store.close()
    with pytest.raises(ServingError, match=r"has another picture.*00000\.jpg"):
        run(capsys, "move", "--gallery=gal", "--to=other")
    with GalleryStore("other") as store:
        assert len(contents(store)) == 2
    strange = dataclasses.replace(BINDING, embedding_space="0" * 16)
    GalleryStore.create("strange", strange, [picture(20)], vectors[:1]).close()
    with pytest.raises(ServingError, match=r"space 0000000000000000.*name another place"):
        run(capsys, "move", "--gallery=gal", "--to=strange")
    with pytest.raises(ServingError, match="--to=gal/: is where"):
        run(capsys, "move", "--gallery=gal", "--to=gal/")
    assert rows("gal") == before
