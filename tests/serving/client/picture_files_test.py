"""Picture files: which are found, which are read, and what is reported of the others."""

import os
import shutil

import pytest

from datasets.files import pictures
from serving.client import picture_files
from serving.errors import BadImageError, BadInputError
from tests.support.places import SHARED

CASES = SHARED / "cases"
needs_cases = pytest.mark.skipif(not CASES.exists(), reason="needs shared/cases")

JPEG = b"\xff\xd8\xff\xe0 and so on"
PNG = b"\x89PNG\r\n\x1a\n and so on"


@pytest.mark.parametrize(
    "data", [JPEG, PNG, JPEG[:3], b"GIF89a..", b"RIFF....WEBPVP8 ", b"II*\0.."]
)
@pytest.mark.parametrize("name", ["crop.jpg", "a name\n\N{SNOWMAN}", "GIF89a"])
def test_pictures_are_read_whatever_their_name(tmp_path, data, name):
    path = str(tmp_path / name)
    with open(path, "wb") as file:
        file.write(data)
    picture_files.check(path)
    assert picture_files.read(path) == data


@pytest.mark.parametrize("look", [picture_files.check, picture_files.read])
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "has no bytes"),
        (b"%PDF-1.7", "not a picture, it looks like a PDF"),
        (b"BMW and other words", "text"),
        (b"\0\x05\x16\x07\0\2\0\0Mac OS X", "a sidecar of macOS"),
        (b"\0\0\0\x20ftypheic", "a HEIC"),
        (b"<html><body>404</body></html>", "text"),
        (b"\0\1\2\3", r"nothing known \(it begins with 00 01 02 03\)"),
        (JPEG[:2], r"begins with ff d8"),
        (b"\x89PNG\n\x1a\n and so on", "begins with 89 50 4e 47"),  # spoilt by text mode
    ],
)
def test_what_a_file_is_instead_is_reported(tmp_path, look, data, text):
    path = str(tmp_path / "crop.jpg")
    with open(path, "wb") as file:
        file.write(data)
    with pytest.raises(BadImageError, match=text) as caught:
        look(path)
    assert caught.value.file == path and str(caught.value).startswith(path)


@pytest.mark.parametrize("look", [picture_files.check, picture_files.read])
def test_files_that_can_not_be_read(tmp_path, look):
    pipe = str(tmp_path / "pipe.jpg")
    os.mkfifo(pipe)
    for path, text in (
        (str(tmp_path / "none.jpg"), "can't be read: No such file"),
        (str(tmp_path), "not a file"),
        (pipe, "not a file"),
        ("/dev/zero", "not a file"),
        (str(tmp_path / ("x" * 300)), "File name too long"),
        ("a\0b", "null"),
    ):
        with pytest.raises(BadImageError, match=text):
            look(path)


@pytest.mark.parametrize("look", [picture_files.check, picture_files.read])
def test_the_largest_picture(tmp_path, look):
    path = str(tmp_path / "large.png")
    with open(path, "wb") as file:
        file.write(PNG)
        file.truncate(pictures.MAX_BYTES)
    look(path)
    os.truncate(path, pictures.MAX_BYTES + 1)
    with pytest.raises(BadImageError, match="has 33554433 bytes; the limit is 33554432"):
        look(path)


def test_folders_are_searched_in_order_and_nothing_comes_twice(tmp_path):
    for name in ("b.JPG", "a.png", "c.jpeg", "notes.txt", "sub/deep/d.jpg", "sub/e.gif"):
        write(tmp_path / name)
    os.symlink(tmp_path / "a.png", tmp_path / "z.png")
    found = picture_files.find(
        [str(tmp_path / "c.jpeg"), str(tmp_path), str(tmp_path / "sub/e.gif")]
    )
    names = [os.path.relpath(path, tmp_path) for path in found]
    assert names == ["c.jpeg", "a.png", "b.JPG", "sub/deep/d.jpg", "sub/e.gif"]
    only = picture_files.find([str(tmp_path / "sub/e.gif"), str(tmp_path / "sub")])
    assert [os.path.relpath(path, tmp_path) for path in only] == ["sub/e.gif", "sub/deep/d.jpg"]
    assert picture_files.find(["none.jpg", "./none.jpg"]) == ["none.jpg"]


def test_links_to_folders_are_followed_and_cycles_end(tmp_path):
    crops, other = tmp_path / "crops", tmp_path / "other"
    for path in (crops / "deep" / "a.jpg", other / "b.jpg", other / "sub" / "c.jpg"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.symlink(crops, crops / "deep" / "up")
    os.symlink(crops / "deep", crops / "again")  # its pictures keep their own names
    os.symlink(other, crops / "deep" / "other")
    os.symlink(other / "sub", crops / "sub")
    os.symlink(crops, other / "back")
    os.symlink("nowhere", crops / "broken")
    names = [os.path.relpath(path, crops) for path in picture_files.find([str(crops)])]
    assert names == ["deep/a.jpg", "deep/other/b.jpg", "sub/c.jpg"]
    os.symlink(crops, tmp_path / "link")
    assert len(picture_files.find([str(tmp_path / "link"), str(crops)])) == 3


def test_links_that_are_left_out_are_named_and_the_same_name_twice_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    os.symlink("a.jpg", "c.jpg")
    os.symlink("b.jpg", "0.jpg")
    links = {}
    assert picture_files.find(["a.jpg", "./a.jpg", ".", str(tmp_path)], links) == [
        "a.jpg",
        "./0.jpg",
    ]
    assert links == {
        f"{tmp_path}/c.jpg": f"{tmp_path}/a.jpg",
        f"{tmp_path}/b.jpg": f"{tmp_path}/0.jpg",
    }
    assert picture_files.link_note(links) == (
        "note: 2 names lead by links to files that have another name here: "
        f"{tmp_path}/b.jpg is {tmp_path}/0.jpg, {tmp_path}/c.jpg is {tmp_path}/a.jpg"
    )


def test_a_folder_without_pictures(tmp_path):
    write(tmp_path / "notes.txt")
    write(tmp_path / "@eaDir" / "a.jpg")
    with pytest.raises(BadInputError) as caught:
        picture_files.find([str(tmp_path)])
    assert caught.value.file == str(tmp_path)
    text = str(caught.value)
    assert "no pictures in this folder" in text and "@eaDir" in text and "notes.txt" in text


def write(path, data=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.mark.parametrize(
    "litter",
    [
        *("@eaDir", ".ipynb_checkpoints", ".@__thumb", ".Trash-1000", "#recycle", "@Recycle"),
        *("$RECYCLE.BIN", "__MACOSX", ".thumbnails", ".AppleDouble", ".git", ".Trashes"),
    ],
)
def test_litter_is_passed_over_and_told_but_taken_when_it_is_named(tmp_path, capsys, litter):
    write(tmp_path / "crops" / "a.jpg", JPEG)
    write(tmp_path / "crops" / "sub" / litter / "a.jpg" / "b.jpg", JPEG)
    hidden = str(tmp_path / "crops" / "sub" / litter / "a.jpg" / "b.jpg")
    crops = str(tmp_path / "crops")
    assert picture_files.find([crops]) == [f"{crops}/a.jpg"]
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and f"{litter} (1)" in told.err
    assert picture_files.find([hidden]) == [hidden]
    assert picture_files.find([crops, hidden]) == [f"{crops}/a.jpg", hidden]
    assert picture_files.find([os.path.dirname(hidden)]) == [hidden]


def test_what_is_left_out_is_counted_and_named_once_for_all_folders(tmp_path, capsys):
    for folder in ("one", "two"):
        write(tmp_path / folder / "a.jpg", JPEG)
        write(tmp_path / folder / "b.txt", JPEG)
        write(tmp_path / folder / "\x1b[2Jnotes.txt", b"words")
        write(tmp_path / folder / "._a.jpg", b"\0\x05\x16\x07")
        write(tmp_path / folder / "list.csv", b"a,b")
    found = picture_files.find([str(tmp_path / "one"), str(tmp_path / "two")])
    names = [os.path.relpath(path, tmp_path) for path in found]
    assert names == ["one/a.jpg", "one/b.txt", "two/a.jpg", "two/b.txt"]
    told = capsys.readouterr().err
    assert "._* (2)" in told and "list.csv" in told and "1 more" in told
    assert r"\x1b[2Jnotes.txt" in told and "\x1b" not in told


def test_nothing_is_told_where_nothing_is_left_out(tmp_path, capsys):
    write(tmp_path / "a.jpg", JPEG)
    picture_files.find([str(tmp_path), str(tmp_path / "a.jpg"), "none.jpg"])
    assert capsys.readouterr() == ("", "")


@needs_cases
@pytest.mark.parametrize(
    ("case", "count", "told"),
    [
        ("hidden_folders", 4, ["@eaDir (1)", ".ipynb_checkpoints (1)"]),
        ("appledouble", 2, ["._* (4)"]),
        ("mixed_formats", 6, []),
    ],
)
def test_folders_that_broke_it(tmp_path, capsys, case, count, told):
    shutil.copytree(CASES / case, tmp_path / "crops")
    found = picture_files.find([str(tmp_path / "crops")])
    assert len(found) == count
    picture_files.check_all(found)
    shown = capsys.readouterr().err
    assert all(name in shown for name in told) and bool(shown) == bool(told)
