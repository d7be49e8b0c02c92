"""Scores of strong runs: the table's rows, with and without self-training, and the oracle."""

import json
import os
import shutil

import numpy as np
import pytest

from arn_tf import evaluate, recipes
from arn_tf.data.reid_data import ReidData
from arn_tf.errors import UserError
from arn_tf.ranking import protocol, reranking
from arn_tf.run.folder import RunDir
from arn_tf.strong import evaluate as strong_evaluate
from arn_tf.strong.batches import decoded
from tests.support import small_strong

ROWS = [
    "untrained pooled backbone",
    "untrained, standardised per camera",
    "source only (a) plain statistics",
    "source only (b) camera statistics, flip",
    "source only (c) = (b) + re-ranking",
    "self-trained (a) plain statistics",
    "self-trained (b) camera statistics, flip",
    "self-trained (c) = (b) + re-ranking",
]


@pytest.fixture(scope="module")
def run(strong_run):
    return strong_run


@pytest.fixture(scope="module")
def found(run):
    return strong_evaluate.evaluate(run, recipes.settings_of(run))


def test_the_table_has_every_row(run, found, capsys, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    copy = RunDir(str(tmp_path / "run"))
    evaluate.report(copy, recipes.settings_of(copy), found[0])
    shown = capsys.readouterr().out
    lines = [line.split("|")[1].strip() for line in shown.splitlines() if line.startswith("| ")]
    assert lines[2:] == ROWS == list(found[0])
    with open(copy.file("results.json")) as file:
        saved = json.load(file)
    assert (saved["source"], saved["target"]) == ("market", "duke")
    assert list(saved["rows"]) == ROWS
    assert found[1].height > 8 * 128


def test_scores_are_those_of_the_models_on_the_pictures(run, found):
    settings = recipes.settings_of(run)
    data = ReidData("duke", settings.data_dir, settings.manual_dir)
    query, gallery, train = (data.split(name) for name in ("query", "gallery", "train"))
    *pictures, known = (decoded(split, settings.image_size) for split in (query, gallery, train))

    def by_camera(model):
        return [
            model(each, model.rows_of(split.camera_id)).numpy()
            for each, split in zip(pictures, (query, gallery), strict=True)
        ]

    def standardized(model):
        vectors, known_vectors = [model(each).numpy() for each in pictures], model(known).numpy()
        for camera in (1, 2):
            own = known_vectors[train.camera_id == camera]
            deviation = np.maximum(own.std(axis=0), 1e-6)
            for each, split in zip(vectors, (query, gallery), strict=True):
                rows = split.camera_id == camera
                each[rows] = (each[rows] - own.mean(axis=0)) / deviation
        return vectors

    initial, adapted, model = (
        run.load_model(f"{n}.keras") for n in ("initial", "adapted", "model")
    )
    for row, embeddings in enumerate((
        [initial(each).numpy() for each in pictures], standardized(initial),
        [adapted(each).numpy() for each in pictures], by_camera(adapted), by_camera(adapted),
        [model(each).numpy() for each in pictures], by_camera(model), by_camera(model),
    )):  # fmt: skip
        expected = protocol.rank_gallery(
            *embeddings, query.person_id, gallery.person_id, query.camera_id, gallery.camera_id,
            distance=reranking.rerank if row in (4, 7) else None,
        )  # fmt: skip
        assert found[0][ROWS[row]].mean_ap == pytest.approx(expected.mean_ap, abs=1e-3), row
    # Camera statistics are worth something even here: from a stage's plain row to its other one.
    for plain, cameras in ((0, 1), (2, 3), (5, 6)):
        assert found[0][ROWS[cameras]].mean_ap > found[0][ROWS[plain]].mean_ap + 0.01, cameras


def test_scores_without_self_training_have_no_row_for_it(stopped_training):
    run, _ = stopped_training
    results, _, notes = strong_evaluate.evaluate(run, recipes.settings_of(run))
    assert list(results) == ROWS[:5]
    (note,) = notes
    assert note.startswith("query or gallery pictures of these cameras use the statistics of the")
    assert note.endswith(": 1, 2")


def test_without_a_round_the_result_is_scored_as_it_was_calibrated(stopped_training, tmp_path):
    shutil.copytree(stopped_training[0].path, tmp_path / "run")
    run = RunDir(str(tmp_path / "run"))
    settings = recipes.settings_of(run)
    before = strong_evaluate.evaluate(run, settings)[0]
    model = run.load_model("model.keras")
    mean = model.table["mean"]
    mean.assign(mean + 0.5)
    run.save_model(model, "model.keras")
    after = strong_evaluate.evaluate(run, settings)[0]
    assert after[ROWS[2]].to_json() == before[ROWS[2]].to_json()
    assert after[ROWS[3]].to_json() != before[ROWS[3]].to_json()


def test_an_unfinished_run(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    os.remove(tmp_path / "run" / "model.keras")
    with pytest.raises(UserError, match=r"model.keras is not there; finish the run"):
        strong_evaluate.evaluate(RunDir(str(tmp_path / "run")), recipes.settings_of(run))


def test_the_oracle_is_marked_in_every_output(run, found, tmp_path):
    """From the folder of a finished run, whose stages it chooses among."""
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    for name in ("settings.json", "model.keras", "choice.json"):
        os.remove(folder / name)
    told = small_strong.settings(folder, keep_best="labelled")
    told.save(folder / "settings.json")
    oracle, printed = small_strong.trained(told)
    assert "kept: " in printed
    assert "ORACLE: chosen by the target's labels" in printed
    with open(oracle.file("choice.json")) as file:
        choice = json.load(file)
    assert choice["keep_best"] == "labelled"
    results, _, notes = strong_evaluate.evaluate(oracle, told)
    assert "ORACLE" in notes[-1]
    assert list(results)[:5] == ROWS[:5]
    assert list(results)[5:] == [f"ORACLE, by labels: {row}" for row in ROWS[5:]]
    best = max(choice["scores"].values())
    assert results[f"ORACLE, by labels: {ROWS[6]}"].mean_ap == best
    assert best >= found[0][ROWS[6]].mean_ap
    assert choice["scores"]["adapted.keras"] == results[ROWS[3]].mean_ap
