"""A model that takes cameras: the gallery gives it those it knows of, and tells of the unknown."""

import os

import pytest

from datasets import camera_names
from serving.errors import BadInputError, UnavailableError
from serving.gallery import command_line
from tests.support.fake_embedder import write_files
from tests.support.gallery_shell import SERVER, stored

pytest_plugins = ["tests.support.gallery_fixtures"]  # fake, work

# Of work's pictures in the order of their files: crops, and then deeper ones.
FILES = [f"000{person}_c{camera}s1.jpg" for person in (1, 2, 3) for camera in (1, 2)]
FILES += ["0009_c2s1.jpeg", "plain.PNG"]
DOOR = camera_names.number_of("door")
UNKNOWN = "note: model arn version 1 has no statistics of camera 2: "
NO_NUMBER = "note: pictures whose camera is unknown were embedded by the statistics of the whole"


def run(capsys, *arguments):
    command_line.main([*map(str, arguments)])
    return capsys.readouterr()


def build(capsys, *arguments):
    return run(capsys, "build", SERVER, "--gallery=gal", *(arguments or ["crops"]))


def asked(client):
    return dict(zip(map(os.path.basename, client.asked), client.camera_id, strict=True))


def test_build_gives_the_cameras_of_names(work, capsys, fake):
    client = fake(cameras=[1, 2])
    output = build(capsys)
    assert asked(client) == dict(zip(FILES, [1, 2, 1, 2, 1, 2, 2, -1], strict=True))
    assert output.out == "gal: 8 pictures added, 0 bad ones skipped\n"
    assert NO_NUMBER in output.err and "no statistics" not in output.err
    # What is stored is what always was.
    assert stored()["0009_c2s1.jpeg"] == "2" and stored()["plain.PNG"] is None


def test_a_camera_that_is_not_calibrated_is_reported_once(work, capsys, fake):
    fake(cameras=[1], chunk=2)
    output = build(capsys)
    assert output.err.count("note: ") == 2
    assert UNKNOWN in output.err and "arn_tf.calibrate" in output.err


@pytest.mark.parametrize(("camera", "number"), [("7", 7), ("007", 7), ("-1", -1), ("door", DOOR)])
def test_a_camera_by_flag(work, capsys, fake, camera, number):
    client = fake(cameras=[7, DOOR])
    output = build(capsys, f"--camera={camera}", "crops/plain.PNG")
    assert client.camera_id == [number]
    assert stored() == {"plain.PNG": camera}
    assert (NO_NUMBER in output.err) == (number == -1)


def test_add_and_search_give_them_too(work, capsys, fake):
    fake(cameras=[1, 2])
    build(capsys, "crops/0001_c1s1.jpg")
    client = fake(cameras=[1, 2])
    write_files(work / "crops", ["0010_c3s1.jpg"])
    output = run(capsys, "add", SERVER, "--gallery=gal", "crops/0010_c3s1.jpg")
    assert client.camera_id == [3] and "statistics of camera 3: " in output.err
    client = fake(cameras=[1, 2])
    write_files(work, ["query_c2.jpg", "query_c5.jpg"])
    output = run(capsys, "search", SERVER, "--gallery=gal", "query_c2.jpg", "query_c5.jpg")
    assert client.camera_id == [2, 5]
    assert output.err.count("note: ") == 1 and "statistics of camera 5: " in output.err
    client = fake(cameras=[1, 2])
    run(capsys, "search", SERVER, "--gallery=gal", "--query_camera=1", "query_c5.jpg")
    assert client.camera_id == [1]


def test_what_is_kept_is_reported_when_the_job_breaks_off(work, capsys, fake):
    fake(cameras=[1], chunk=2, fail_after=(1, UnavailableError("gone")))
    with pytest.raises(UnavailableError):
        build(capsys)
    err = capsys.readouterr().err
    assert "2 pictures were added before this" in err and UNKNOWN in err and NO_NUMBER not in err


def test_a_gallery_goes_on_with_a_model_that_takes_cameras(work, capsys, fake):
    """The same space, exported again with a signature more."""
    fake()
    assert "note" not in build(capsys, "crops/0001_c1s1.jpg").err
    client = fake(cameras=[1, 2], version=2)
    output = run(capsys, "add", SERVER, "--gallery=gal", "crops")
    assert "7 pictures added, 1 were there already" in output.out
    assert "0001_c1s1.jpg" not in asked(client)


def folders(work):
    """Crops in folders of cameras that have names."""
    for camera in ("lift", "Löbby"):
        write_files(work / "site" / camera, [f"{camera}{row}.jpg" for row in range(2)])


def test_a_guess_by_the_folders_is_told(work, capsys, fake):
    folders(work)
    client = fake(cameras=[camera_names.number_of("lift")])
    output = build(capsys, "site")
    assert "note: site: 2 cameras from the first folder: Löbby, lift" in output.err
    assert client.camera_id == [camera_names.number_of(c) for c in ("Löbby",) * 2 + ("lift",) * 2]
    assert sorted(stored().values()) == ["Löbby", "Löbby", "lift", "lift"]
    # By its name, not by its number.
    assert "has no statistics of camera Löbby: " in output.err


def test_a_template(work, capsys, fake):
    folders(work)
    fake(cameras=[1])
    output = build(capsys, "--names={*}/{camera}.jpg", "site")
    assert sorted(stored().values()) == ["Löbby0", "Löbby1", "lift0", "lift1"]
    assert "first folder" not in output.err
    client = fake(cameras=[1])
    query = "site/lift/lift0.jpg"
    run(capsys, "search", SERVER, "--gallery=gal", "--names={camera}/{*}", query)
    assert client.camera_id == [camera_names.number_of("lift")]


def test_a_table(work, capsys, fake):
    folders(work)
    (work / "site.csv").write_text("file,camera\nsite/lift/lift0.jpg,up\nsite/lift/lift1.jpg,\n")
    fake(cameras=[1])
    build(capsys, "site.csv")
    assert stored() == {"lift0.jpg": "up", "lift1.jpg": None}


def test_folders_that_may_be_persons_tell_no_camera(work, capsys, fake):
    for person in range(101):
        write_files(work / "persons" / str(person), [f"{person}_.jpg"])
    fake(cameras=[1])
    output = build(capsys, "persons")
    assert "note: no cameras: persons holds 101 folders" in output.err
    assert set(stored().values()) == {None}


def test_one_name_that_tells_a_number_does_not_hide_the_folders(work, capsys, fake):
    folders(work)
    write_files(work / "site" / "lift", ["lift_c3.jpg"])
    fake(cameras=[1])
    output = build(capsys, "site")
    assert "note: site: 2 cameras from the first folder: Löbby, lift" in output.err
    # As training has it.
    assert sorted(stored().values()) == ["Löbby", "Löbby", "lift", "lift", "lift"]


def test_a_template_that_no_picture_of_a_folder_is_like(work, capsys, fake):
    folders(work)
    fake(cameras=[1])
    with pytest.raises(BadInputError, match=r"no picture of site is like it: .*lift/lift0\.jpg"):
        build(capsys, "--names={camera}_x_{*}", "site")
    # Some are, and the others are counted.
    output = build(capsys, "--names=lift/{camera}", "site")
    assert "2 of 4 pictures are not like names=lift/{camera}: no camera" in output.err
