"""Runs without a source: calibration and self-training on the target alone, scores, kill -9."""

import dataclasses
import json
import os
import pathlib
import re
import shutil

import keras
import numpy as np
import pytest

from arn_tf import recipes
from arn_tf.data.reid_data import ReidData
from arn_tf.ranking.evaluation import Evaluation
from arn_tf.run import results
from arn_tf.run.folder import RunDir
from arn_tf.strong import batches, camera_statistics, unlabelled_scores
from arn_tf.strong import evaluate as strong_evaluate
from arn_tf.strong.embedding import embed_by_camera, embed_plain
from arn_tf.strong.evaluate import (
    ADAPTED,
    ADAPTED_CAMERAS,
    ADAPTED_RERANKED,
    SOURCE_ONLY,
    SOURCE_ONLY_CAMERAS,
    SOURCE_ONLY_RERANKED,
    UNTRAINED_CAMERAS,
)
from arn_tf.strong.settings import StrongSettings
from arn_tf.strong.stages import TargetStages
from tests.support import small_data, small_strong, small_tables
from tests.support.small_data import assert_equal
from tests.support.small_strong import settings, trained, weights
from tests.support.user_errors import refused

# Random weights with which all three rounds have clusters enough.
SEED, ROUNDS = 10, 3
# In the order in which a run writes them.
STAGES = ["initial", "adapted", "round_1", "round_2", "round_3", "average", "model"]
ROWS = {
    SOURCE_ONLY: "as given (a) plain statistics",
    UNTRAINED_CAMERAS: "as given, standardised per camera",
    SOURCE_ONLY_CAMERAS: "calibrated (b) camera statistics, flip",
    SOURCE_ONLY_RERANKED: "calibrated (c) = (b) + re-ranking",
    ADAPTED: "self-trained (a) statistics as given",
    ADAPTED_CAMERAS: "self-trained (b) camera statistics, flip",
    ADAPTED_RERANKED: "self-trained (c) = (b) + re-ranking",
}


def alone(folder: pathlib.Path) -> StrongSettings:
    return settings(folder, source="none", seed=SEED, self_training_rounds=ROUNDS)


@pytest.fixture(scope="module")
def finished() -> tuple[RunDir, str]:
    return trained(alone(small_data.folder() / "without_source"))


@pytest.fixture(scope="module")
def run(finished: tuple[RunDir, str]) -> RunDir:
    return finished[0]


@pytest.fixture(scope="module")
def found(run: RunDir) -> Evaluation:
    return strong_evaluate.evaluate(run, recipes.settings_of(run))


def models(run: RunDir) -> list[str]:
    return sorted(name for name in os.listdir(run.path) if name.endswith(".keras"))


def test_there_is_no_source_stage_and_no_classifier(run, finished):
    assert models(run) == sorted(f"{name}.keras" for name in STAGES)
    with open(run.file("data.json")) as file:
        assert set(json.load(file)) >= {"target train"}
        file.seek(0)
        assert not [name for name in json.load(file) if "source" in name]
    initial, first = weights(run, "initial"), weights(run, "round_1")
    assert not [name for name in initial if "source" in name]
    encoder = [name for name in initial if name.startswith("encoder_i")]
    for name in encoder:
        np.testing.assert_array_equal(initial[name], weights(run, "adapted")[name])
        # Statistics are those of the given weights, whatever learns.
        assert np.array_equal(initial[name], first[name]) == ("moving" in name), name
    # As given it keeps its layers; what was trained has those of each camera.
    for stage, kept in (("adapted", True), ("round_1", False)):
        table = run.load_model(f"{stage}.keras").table
        means = [table.row_moments(row)[0] for row in range(4)]
        assert [np.array_equal(means[0], mean) for mean in means[1:]] == [kept] * 3
    model = run.load_model("model.keras")
    assert (model.num_identities, model.cameras) == (0, [1, 2])
    with open(run.file("choice.json")) as file:
        # The mean takes the last round's place.
        assert list(json.load(file)["scores"]) == [f"{STAGES[at]}.keras" for at in (1, 2, 3, 5)]


def test_a_mean_with_an_alarm_gives_the_last_round_its_place_back(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    copy = RunDir(str(folder))
    model = copy.load_model("average.keras")
    columns = small_tables.columns(model)
    columns["embedding_deviation"].assign(0 * columns["embedding_deviation"] + 1e-3)
    columns["embedding_mean"].assign(0 * columns["embedding_mean"] + 1)
    copy.save_model(model, "average.keras")
    os.remove(copy.file("model.keras"))
    alone(folder).save(folder / "settings.json")
    again, printed = trained(alone(folder))
    assert "WARNING: average.keras: the embeddings are nearly the same" in printed
    choice = json.loads(pathlib.Path(again.file("choice.json")).read_text())
    assert list(choice["scores"]) == [f"{name}.keras" for name in STAGES[1:-1]]
    assert choice["scores"]["average.keras"] is None is not choice["scores"]["round_3.keras"]
    assert choice["stage"] != "average.keras"


def test_a_round_with_an_alarm_is_no_part_of_the_mean(run, tmp_path, monkeypatch):
    """A fourth round that is as the third; without the alarm the mean would be of both."""
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    for name in ("average", "model"):
        os.remove(folder / f"{name}.keras")
    shutil.copyfile(folder / "round_3.keras", folder / "round_4.keras")
    four = dataclasses.replace(alone(folder), self_training_rounds=4)
    four.save(folder / "settings.json")
    found = TargetStages.alarm

    def alarm(stages: TargetStages, stage: str) -> str | None:
        return "all are alike" if stage == "round_4.keras" else found(stages, stage)

    monkeypatch.setattr(TargetStages, "alarm", alarm)
    again, _ = trained(four)
    assert_equal(weights(again, "average"), weights(run, "average"))
    # Of three rounds the mean would be of one.
    for name in ("average", "model", "round_4"):
        os.remove(folder / f"{name}.keras")
    alone(folder).save(folder / "settings.json")
    monkeypatch.setattr(
        TargetStages, "alarm", lambda stages, stage: "alike" if stage == "round_3.keras" else None
    )
    again, printed = trained(alone(folder))
    assert not os.path.exists(again.file("average.keras"))
    assert "stage 4 is out: alike" in printed


def test_the_average_is_of_the_later_half_with_statistics_of_its_own(run):
    """Of rounds 2 and 3; its statistics are those of no round."""
    found, rounds = weights(run, "average"), [weights(run, f"round_{n}") for n in (2, 3)]
    encoder = [name for name in found if name.startswith("encoder_i")]
    for name in encoder:
        mean = (rounds[0][name] + rounds[1][name].astype(np.float64)) / 2
        np.testing.assert_allclose(found[name], mean, rtol=1e-6, atol=1e-9, err_msg=name)
    assert any(np.any(rounds[0][name] != rounds[1][name]) for name in encoder)
    model = run.load_model("average.keras")
    values = recipes.settings_of(run)
    target = ReidData("duke", values.data_dir, values.manual_dir).split("train")
    pictures = batches.decoded(target, values.image_size)
    expected, _ = camera_statistics.estimate(model, pictures, target.camera_id)
    for left, right in zip(model.table.weights, expected.table.weights, strict=True):
        np.testing.assert_array_equal(left, right, err_msg=left.path)


def test_what_is_printed(finished):
    _, printed = finished
    assert "source" not in printed.replace("WARNING: without a source the target's clusters", "")
    assert "adapted.keras, without labels: other_camera_share" in printed
    assert "average.keras, without labels: other_camera_share" in printed


def test_a_round_tells_how_the_target_was_clustered_and_draws_cameras_together(run, finished):
    record = json.loads(pathlib.Path(run.file("round_1.json")).read_text())
    assert record["stopped"] is None and record["joined"] is False
    assert 0 <= record["conflicts"] < 0.25
    assert (record["cameras_compared"], record["cameras_sharing"]) == (1, 1)
    assert "clustered all cameras together: of the pairs of one camera its own" in finished[1]
    assert "1 of 1 pairs of cameras seem to share persons" in finished[1]
    assert re.search(r"loss: [\d.]+ - class: [\d.]+ - triplet: [\d.]+ - cameras: ", finished[1])


def test_random_weights_are_warned_of_and_given_ones_are_not(finished, tmp_path):
    assert "WARNING: without a source the target's clusters are those of random" in finished[1]
    network = small_data.tiny_network(False, None, (*small_strong.SIZE, 3))
    path = str(tmp_path / "given.weights.h5")
    network.save_weights(path)
    given = settings(tmp_path / "run", source="none", self_training_rounds=0, backbone_weights=path)
    run, printed = trained(given)
    assert "WARNING" not in printed
    assert models(run) == ["adapted.keras", "initial.keras", "model.keras"]
    adapted = keras.models.load_model(run.file("model.keras"))
    for left, right in zip(network.get_weights(), adapted.encoder_i.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_same_command_again_changes_nothing(run):
    def files() -> dict[pathlib.Path, int]:
        paths = pathlib.Path(run.path).rglob("*")
        return {p: p.stat().st_mtime_ns for p in paths if p.is_file() and p.name != ".lock"}

    before = files()
    trained(recipes.settings_of(run))
    assert files() == before


@pytest.mark.parametrize("left", range(1, len(STAGES)))
def test_a_run_that_was_stopped_between_stages_ends_in_the_same_weights(run, tmp_path, left):
    """From the files of the first stages alone; of the next a part may be there."""
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    for name in STAGES[left:]:
        os.remove(folder / f"{name}.keras")
    (folder / ".partial.keras").write_text("half of a model")
    again, _ = trained(alone(folder))
    for name in STAGES:
        assert_equal(weights(run, name), weights(again, name))


def test_what_stops_self_training_keeps_the_calibrated_model(tmp_path):
    few = settings(tmp_path / "run", source="none", batch_size=8, **small_data.inputs())
    run, printed = trained(few)
    assert "self-training stops before round 1: " in printed
    assert_equal(weights(run, "model"), weights(run, "adapted"))
    found = strong_evaluate.evaluate(run, recipes.settings_of(run))
    assert [row.key for row in found.rows] == list(ROWS)[:4]
    assert found.kept.title == ROWS[SOURCE_ONLY_CAMERAS]


def test_a_target_smaller_than_a_batch(tmp_path):
    few = settings(tmp_path / "run", source="none", **small_data.inputs() | {"batch_size": 32})
    with refused("--batch_size=32 is more than the 24 pictures of the target"):
        trained(few)


# Scores.


def test_rows_are_called_what_they_are(run, found, capsys):
    assert {row.key: row.title for row in found.rows} == ROWS
    assert [row.key for row in found.rows] == list(ROWS)
    results.report(run, recipes.settings_of(run), found)
    shown = capsys.readouterr().out
    assert "duke alone, in percent" in shown
    assert "source" not in shown
    with open(run.file("results.json")) as file:
        assert json.load(file)["source"] == "none"
    title, _ = results.scores_of_model(run, strong_evaluate.SERVED_TITLES)
    assert title == ROWS[ADAPTED_CAMERAS]


def test_without_labels_too(run, tmp_path, monkeypatch):
    monkeypatch.setattr(strong_evaluate.scored, "splits", lambda *_: None)
    values = recipes.settings_of(run)
    found = strong_evaluate.evaluate(run, values)
    target = ReidData("duke", values.data_dir, values.manual_dir).split("train")
    pictures = batches.decoded(target, values.image_size)

    def numbers(stage: str, plain: bool = False) -> dict[str, float]:
        model, camera_id = run.load_model(f"{stage}.keras"), target.camera_id
        embeddings = embed_plain(model, pictures)
        if not plain:
            embeddings = embed_by_camera(model, pictures, camera_id)
        return {
            "other_camera_share": unlabelled_scores.other_camera_share(embeddings, camera_id),
            "mutual_rate": unlabelled_scores.mutual_rate(embeddings, camera_id),
            "similarity_entropy": unlabelled_scores.similarity_entropy(embeddings, camera_id),
        }

    expected = {
        ROWS[SOURCE_ONLY]: numbers("initial", plain=True),
        ROWS[SOURCE_ONLY_CAMERAS]: numbers("adapted"),
        ROWS[ADAPTED_CAMERAS]: numbers("model"),
    }
    assert found.without_labels == expected
    assert list(found.without_labels) == list(expected)
    # Without a round the model is the calibrated one, and may have learnt cameras since.
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    for number in range(1, ROUNDS + 1):
        os.remove(folder / f"round_{number}.keras")
    found = strong_evaluate.evaluate(RunDir(str(folder)), values)
    assert found.without_labels == {
        ROWS[SOURCE_ONLY]: expected[ROWS[SOURCE_ONLY]],
        ROWS[SOURCE_ONLY_CAMERAS]: expected[ROWS[ADAPTED_CAMERAS]],
    }


def test_a_target_of_one_camera_has_no_numbers_without_labels(run, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(strong_evaluate.scored, "splits", lambda *_: None)
    opened = strong_evaluate.opened

    class OneCamera:
        def __init__(self, *arguments):
            self._data = opened(*arguments)

        def split(self, name):
            split = self._data.split(name)
            return dataclasses.replace(split, camera_id=np.full(len(split), 2))

    monkeypatch.setattr(strong_evaluate, "opened", OneCamera)
    found = strong_evaluate.evaluate(run, recipes.settings_of(run))
    assert any("fewer than two cameras that are known" in note for note in found.notes)
    results.report(RunDir(str(tmp_path)), recipes.settings_of(run), found, "digest")
    assert re.search(rf"{re.escape(ROWS[SOURCE_ONLY])} +-  +-  +-\n", capsys.readouterr().out)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = (tmp_path / "results.json").read_text()
    record = json.loads(text, parse_constant=refuse)
    assert set(record["without_labels"][ROWS[SOURCE_ONLY]].values()) == {None}


def test_pairs_of_rows_that_an_ablation_compares_are_there(run, found):
    ablation = recipes.recipe_of(recipes.settings_of(run)).ablation(recipes.settings_of(run))
    keys = [row.key for row in found.rows]
    keys += [key for each in ablation.runs for key, _ in each.rows.values()]
    assert all(one in keys and other in keys for one, other in ablation.compared)
