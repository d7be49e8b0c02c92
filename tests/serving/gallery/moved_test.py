"""`add`: pictures whose files moved keep their rows, their age and their embeddings."""

import os
import shutil
import sqlite3

import pytest

from serving.errors import UnavailableError
from serving.gallery import command_line, ingest
from serving.gallery.store import GalleryStore
from tests.support.fake_embedder import by_content, unit, write_files
from tests.support.gallery_shell import SERVER, add, build, run

pytest_plugins = ["tests.support.gallery_fixtures"]  # fake, work

OLD = 1_000_000_000


def rows(work):
    """{path below `work`: (camera, inserted_at)}"""
    with GalleryStore("gal") as store:
        return {
            os.path.relpath(each.file, work): (each.camera, each.inserted_at)
            for each in store.pictures()
        }


def age(file="%"):
    """Makes rows old."""
    with sqlite3.connect("gal/gallery.sqlite") as connection:
        query = "UPDATE pictures SET inserted_at = ? WHERE file LIKE ?"
        connection.execute(query, (OLD, file))
    connection.close()


def told(capsys, *arguments):
    """What `add` prints: (stdout, stderr)."""
    command_line.main(["add", SERVER, "--gallery=gal", *map(str, arguments)])
    return capsys.readouterr()


def assert_embedded_by_content():
    with GalleryStore("gal") as store, store.snapshot():
        pictures, vectors = store.load()
        assert not store.unerased()
    for picture, vector in zip(pictures, vectors, strict=True):
        assert vector.tobytes() == unit(by_content(picture.file, 16)).tobytes(), picture.file


def test_a_folder_that_moved_keeps_its_rows(work, capsys, fake):
    build(capsys)
    age()
    (work / "crops").rename(work / "archive")
    asked = fake()
    output = told(capsys, "archive")
    assert not asked.asked
    names = [f"000{person}_c{camera}s1.jpg" for person in (1, 2, 3) for camera in (1, 2)]
    assert rows(work) == {
        **{f"archive/{name}": (name[6], OLD) for name in names},
        "archive/deep/er/0009_c2s1.jpeg": ("2", OLD),
        "archive/plain.PNG": (None, OLD),
    }
    assert output.out == (
        "gal: 0 pictures added, 0 were there already, 0 bad ones skipped, 8 moved\n"
    )
    first = work / "crops" / "0001_c1s1.jpg"
    assert "8 pictures moved: their rows have the new names" in output.err
    assert f"{first} is now {work / 'archive' / '0001_c1s1.jpg'}" in output.err
    assert "and 5 more" in output.err
    assert_embedded_by_content()
    assert "8 were there already, 0 bad ones skipped\n" in told(capsys, "archive").out


def test_no_server_is_asked_where_pictures_only_moved(work, capsys, fake):
    build(capsys)
    (work / "crops" / "plain.PNG").rename(work / "other.PNG")
    fake(fail_after=(0, UnavailableError("gone")))
    assert "1 moved" in add(capsys, "other.PNG")


def test_the_old_name_leaves_no_trace(work, capsys):
    build(capsys)
    (work / "crops" / "plain.PNG").rename(work / "number7.PNG")
    add(capsys, "number7.PNG")
    assert b"plain.PNG" not in (work / "gal" / "gallery.sqlite").read_bytes()


@pytest.mark.parametrize(
    ("cameras", "name", "flags", "camera", "asked"),
    [
        (None, "0001_c5s1.jpg", [], "5", []),
        ([1, 5], "0001_c5s1.jpg", [], "5", [5]),
        ([1, 5], "0001_c01s1.jpg", [], "01", []),  # the same number: the same embedding
        ([1, 5], "0001_c1s1.jpg", ["--camera=5"], "5", [5]),
        ([1, 5], "moved.jpg", [], None, [-1]),
        (None, "moved.jpg", [], None, []),
    ],
)
def test_another_camera_is_embedded_again_only_by_a_model_that_takes_it(
    work, capsys, fake, cameras, name, flags, camera, asked
):
    fake(cameras=cameras)
    build(capsys)
    age()
    (work / "new").mkdir()
    (work / "crops" / "0001_c1s1.jpg").rename(work / "new" / name)
    client = fake(cameras=cameras)
    output = told(capsys, *flags, "new")
    assert client.camera_id == asked and len(client.asked) == len(asked)
    found = rows(work)
    assert found[f"new/{name}"] == (camera, OLD) and len(found) == 8
    assert "0 pictures added, 0 were there already, 0 bad ones skipped, 1 moved" in output.out
    assert "1 with another camera" in output.err
    assert "1 were there already" in told(capsys, *flags, "new").out
    assert_embedded_by_content()


def test_a_move_whose_embedding_fails_is_gone_on_with(work, capsys, fake):
    fake(cameras=[1, 2, 5])
    build(capsys)
    age()
    (work / "crops" / "0001_c1s1.jpg").rename(work / "0001_c5s1.jpg")
    fake(cameras=[1, 2, 5], fail_after=(0, UnavailableError("gone")))
    with pytest.raises(UnavailableError):
        add(capsys, "0001_c5s1.jpg")
    # The embedding is still by camera 1, and the row says so.
    assert rows(work)["0001_c5s1.jpg"] == ("1", OLD)
    client = fake(cameras=[1, 2, 5])
    add(capsys, "0001_c5s1.jpg")
    assert client.camera_id == [5] and rows(work)["0001_c5s1.jpg"] == ("5", OLD)
    assert len(rows(work)) == 8


def test_two_files_that_exchanged_their_names(work, capsys, fake):
    fake(cameras=[1, 2])
    build(capsys)
    age("%/0001_c1s1.jpg")
    one, other = work / "crops" / "0001_c1s1.jpg", work / "crops" / "0002_c1s1.jpg"
    one.rename("aside")
    other.rename(one)
    (work / "aside").rename(other)
    asked = fake(cameras=[1, 2])
    assert "0 pictures added, 6 were there already, 0 bad ones skipped, 2 moved" in add(
        capsys, "crops"
    )
    assert not asked.asked
    found = rows(work)
    assert found["crops/0002_c1s1.jpg"][1] == OLD != found["crops/0001_c1s1.jpg"][1]
    assert_embedded_by_content()


def test_a_chain_of_renames(work, capsys, fake):
    write_files(work / "chain", [f"{number}.jpg" for number in range(5)])
    build(capsys, "chain")
    age("%/0.jpg")
    for number in reversed(range(5)):
        (work / "chain" / f"{number}.jpg").rename(work / "chain" / f"{number + 1}.jpg")
    write_files(work / "chain", ["0.jpg"], "new")
    asked = fake()
    assert "1 pictures added, 0 were there already, 0 bad ones skipped, 5 moved" in add(
        capsys, "chain"
    )
    assert [os.path.basename(file) for file in asked.asked] == ["0.jpg"]
    found = rows(work)
    assert len(found) == 6 and found["chain/1.jpg"][1] == OLD != found["chain/0.jpg"][1]
    assert_embedded_by_content()


def test_a_file_moved_onto_another_picture_s_name_takes_its_place(work, capsys, fake):
    build(capsys)
    age("%/plain.PNG")
    (work / "crops" / "plain.PNG").replace(work / "crops" / "0001_c1s1.jpg")
    asked = fake()
    assert "6 were there already, 0 bad ones skipped, 1 moved" in add(capsys, "crops")
    assert not asked.asked
    found = rows(work)
    assert found["crops/0001_c1s1.jpg"] == ("1", OLD) and len(found) == 7
    assert_embedded_by_content()


@pytest.mark.parametrize("given", [["crops", "moved.PNG"], ["moved.PNG"]])
def test_an_old_name_that_holds_another_picture_now(work, capsys, fake, given):
    build(capsys)
    age("%/plain.PNG")
    (work / "crops" / "plain.PNG").rename(work / "moved.PNG")
    write_files(work / "crops", ["plain.PNG"], "another")
    asked = fake()
    output = add(capsys, *given)
    assert "1 moved" in output
    found = rows(work)
    assert found["moved.PNG"] == (None, OLD)
    # Who wasn't asked to add the new picture doesn't.
    assert ("crops/plain.PNG" in found) == ("crops" in given) == bool(asked.asked)
    assert_embedded_by_content()


def test_an_old_name_that_is_a_link_to_nowhere(work, capsys):
    build(capsys)
    (work / "crops" / "plain.PNG").rename(work / "moved.PNG")
    (work / "crops" / "plain.PNG").symlink_to("nowhere.PNG")
    assert "1 moved" in add(capsys, "moved.PNG")
    assert "moved.PNG" in rows(work) and "crops/plain.PNG" not in rows(work)


def test_an_old_name_that_is_a_link_to_the_new_place_stays(work, capsys):
    build(capsys)
    (work / "crops" / "plain.PNG").rename(work / "moved.PNG")
    (work / "crops" / "plain.PNG").symlink_to(work / "moved.PNG")
    assert "1 copies" in add(capsys, "moved.PNG")
    assert "crops/plain.PNG" in rows(work) and "moved.PNG" not in rows(work)


def test_blank_frames_of_several_cameras_each_keep_their_own_row(work, capsys, fake):
    for camera in (1, 2, 3):
        write_files(work / "blank", ["0000.jpg"])
        (work / "blank" / "0000.jpg").rename(work / "blank" / f"x_c{camera}.jpg")
    build(capsys, "blank")
    age("%c2.jpg")
    (work / "blank").rename(work / "z")
    (work / "z" / "x_c3.jpg").rename(work / "z" / "a_c3.jpg")
    asked = fake()
    assert "3 moved" in add(capsys, "z")
    assert not asked.asked
    found = rows(work)
    assert {file: row[0] for file, row in found.items()} == {
        "z/a_c3.jpg": "3",
        "z/x_c1.jpg": "1",
        "z/x_c2.jpg": "2",
    }
    assert found["z/x_c2.jpg"][1] == OLD


def test_moved_again_after_it_was_read(work, capsys, fake, monkeypatch):
    """The row then has a name that is gone, and the next `add` finds the picture."""
    build(capsys)
    age()
    (work / "crops" / "plain.PNG").rename(work / "second.PNG")
    read_pictures = ingest.read_pictures

    def then_move(*arguments):
        pictures = read_pictures(*arguments)
        (work / "second.PNG").rename(work / "third.PNG")
        return pictures

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "read_pictures", then_move)
        add(capsys, "second.PNG")
    assert "1 moved" in add(capsys, "third.PNG")
    assert rows(work)["third.PNG"] == (None, OLD) and len(rows(work)) == 8


def test_what_another_process_did_since_the_reading_stands(work, capsys, fake, monkeypatch):
    build(capsys)
    age()
    (work / "crops").rename(work / "archive")
    move = GalleryStore.move

    def after_another(store, *arguments):
        monkeypatch.setattr(GalleryStore, "move", move)
        add(capsys, "archive")
        run(capsys, "remove", "--gallery=gal", "--file=archive/0001_c1s1.jpg")
        return move(store, *arguments)

    monkeypatch.setattr(GalleryStore, "move", after_another)
    asked = fake()
    # The other moved them all; the one that was removed since is a new picture.
    assert "1 pictures added, 7 were there already" in add(capsys, "archive")
    assert [os.path.basename(file) for file in asked.asked] == ["0001_c1s1.jpg"]
    found = rows(work)
    assert len(found) == 8 and found["archive/0002_c1s1.jpg"][1] == OLD
    assert_embedded_by_content()


def test_a_gallery_of_before_gets_its_index_and_keeps_its_layout(work, capsys):
    build(capsys)
    with sqlite3.connect("gal/gallery.sqlite") as connection:
        connection.execute("DROP INDEX pictures_by_content")
    connection.close()
    shutil.move(work / "crops", work / "archive")
    assert "8 moved" in add(capsys, "archive")
    with sqlite3.connect("gal/gallery.sqlite") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        for query in ("content_hash = x'00'", "file = 'a'"):
            (plan,) = connection.execute(
                f"EXPLAIN QUERY PLAN SELECT id FROM pictures WHERE {query}"
            )
            assert "USING" in plan[3] and "INDEX" in plan[3]
    connection.close()


def test_many_at_once(work, capsys, fake):
    write_files(work / "many", [f"{number:05d}_c1.jpg" for number in range(3000)])
    fake(chunk=1000)
    build(capsys, "many")
    age()
    (work / "many").rename(work / "elsewhere")
    asked = fake()
    assert "3000 moved" in add(capsys, "elsewhere")
    assert not asked.asked
    assert {row for row in rows(work).values()} == {("1", OLD)} and len(rows(work)) == 3000
