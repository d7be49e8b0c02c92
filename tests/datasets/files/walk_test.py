"""The one search for pictures."""

import os

import pytest

from datasets.files import walk
from tests.support.places import SHARED

CASE = SHARED / "cases" / "hidden_folders"


@pytest.mark.skipif(not CASE.exists(), reason="needs shared/cases")
def test_thumbnails_of_a_nas_and_checkpoints_of_a_notebook_are_passed_over():
    found = walk.pictures(str(CASE))
    assert [os.path.basename(file) for file in found.files] == [
        "0001_c1s1_000001_00.jpg",
        "0001_c2s1_000001_00.jpg",
        "0002_c1s1_000002_00.jpg",
        "0002_c2s1_000002_00.jpg",
    ]
    assert found.litter == {"@eaDir": 1, ".ipynb_checkpoints": 1}


def write(folder, *names, data=b"\xff\xd8\xff\xe0"):
    for name in names:
        path = os.path.join(os.fsencode(folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)


def names(folder, found):
    return [os.path.relpath(file, folder) for file in found.files]


def test_content_decides_and_names_in_any_case(tmp_path):
    write(tmp_path, "b.JPG", "a.Png", "c.jpeg", "no_suffix", "d.dat", "below/e.TIFF")
    write(tmp_path, "notes.txt", "z.json", data=b"text")
    found = walk.pictures(str(tmp_path))
    assert names(tmp_path, found) == [
        "a.Png",
        "b.JPG",
        "below/e.TIFF",
        "c.jpeg",
        "d.dat",
        "no_suffix",
    ]
    assert found.notes() == [f"left out, no pictures: {tmp_path}/notes.txt, {tmp_path}/z.json"]


@pytest.mark.parametrize(
    "litter",
    [
        "@eaDir",
        "@EADIR",
        ".ipynb_checkpoints",
        "__MACOSX",
        "$RECYCLE.BIN",
        "#recycle",
        ".Trash-1000",
    ],
)
def test_litter_at_any_depth_and_a_folder_that_is_named_by_the_user(tmp_path, litter):
    write(tmp_path, "a.jpg", "deep/b.jpg", f"{litter}/a.jpg", f"deep/{litter}/c/d.jpg")
    write(tmp_path, "._a.jpg", "deep/._b.jpg", "Thumbs.db", ".DS_Store", "Icon\r")
    found = walk.pictures(str(tmp_path))
    assert names(tmp_path, found) == ["a.jpg", "deep/b.jpg"]
    assert found.litter == {litter: 2, "._*": 2, "Thumbs.db": 1, ".DS_Store": 1, "Icon\r": 1}
    (note,) = found.notes()
    assert f"{litter} (2)" in note and r"Icon\r (1)" in note and "\r" not in note
    assert names(tmp_path, walk.pictures(str(tmp_path / litter))) == [f"{litter}/a.jpg"]
    assert names(tmp_path, walk.pictures(f"{tmp_path}/deep/{litter}/")) == [
        f"deep/{litter}/c/d.jpg"
    ]


def test_here_and_above_are_no_litter():
    assert not walk.is_litter(".") and not walk.is_litter("..")
    assert walk.is_litter("...") and walk.is_litter(".a")
    assert not walk.in_litter("../../a/b.jpg") and not walk.in_litter("./a\\b.jpg")
    assert walk.in_litter("a/@eaDir/b.jpg") and walk.in_litter("a\\.b\\c") and walk.in_litter("._b")


def test_links_are_followed_once_and_cycles_end(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    folder = tmp_path / "folder"
    write(tmp_path, "folder/a/1.jpg", "elsewhere/2.jpg")
    (folder / "link").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    (folder / "a" / "self").symlink_to(folder / "a")
    (folder / "0_of_a").symlink_to(folder / "a")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "gone.jpg").symlink_to(tmp_path / "nowhere")
    found = walk.pictures(str(folder))
    # A picture goes by its own name; a link to nowhere stays, so that reading it fails.
    assert names(folder, found) == ["a/1.jpg", "gone.jpg", "link/2.jpg"]
    assert [os.path.basename(path) for path in found.others] == ["loop"]
    (tmp_path / "door").symlink_to(folder)
    assert len(walk.pictures(str(tmp_path / "door")).files) == 3


def test_folders_that_overlap_are_searched_once(tmp_path):
    write(tmp_path, "a/1.jpg", "a/b/2.jpg")
    found = walk.pictures(str(tmp_path / "a" / "b"))
    found = walk.pictures(str(tmp_path / "a"), walk.pictures(str(tmp_path), found))
    assert names(tmp_path, found) == ["a/b/2.jpg", "a/1.jpg"]


def test_heic_is_said_as_such(tmp_path):
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50)
    write(tmp_path, "a.jpg")
    write(tmp_path, *(f"IMG_{number}.HEIC" for number in range(5)), data=heic)
    write(tmp_path, "0.txt", data=b"text")
    found = walk.pictures(str(tmp_path))
    assert names(tmp_path, found) == ["a.jpg"]
    assert found.notes() == [
        "left out, HEIC pictures, which must be converted to JPEG or PNG: "
        f"{tmp_path}/IMG_0.HEIC, {tmp_path}/IMG_1.HEIC, {tmp_path}/IMG_2.HEIC and 2 more",
        f"left out, no pictures: {tmp_path}/0.txt",
    ]


def test_names_that_are_no_utf_8_or_break_lines(tmp_path):
    write(tmp_path, b"\xff.jpg", b"\xfe")
    write(tmp_path, b"\xff.txt", b"a\nb.txt", data=b"text")
    found = walk.pictures(str(tmp_path))
    assert sorted(map(os.fsencode, map(os.path.basename, found.files))) == [b"\xfe", b"\xff.jpg"]
    (note,) = found.notes()
    assert note.encode() and r"\xff.txt" in note and r"a\nb.txt" in note


def test_pipes_are_not_opened_and_folders_named_as_pictures_are_searched(tmp_path):
    write(tmp_path, "folder.jpg/a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    found = walk.pictures(str(tmp_path))
    assert names(tmp_path, found) == ["folder.jpg/a.jpg"]
    assert names(tmp_path, walk.Found(found.others)) == ["pipe.jpg"]


def test_what_cannot_be_searched_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        walk.pictures(str(tmp_path / "nowhere"))
    write(tmp_path, "a.jpg")
    with pytest.raises(NotADirectoryError):
        walk.pictures(str(tmp_path / "a.jpg"))


def test_a_run_among_the_pictures_is_passed_over(tmp_path):
    for name in ("a/1.jpg", "site/logs/sprite.png", "site/settings.json", "site/checkpoints/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff\xd8\xff")
    found = walk.pictures(str(tmp_path))
    assert found.files == [str(tmp_path / "a/1.jpg")] and found.others == []
    assert "site, a run of arn_tf (1)" in found.notes()[0]
    # Whoever names it means it.
    assert len(walk.pictures(str(tmp_path / "site")).files) > 0
