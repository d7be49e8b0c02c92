"""The pictures that a run is scored on: the target's own, or the user's labelled ones."""

import dataclasses
import glob
import os
import zipfile

import numpy as np
import pytest

from arn_tf import recipes
from arn_tf.data.split import Split
from arn_tf.ranking import scores
from arn_tf.run import scored
from arn_tf.run.labelled import TARGETS_OWN, Labelled
from arn_tf.strong import evaluate as strong_evaluate
from tests.support import own_pictures, small_strong
from tests.support.user_errors import refused


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    """The folder of the target's archive, as its authors packed it."""
    folder = tmp_path_factory.mktemp("archive")
    [archive] = glob.glob(os.path.join(small_strong.inputs()["manual_dir"], "Duke*.zip"))
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return os.path.join(folder, "DukeMTMC-reID")


def numbers(evaluation):
    return {row.key: row.result.to_json() for row in evaluation.rows}


def test_folders_score_as_the_archive_that_holds_the_same_pictures(strong_run, extracted):
    settings = recipes.settings_of(strong_run)
    expected = numbers(strong_evaluate.evaluate(strong_run, settings, rerank=False))
    labelled = Labelled(f"{extracted}/query", f"{extracted}/bounding_box_test")
    found = numbers(strong_evaluate.evaluate(strong_run, settings, False, labelled))
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key] == pytest.approx(values, abs=1e-6), key


def split(persons, cameras, names):
    images = np.empty(len(names), object)
    images[:] = [name.encode() for name in names]
    return Split(images, np.array(persons), np.array(cameras), list(names))


def test_one_camera_is_scored_when_its_pictures_may_match():
    """By hand: both pictures of person 1 are nearest to each other, those of 2 are not."""
    gallery = split([1, 1, 2, 2], [1, 1, 1, 1], "abcd")
    embeddings = np.array([[1, 0], [0.9, 0.1], [0.8, 0.3], [0, -1]], np.float32)
    with refused("can't be scored"):
        scores.score(embeddings, embeddings, gallery, gallery)
    query, gallery = scored._views_are_pictures(gallery, gallery)
    result = scores.score(embeddings, embeddings, query, gallery)
    # Rank of the one match of each: 1, 1, 3, 3; a query's own picture takes no part.
    assert result.first_match_rank.tolist() == [1, 1, 3, 3]
    assert result.mean_ap == pytest.approx((1 + 1 + 1 / 3 + 1 / 3) / 4)


def test_persons_of_one_picture_are_refused_without_a_word_of_other_cameras():
    query, gallery = scored._views_are_pictures(
        split([1], [1], "a"), split([1, 2], [1, 2], ["a", "b"])
    )
    with refused("no query has a match, a gallery picture of its person other than itself$"):
        scores.score(np.eye(1, 2), np.eye(2), query, gallery)


def test_a_picture_of_the_query_that_lies_in_the_gallery_too_is_no_match():
    query, gallery = scored._views_are_pictures(
        split([1], [1], "a"), split([1, 1], [1, 1], ["a", "b"])
    )
    assert query.view_id[0] == gallery.view_id[0] != gallery.view_id[1]


@pytest.fixture
def settings(strong_run):
    return dataclasses.replace(
        recipes.settings_of(strong_run), input_size="{}x{}".format(*own_pictures.SIZE)
    )


def write(folder, names):
    files = {name: own_pictures.encoded(row) for row, name in enumerate(names)}
    return own_pictures.write(folder, files)


def test_a_query_alone_is_searched_among_itself(tmp_path, settings, strong_run):
    root = write(tmp_path, ["amy_gate.png", "amy_yard.png", "bob_gate.png"])
    labelled = Labelled(root, names="{person_id}_{camera}")
    query, gallery = scored.splits(settings, strong_run, labelled)
    assert query.file_name == gallery.file_name
    assert query.person_id.tolist() == [1, 1, 2]


def test_pictures_of_unknown_persons_are_no_queries_and_no_matches(
    tmp_path, settings, strong_run, capsys
):
    write(tmp_path, ["1.png", "2.png", "3.png"])
    table = tmp_path / "labelled.csv"
    table.write_text("file,camera,person_id\n1.png,gate,amy\n2.png,yard,amy\n3.png,yard,\n")
    query, gallery = scored.splits(settings, strong_run, Labelled(str(table)))
    assert query.file_name == ["1.png", "2.png"]
    assert gallery.person_id.tolist() == [1, 1, -1]
    assert "1 of 3 pictures have no known person" in capsys.readouterr().out


def test_persons_must_be_known(tmp_path, settings, strong_run):
    root = write(tmp_path, ["gate/1.png", "yard/1.png"])
    with refused(r"--query=.*: no picture's person is known.* --names={person_id}_"):
        scored.splits(settings, strong_run, Labelled(root))
    with refused("--gallery needs --query|gallery needs --query"):
        scored.splits(settings, strong_run, Labelled(gallery=root))


@pytest.mark.parametrize("names", ["{person_id}_{*}", "{person_id}_{camera}_{*}"])
def test_without_two_cameras_the_way_out_is_named(tmp_path, settings, strong_run, names):
    files = {f"{person}_7_{n}.png": own_pictures.encoded(n) for person in "ab" for n in (1, 2)}
    labelled = Labelled(own_pictures.write(tmp_path / "one", files), names=names)
    with refused("can't be scored: all are of one camera, or no camera .* pass --same_camera"):
        scored.splits(settings, strong_run, labelled)
    labelled = dataclasses.replace(labelled, same_camera=True)
    assert scored.splits(settings, strong_run, labelled)


def test_bad_pictures_are_no_reason_to_name_a_flag_that_is_not_there(
    tmp_path, settings, strong_run
):
    files = {"a_1_1.png": own_pictures.encoded(1), "a_2_1.png": b""}
    labelled = Labelled(
        own_pictures.write(tmp_path / "bad", files), names="{person_id}_{camera}_{*}"
    )
    with refused(r"has no bytes\. Replace or remove them$"):
        scored.splits(settings, strong_run, labelled)


def test_a_target_without_persons_is_refused_before_it_is_trained_on(tmp_path, settings):
    files = {f"{camera}/{n}.png": own_pictures.encoded(n) for camera in "ab" for n in (1, 2)}
    target = own_pictures.write(tmp_path / "crops", files)
    own = dataclasses.replace(settings, target=target)
    with refused("--target=.*/crops: no picture's person is known.* --names={person_id}_"):
        scored.check(own, TARGETS_OWN)
    scored.check(dataclasses.replace(own, names="{camera}/{person_id}"), TARGETS_OWN)
    scored.check(settings, TARGETS_OWN)


def test_pictures_to_score_on_are_checked_before_the_target_is_trained_on(tmp_path, settings):
    """Whatever the target has; no picture is read, and these are none."""
    target = write(tmp_path / "target", ["gate/1.png", "yard/1.png"])
    own = dataclasses.replace(settings, target=target)
    files = {f"{person}_{camera}_1.png": b"no picture" for person in "ab" for camera in (1, 2)}
    root = own_pictures.write(tmp_path / "labelled", files)
    names = "{person_id}_{camera}_{*}"
    scored.check(own, Labelled(root, names=names))
    scored.check(own, Labelled(root, root, names))
    with refused(r"--query=.*: no picture's person is known.* --names={person_id}_"):
        scored.check(own, Labelled(target, names="{camera}/{*}"))
    table = tmp_path / "labelled.csv"
    table.write_text("file,camera,person_id\nlabelled/a_1_1.png,1,a\n")
    with refused(r"--gallery=.*: no picture's person is known.* --names={person_id}_"):
        scored.check(own, Labelled(str(table), target))
    with refused("gallery needs"):
        scored.check(own, Labelled(gallery=root))
    with refused("--query=.*nowhere"):
        scored.check(own, Labelled(str(tmp_path / "nowhere")))


def test_persons_of_one_camera_each_are_refused_before_the_target_is_trained_on(tmp_path, settings):
    names = "{person_id}_{camera}_{*}"
    files = ["a_1_1.png", "a_1_2.png", "b_2_1.png", "b_2_2.png"]
    root = own_pictures.write(tmp_path / "apart", dict.fromkeys(files, b"no picture"))
    apart = "can't be scored: every person in both was seen by one camera, .* tell .* --names="
    with refused(apart):
        scored.check(settings, Labelled(root, names=names))
    with refused(apart):
        scored.check(dataclasses.replace(settings, target=root, names=names), TARGETS_OWN)
    # Persons of other folders have numbers of their own: those of "c" are not those of "a".
    other = own_pictures.write(tmp_path / "other", {"c_2_1.png": b"no picture"})
    with refused("can't be scored: no person of the query is in the gallery. .* --names="):
        scored.check(settings, Labelled(root, other, names))
    # Nor is one that nobody knows.
    unknown = tmp_path / "unknown.csv"
    unknown.write_text("file,camera,person_id\nother/c_2_1.png,2,c\napart/b_2_1.png,2,\n")
    known = tmp_path / "known.csv"
    known.write_text("file,camera,person_id\napart/a_1_1.png,1,a\napart/b_2_2.png,1,\n")
    with refused("can't be scored: no person of the query is in the gallery"):
        scored.check(settings, Labelled(str(known), str(unknown)))
    both = own_pictures.write(tmp_path / "both", {"a_2_1.png": b"no picture"})
    scored.check(settings, Labelled(root, both, names))


def test_pictures_of_one_camera_are_refused_before_the_target_is_trained_on(tmp_path, settings):
    files = {f"{person}_7_{n}.png": b"no picture" for person in "ab" for n in (1, 2)}
    root, names = own_pictures.write(tmp_path / "one", files), "{person_id}_{camera}_{*}"
    labelled = Labelled(root, names=names)
    with refused("can't be scored: all are of one camera"):
        scored.check(settings, labelled)
    with refused("can't be scored: all are of one camera"):
        scored.check(dataclasses.replace(settings, target=root, names=names), TARGETS_OWN)
    scored.check(settings, dataclasses.replace(labelled, same_camera=True))
    gallery = own_pictures.write(tmp_path / "other", {"a_8_1.png": b"no picture"})
    scored.check(settings, dataclasses.replace(labelled, gallery=gallery))


def test_bad_pictures_that_are_left_out_are_told(tmp_path, settings, strong_run, capsys):
    files = {f"{n}_{camera}.png": own_pictures.encoded(n) for n in (1, 2) for camera in (1, 2)}
    root = own_pictures.write(tmp_path / "q", files | {"3_1.png": b"\x89PNG\r\n\x1a\nno more"})
    changed = dataclasses.replace(settings, skip_bad_images=True)
    labelled = Labelled(root, names="{person_id}_{camera}")
    query, _ = scored.splits(changed, strong_run, labelled)
    assert len(query) == 4
    told = capsys.readouterr().out
    assert "left out: 1 of 5 pictures can't be used" in told and "3_1.png" in told


def test_tracklets_add_a_row_and_leave_the_others_as_they_are(tmp_path, strong_run):
    """Two persons, each with a tracklet of two pictures in both cameras."""
    settings = recipes.settings_of(strong_run)
    names = [f"{p}_{c}_t{p}_{n}.png" for p in "ab" for c in ("gate", "yard") for n in (1, 2)]
    root = write(tmp_path, names)
    plain, tracked = (
        strong_evaluate.evaluate(strong_run, settings, False, Labelled(root, names=template))
        for template in ("{person_id}_{camera}_{*}", "{person_id}_{camera}_{tracklet}_{*}")
    )
    assert plain.by_tracklet is None
    assert numbers(tracked) == numbers(plain)
    assert tracked.by_tracklet.title == f"{tracked.kept.title}, by tracklet"
    result = tracked.by_tracklet.result
    assert (result.queries, result.valid_queries) == (4, 4)
    # The one match of each is another tracklet than its own, among three.
    assert set(result.first_match_rank.tolist()) <= {1, 2, 3}
    assert result.mean_ap == pytest.approx((1 / result.first_match_rank).mean())
