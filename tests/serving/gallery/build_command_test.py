"""`build` and `add`: which pictures go in, and what is refused."""

import hashlib
import os
import re

import numpy as np
import pytest

from serving.client import ModelDescription
from serving.errors import BadImageError, BadInputError, GalleryError, UnavailableError
from serving.gallery import command_line
from serving.gallery.store import GalleryStore
from tests.support import fake_embedder
from tests.support.fake_embedder import unit, write_files
from tests.support.gallery_shell import SERVER, add, build, run, stored
from tests.support.picture_formats import LOSSLESS, drawn, encoded

pytest_plugins = ["tests.support.gallery_fixtures"]  # fake, work


def test_build_takes_pictures_below_a_folder_and_their_cameras_from_names(work, capsys):
    assert build(capsys) == "gal: 8 pictures added, 0 bad ones skipped\n"
    assert stored() == {
        **{
            f"000{person}_c{camera}s1.jpg": str(camera) for person in (1, 2, 3) for camera in (1, 2)
        },
        "0009_c2s1.jpeg": "2",
        "plain.PNG": None,
    }
    with GalleryStore("gal") as store:
        files = [each.file for each in store.pictures()]
        assert files[0] == str(work / "crops" / "0001_c1s1.jpg")
        with store.snapshot():
            pictures, vectors = store.load()
        for picture, vector in zip(pictures, vectors, strict=True):
            expected = unit(fake_embedder.by_content(picture.file, 16))
            np.testing.assert_array_equal(vector, expected)


def test_build_and_add_and_search_pass_over_litter_and_tell(work, capsys, fake):
    """A picture that was deleted lay in the trash of the disk, and was rank 1."""
    for name in ("@eaDir/0001_c1s1.jpg", ".ipynb_checkpoints", "#recycle", "deep/.@__thumb"):
        write_files(work / "crops" / name, ["0001_c1s1-thumb.jpg"])
    (work / "crops" / "._0001_c1s1.jpg").write_bytes(b"\0\x05\x16\x07")
    write_files(work / "queries" / "@eaDir", ["query.jpg"])
    write_files(work / "queries", ["0001_c1s1.jpg"], "of another moment")
    asked = fake()
    for command, count in (
        (["build", SERVER, "--gallery=gal", "crops"], 8),
        (["add", SERVER, "--gallery=gal", "crops", "queries"], 1),
        (["search", SERVER, "--gallery=gal", "queries"], 1),
    ):
        asked.asked.clear()
        command_line.main(command)
        assert len(asked.asked) == count
        told = capsys.readouterr().err
        assert "@eaDir (" in told
        if "crops" in command:
            for name in (".ipynb_checkpoints (1)", "#recycle (1)", ".@__thumb (1)", "._* (1)"):
                assert name in told
            assert "notes.txt" in told
    # Named by the user it is taken, whatever its name.
    assert "1 pictures added" in add(capsys, "queries/@eaDir/query.jpg")


def test_the_content_decides_what_is_taken_and_the_hash_is_of_the_files_own_bytes(work, capsys):
    """All formats, and turned pictures: what is stored of a file doesn't depend on what is sent."""
    whole = {f"a{ending}": encoded(drawn(), **saved) for ending, saved in LOSSLESS.items()}
    whole["turned.jpg"] = encoded(drawn(), 6, format="JPEG")
    whole["jpeg.txt"] = encoded(drawn(), format="JPEG")
    (work / "mixed").mkdir()
    for name, data in whole.items():
        (work / "mixed" / name).write_bytes(data)
    assert build(capsys, "mixed") == f"gal: {len(whole)} pictures added, 0 bad ones skipped\n"
    with GalleryStore("gal") as store:
        hashes = {os.path.basename(each.file): each.content_hash for each in store.pictures()}
    assert hashes == {name: hashlib.sha256(data).digest() for name, data in whole.items()}
    assert f"0 pictures added, {len(whole)} were there already" in add(capsys, "mixed")


def test_build_refuses_an_existing_gallery_before_it_asks_the_server(work, capsys, fake):
    build(capsys)
    asked = fake()
    with pytest.raises(GalleryError, match="use add"):
        build(capsys)
    assert not asked.asked


@pytest.mark.parametrize(
    "flags, camera",
    [
        (["--camera=door"], "door"),
        ([r"--camera_pattern=^(\d+)_"], "0001"),
        ([r"--camera_pattern=_(\w\d)s"], "c1"),
        ([r"--camera_pattern=nowhere(x)"], None),
    ],
)
def test_cameras(work, capsys, flags, camera):
    build(capsys, *flags, "crops/0001_c1s1.jpg")
    assert stored() == {"0001_c1s1.jpg": camera}


@pytest.mark.parametrize("pattern", ["(", r"_c\d", r"(\d)(\d)", "(?P<x"])
def test_a_wrong_camera_pattern_is_reported(work, capsys, pattern):
    with pytest.raises(BadInputError, match=re.escape(f"--camera_pattern={pattern}: ")):
        build(capsys, f"--camera_pattern={pattern}", "crops")
    assert not os.path.exists("gal")


def test_add_passes_over_what_is_there_and_replaces_what_changed(work, capsys, fake):
    build(capsys)
    asked = fake()
    assert "0 pictures added, 8 were there already" in add(capsys, "crops")
    assert not asked.asked
    write_files(work / "crops", ["0001_c1s1.jpg"], "changed")
    write_files(work / "crops", ["0010_c3s1.jpg"])
    assert "2 pictures added, 7 were there already" in add(capsys, "crops")
    assert [os.path.basename(file) for file in asked.asked] == ["0001_c1s1.jpg", "0010_c3s1.jpg"]
    assert len(stored()) == 9
    with GalleryStore("gal") as store:
        assert not store.unerased()
    # The same content of another camera counts as a change.
    assert "1 pictures added" in add(capsys, "--camera=9", "crops/0010_c3s1.jpg")
    assert stored()["0010_c3s1.jpg"] == "9"


def test_the_version_noted_is_the_one_that_embedded(work, capsys, fake):
    """A client's jobs each find the newest version; it may have changed since `describe`."""
    client = fake(version=2)
    client.describe = lambda: ModelDescription("arn", 1, 16, (224, 224))
    build(capsys)
    with GalleryStore("gal") as store:
        assert store.binding.version == 2


def test_add_needs_a_gallery(work, capsys):
    with pytest.raises(GalleryError, match="is no gallery; make one"):
        add(capsys, "crops")


def test_bad_pictures_end_the_job_or_are_skipped_and_counted(work, capsys, fake):
    (work / "crops" / "0002_c1s1.jpg").write_bytes(b"\xff\xd8\xffBAD")
    (work / "crops" / "0003_c1s1.jpg").write_bytes(b"text")
    with pytest.raises(BadImageError, match=r"0003_c1s1.jpg: not a picture, it looks like text"):
        build(capsys)
    (work / "crops" / "0003_c1s1.jpg").unlink()
    fake(chunk=1)
    with pytest.raises(BadImageError, match=r"0002_c1s1.jpg: can't be decoded"):
        build(capsys)
    assert "2 pictures were added before this and are kept" in capsys.readouterr().err
    (work / "crops" / "0003_c1s1.jpg").write_bytes(b"text")
    command_line.main(["add", SERVER, "--gallery=gal", "--skip_bad_images", "crops"])
    output = capsys.readouterr()
    assert output.out == "gal: 4 pictures added, 2 were there already, 2 bad ones skipped\n"
    assert output.err.count("skipped: ") == 2 and "0002_c1s1.jpg" in output.err


def test_a_build_of_nothing_but_bad_pictures_leaves_nothing(work, capsys):
    for path in (work / "crops").rglob("*.*"):
        path.write_bytes(b"\xff\xd8\xffBAD")
    with pytest.raises(GalleryError, match="none of the pictures could be embedded"):
        build(capsys, "--skip_bad_images", "crops")
    assert not os.path.exists("gal")


def test_a_build_that_fails_at_once_leaves_nothing(work, capsys, fake):
    fake(fail_after=(0, UnavailableError("gone")))
    with pytest.raises(UnavailableError):
        build(capsys)
    assert not os.path.exists("gal")


def test_a_server_that_goes_away_costs_only_what_was_not_committed(work, capsys, fake):
    fake(fail_after=(2, UnavailableError("gone")))
    with pytest.raises(UnavailableError):
        build(capsys)
    assert len(stored()) == 6
    asked = fake()
    assert "2 pictures added, 6 were there already" in add(capsys, "crops")
    assert len(asked.asked) == 2


def test_a_name_that_is_not_utf8_is_reported(work, capsys):
    with open(os.fsencode(work / "crops") + b"/\xff.jpg", "wb") as file:
        file.write(b"\xff\xd8\xff")
    with pytest.raises(BadImageError, match=r"\\xff.jpg: the name is not UTF-8"):
        build(capsys)
    assert "8 pictures added, 1 bad" in build(capsys, "--skip_bad_images", "crops")


@pytest.mark.parametrize("argument", ["pipe.jpg", "nowhere.jpg"])
def test_paths_that_are_no_pictures_are_reported(work, capsys, argument):
    with pytest.raises(BadImageError, match=argument):
        build(capsys, argument)


@pytest.mark.parametrize("other", [{"space": "ffffffffffffffff", "version": 4}, {"dim": 24}])
@pytest.mark.parametrize("action", ["add", "search"])
def test_another_embedding_space_is_refused_and_both_are_named(work, capsys, fake, action, other):
    build(capsys)
    fake(**other)
    write_files(work, ["query.jpg"])
    with pytest.raises(GalleryError) as raised:
        run(capsys, action, SERVER, "--gallery=gal", "query.jpg")
    message = str(raised.value)
    assert "arn version 1" in message and "build another gallery" in message
    if "space" in other:
        assert fake_embedder.SPACE in message and "ffffffffffffffff (arn version 4)" in message
    else:
        assert "16 numbers" in message and "sends 24" in message
    assert len(stored()) == 8
