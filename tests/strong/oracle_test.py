"""The target's labels in place of clusters: which persons they are, what a run does and says."""

import json
import os

import numpy as np
import pytest

from arn_tf import export, recipes
from arn_tf.run import results
from arn_tf.strong import clustering, oracle, target_batches
from arn_tf.strong import evaluate as strong_evaluate
from arn_tf.strong.evaluate import ADAPTED, ADAPTED_CAMERAS, ADAPTED_RERANKED, SOURCE_ONLY_CAMERAS
from tests.support import own_pictures, small_data
from tests.support.small_data import assert_equal
from tests.support.small_strong import settings, trained, weights
from tests.support.user_errors import refused

ORACLE = "ORACLE, by labels"


# Which persons.

# Random weights with which rounds of clusters go on as well.
SEED = 10


def test_persons_that_two_cameras_saw_in_the_order_of_their_pictures():
    person = np.array([7, 0, 3, 7, 5, -1, 3, 5, 9, 9])
    camera = np.array([1, 1, 2, 2, 1, 2, 1, 1, 2, -1])
    labels, counts = oracle.labels(person, camera)
    # 5 was seen by camera 1 alone; of 9 one camera is known; 0 and -1 are nobody.
    assert labels.tolist() == [0, -1, 1, 0, -1, -1, 1, -1, -1, -1]
    assert counts == oracle.PersonCounts(images=10, used=4, persons=2, one_camera=2, unknown=2)


@pytest.mark.parametrize("camera", [3, -1])
def test_where_there_are_no_two_cameras_none_is_asked_for(camera):
    labels, counts = oracle.labels(np.array([4, 2, 4, -1]), np.full(4, camera))
    assert labels.tolist() == [0, 1, 0, -1]
    assert (counts.persons, counts.one_camera) == (2, 0)


def test_nobody():
    labels, counts = oracle.labels(np.array([-1, 0]), np.array([1, 2]))
    assert labels.tolist() == [-1, -1]
    assert counts == oracle.PersonCounts(2, 0, 0, 0, 2)


def test_of_stages_the_last_that_is_sound():
    choice = oracle.last([None, None, "all are alike"])
    assert (choice.index, len(choice.scores)) == (1, 3)
    assert choice.reason.endswith("without a choice; stage 3 is out: all are alike")
    assert oracle.last([None, None, None]).index == 2
    assert oracle.last(["one", "two"]).index == 0
    assert "every stage is collapsed; stage 1 is out: one" in oracle.last(["one", "two"]).reason


# What can't be learnt from.


@pytest.mark.parametrize(
    ("files", "names", "words"),
    [
        (["a/1", "b/1"], "{camera}/{*}", "show 0 persons .*2 pictures of no known person"),
        (["a/1_1", "a/2_1", "b/1_1"], "{camera}/{person_id}_{*}", "1 persons seen by one camera"),
    ],
)
def test_a_target_without_labels_is_refused_before_anything(tmp_path, files, names, words):
    """Before pictures are read, too: these are none."""
    target = own_pictures.write(tmp_path / "crops", {f"{file}.png": b"" for file in files})
    folder = tmp_path / "run"
    wrong = settings(folder, source="none", target=target, names=names, oracle_labels=True)
    with refused(f"--oracle_labels=True: the target's .* {words}.*--names={{person_id}}_"):
        trained(wrong)
    assert not folder.exists()


def test_labels_that_no_readable_picture_has(tmp_path):
    files = {f"{p}_{c}_{n}.png": b"" for p in "ab" for c in (1, 2) for n in range(2)}
    good = {f"c_{c}_{n}.png": own_pictures.encoded(10 * c + n) for c in (1, 2) for n in range(9)}
    target = own_pictures.write(tmp_path / "crops", files | good)
    wrong = settings(
        tmp_path / "run",
        source="none",
        target=target,
        names="{person_id}_{camera}_{*}",
        skip_bad_images=True,
        oracle_labels=True,
    )
    with refused("--oracle_labels=True: .* training pictures show 1 persons"):
        trained(wrong)
    assert not (tmp_path / "run" / "initial.keras").exists()


def test_labels_need_rounds():
    with refused("--oracle_labels=True: .* --self_training_rounds=0 has none"):
        settings("runs/none", oracle_labels=True, self_training_rounds=0).check()


# A run.


@pytest.fixture(scope="module")
def finished():
    """A run by labels, what it printed, and the labels that each round was trained with."""
    used = []

    class Sampler(target_batches.PairSampler):
        def __init__(self, labels, *rest):
            used.append(labels)
            super().__init__(labels, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target_batches, "PairSampler", Sampler)
        folder = small_data.folder() / "oracle"
        run, printed = trained(settings(folder, source="none", seed=SEED, oracle_labels=True))
    return run, printed, used


@pytest.fixture(scope="module")
def adapted():
    """The same run without labels."""
    return trained(settings(small_data.folder() / "no_oracle", source="none", seed=SEED))


@pytest.fixture(scope="module")
def found(finished):
    return strong_evaluate.evaluate(finished[0], recipes.settings_of(finished[0]))


def test_every_round_learns_the_true_persons(finished):
    run, _, used = finished
    split = small_strong_target(run)
    assert len(used) == 2
    for labels in used:
        assert (labels >= 0).all() and labels.max() == 11
        pairs = {*zip(labels.tolist(), split.person_id.tolist(), strict=True)}
        assert len(pairs) == 12  # one person for each label
        assert clustering.purity(labels, split.person_id) == 1


def small_strong_target(run):
    from arn_tf.data.reid_data import ReidData

    values = recipes.settings_of(run)
    return ReidData("duke", values.data_dir, values.manual_dir).split("train")


def test_what_it_begins_with_is_the_same_and_what_comes_of_it_is_not(finished, adapted):
    for stage in ("initial", "adapted"):
        assert_equal(weights(finished[0], stage), weights(adapted[0], stage))
    left, right = (weights(run, "round_1") for run in (finished[0], adapted[0]))
    assert any(not np.array_equal(left[name], right[name]) for name in left)


def test_the_last_round_is_kept_without_a_choice(finished):
    run, printed, _ = finished
    assert_equal(weights(run, "model"), weights(run, "round_2"))
    with open(run.file("choice.json")) as file:
        choice = json.load(file)
    assert choice["stage"] == "round_2.keras" and choice["reason"].startswith(ORACLE)
    assert set(choice["scores"].values()) == {None}
    assert (
        f"kept: round_2.keras, of adapted.keras, round_1.keras, round_2.keras ({ORACLE}" in printed
    )


def test_the_log_and_the_records_of_rounds_say_so(finished, adapted):
    run, printed, _ = finished
    assert f"round 1: {ORACLE}: 12 persons of 144 of 144 pictures; 0 seen by one" in printed
    assert "clusters" not in printed.replace("WARNING: without a source the target's clusters", "")
    with open(run.file("round_2.json")) as file:
        assert json.load(file) == {
            "stopped": None,
            "labels": ORACLE,
            "images": 144,
            "used": 144,
            "persons": 12,
            "one_camera": 0,
            "unknown": 0,
        }
    with open(run.file("settings.json")) as file:
        assert json.load(file)["oracle_labels"] is True
    assert ORACLE not in adapted[1]


def test_rows_say_so(finished, found, capsys):
    titles = {row.key: row.title for row in found.rows}
    assert titles[ADAPTED] == f"{ORACLE}: supervised (a) statistics as given"
    assert titles[ADAPTED_CAMERAS] == f"{ORACLE}: supervised (b) camera statistics, flip"
    assert titles[ADAPTED_RERANKED] == f"{ORACLE}: supervised (c) = (b) + re-ranking"
    assert titles[SOURCE_ONLY_CAMERAS] == "calibrated (b) camera statistics, flip"
    assert found.kept.title == titles[ADAPTED_CAMERAS]
    assert any("the supervised rows are those of round_2.keras (ORACLE" in n for n in found.notes)
    run = finished[0]
    results.report(run, recipes.settings_of(run), found)
    assert f"| {ORACLE}: supervised (b)" in capsys.readouterr().out


def test_an_export_says_so(finished, found, adapted):
    run, settings_ = finished[0], recipes.settings_of(finished[0])
    results.report(run, settings_, found)
    facts = export._facts(run, settings_)
    assert facts["oracle_labels"] is True
    assert facts["metrics_row"] == f"{ORACLE}: supervised (b) camera statistics, flip"
    assert "oracle_labels" not in export._facts(adapted[0], recipes.settings_of(adapted[0]))


def test_a_run_without_labels_is_not_gone_on_with(adapted):
    changed = settings(adapted[0].path, source="none", seed=SEED, oracle_labels=True)
    with refused("oracle_labels: False there, True here"):
        trained(changed)


def test_how_long_the_stages_took_is_kept(finished):
    with open(finished[0].file("times.json")) as file:
        times = json.load(file)
    assert list(times) == ["start", "calibration", "round 1", "round 2", "choice"]
    assert all(each["wall_s"] > 0 for each in times.values())
    assert {(each["attempts"], each["measured"]) for each in times.values()} == {(1, 1)}


def test_stopped_between_rounds_it_ends_in_the_same_weights(finished, tmp_path):
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(finished[0].path, folder)
    for name in ("round_2", "model"):
        os.remove(folder / f"{name}.keras")
    again, _ = trained(settings(folder, source="none", seed=SEED, oracle_labels=True))
    assert_equal(weights(finished[0], "model"), weights(again, "model"))
