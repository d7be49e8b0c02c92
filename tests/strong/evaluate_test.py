"""Scores of strong runs: the table's rows, with and without self-training and re-ranking."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest

from arn_tf import recipes
from arn_tf.data.reid_data import ReidData
from arn_tf.ranking import protocol, reranking
from arn_tf.ranking.evaluation import Evaluation
from arn_tf.run import results
from arn_tf.run.folder import RunDir
from arn_tf.strong import evaluate as strong_evaluate
from arn_tf.strong.batches import decoded
from arn_tf.strong.camera_statistics import with_cameras
from arn_tf.strong.evaluate import (
    ADAPTED,
    ADAPTED_CAMERAS,
    ADAPTED_RERANKED,
    SOURCE_ONLY,
    SOURCE_ONLY_CAMERAS,
    SOURCE_ONLY_RERANKED,
    UNTRAINED,
    UNTRAINED_CAMERAS,
)
from arn_tf.strong.model import StrongModel
from tests.support import small_tables
from tests.support.user_errors import refused

ROWS = {
    UNTRAINED: "untrained pooled backbone",
    UNTRAINED_CAMERAS: "untrained, standardised per camera",
    SOURCE_ONLY: "source only (a) plain statistics",
    SOURCE_ONLY_CAMERAS: "source only (b) camera statistics, flip",
    SOURCE_ONLY_RERANKED: "source only (c) = (b) + re-ranking",
    ADAPTED: "self-trained (a) plain statistics",
    ADAPTED_CAMERAS: "self-trained (b) camera statistics, flip",
    ADAPTED_RERANKED: "self-trained (c) = (b) + re-ranking",
}
KEYS = list(ROWS)


@pytest.fixture(scope="module")
def run(strong_run):
    return strong_run


@pytest.fixture(scope="module")
def found(run: RunDir) -> Evaluation:
    return strong_evaluate.evaluate(run, recipes.settings_of(run))


def copied(run: RunDir, folder: pathlib.Path) -> RunDir:
    shutil.copytree(run.path, folder)
    return RunDir(str(folder))


def keys(evaluation: Evaluation) -> list[str]:
    return [row.key for row in evaluation.rows]


def test_the_table_has_every_row(run, found, capsys, tmp_path):
    assert keys(found) == KEYS
    assert [row.title for row in found.rows] == list(ROWS.values())
    assert strong_evaluate.TITLES == ROWS
    copy = copied(run, tmp_path / "run")
    results.report(copy, recipes.settings_of(copy), found)
    shown = capsys.readouterr().out
    lines = [line.split("|")[1].strip() for line in shown.splitlines() if line.startswith("| ")]
    assert lines[2:] == list(ROWS.values())
    with open(copy.file("results.json")) as file:
        saved = json.load(file)
    assert (saved["source"], saved["target"]) == ("market", "duke")
    assert list(saved["rows"]) == list(ROWS.values())
    assert found.ranked_lists.height > 8 * 128


def test_the_stage_that_was_kept_is_named(run, found):
    with open(run.file("choice.json")) as file:
        choice = json.load(file)
    assert found.notes == [
        f"the self-trained rows are those of {choice['stage']} ({choice['reason']})"
    ]


def test_scores_are_those_of_the_models_on_the_pictures(run, found):
    settings = recipes.settings_of(run)
    data = ReidData("duke", settings.data_dir, settings.manual_dir)
    query, gallery, train = (data.split(name) for name in ("query", "gallery", "train"))
    *pictures, known = (decoded(split, settings.image_size) for split in (query, gallery, train))

    def by_camera(model: StrongModel) -> list[np.ndarray]:
        return [
            model(each, model.table.rows_of(split.camera_id)).numpy()
            for each, split in zip(pictures, (query, gallery), strict=True)
        ]

    def standardized(model: StrongModel) -> list[np.ndarray]:
        vectors, known_vectors = [model(each).numpy() for each in pictures], model(known).numpy()
        for camera in (1, 2):
            own = known_vectors[train.camera_id == camera].astype("f8")
            # As if sixteen pictures of the whole target were among its own.
            share = len(own) / (len(own) + 16)
            mean, square = (
                share * (own**power).mean(axis=0)
                + (1 - share) * (known_vectors.astype("f8") ** power).mean(axis=0)
                for power in (1, 2)
            )
            deviation = np.sqrt(square - mean**2)
            for each, split in zip(vectors, (query, gallery), strict=True):
                rows = split.camera_id == camera
                each[rows] = (each[rows] - mean) / deviation
        return vectors

    initial, adapted, model = (
        run.load_model(f"{n}.keras") for n in ("initial", "adapted", "model")
    )
    embeddings = {
        UNTRAINED: [initial(each).numpy() for each in pictures],
        UNTRAINED_CAMERAS: standardized(initial),
        SOURCE_ONLY: [adapted(each).numpy() for each in pictures],
        SOURCE_ONLY_CAMERAS: by_camera(adapted),
        SOURCE_ONLY_RERANKED: by_camera(adapted),
        ADAPTED: [model(each).numpy() for each in pictures],
        ADAPTED_CAMERAS: by_camera(model),
        ADAPTED_RERANKED: by_camera(model),
    }
    assert list(embeddings) == KEYS
    for key, vectors in embeddings.items():
        reranked = key in (SOURCE_ONLY_RERANKED, ADAPTED_RERANKED)
        expected = protocol.rank_gallery(
            *vectors,
            query.person_id,
            gallery.person_id,
            query.camera_id,
            gallery.camera_id,
            distance=reranking.rerank if reranked else None,
        )
        assert found[key].mean_ap == pytest.approx(expected.mean_ap, abs=1e-3), key
    # Camera statistics are worth something even here: from a stage's plain row to its other one.
    for plain, cameras in (
        (UNTRAINED, UNTRAINED_CAMERAS),
        (SOURCE_ONLY, SOURCE_ONLY_CAMERAS),
        (ADAPTED, ADAPTED_CAMERAS),
    ):
        assert found[cameras].mean_ap > found[plain].mean_ap + 0.01, cameras


def test_re_ranked_rows_are_there_or_not(run, found, stopped_training):
    """And leave the other rows and the ranked lists as they are."""
    settings = recipes.settings_of(run)
    without = strong_evaluate.evaluate(run, settings, rerank=False)
    assert keys(without) == [
        key for key in KEYS if key not in (SOURCE_ONLY_RERANKED, ADAPTED_RERANKED)
    ]
    for row in without.rows:
        assert row.title == ROWS[row.key]
        assert row.result.to_json() == found[row.key].to_json()
    assert without.ranked_lists.tobytes() == found.ranked_lists.tobytes()
    assert without.notes == found.notes
    with pytest.raises(KeyError):
        without[ADAPTED_RERANKED]
    stopped, _ = stopped_training
    asked = strong_evaluate.evaluate(stopped, recipes.settings_of(stopped), rerank=True)
    assert SOURCE_ONLY_RERANKED in keys(asked)


def test_scores_without_self_training_have_no_row_for_it(stopped_training):
    run, _ = stopped_training
    found = strong_evaluate.evaluate(run, recipes.settings_of(run))
    assert keys(found) == KEYS[:5]
    assert found.notes == []


def test_cameras_without_statistics_are_named(stopped_training, tmp_path):
    run = copied(stopped_training[0], tmp_path / "run")
    run.save_model(with_cameras(run.load_model("model.keras"), [1]), "model.keras")
    (note,) = strong_evaluate.evaluate(run, recipes.settings_of(run), rerank=False).notes
    assert note.startswith("query or gallery pictures of these cameras use the statistics of the")
    assert note.endswith(": 2")


def test_without_a_round_the_result_is_scored_as_it_was_calibrated(stopped_training, tmp_path):
    run = copied(stopped_training[0], tmp_path / "run")
    settings = recipes.settings_of(run)
    before = strong_evaluate.evaluate(run, settings, rerank=False)
    model = run.load_model("model.keras")
    mean = small_tables.columns(model)["mean"]
    mean.assign(mean + 0.5)
    run.save_model(model, "model.keras")
    after = strong_evaluate.evaluate(run, settings, rerank=False)
    for key in (SOURCE_ONLY, SOURCE_ONLY_CAMERAS):
        same = after[key].to_json() == before[key].to_json()
        assert same == (key == SOURCE_ONLY), key


def test_an_unfinished_run(run, tmp_path):
    copy = copied(run, tmp_path / "run")
    os.remove(copy.file("model.keras"))
    with refused(r"--model_dir=.*: model.keras is not there; finish the run"):
        strong_evaluate.evaluate(copy, recipes.settings_of(run))


def test_a_choice_that_cannot_be_read(run, tmp_path):
    copy = copied(run, tmp_path / "run")
    pathlib.Path(copy.file("choice.json")).write_text("{}")
    with refused(r"choice\.json: not what arn_tf.train writes .*remove model\.keras beside it"):
        strong_evaluate.evaluate(copy, recipes.settings_of(run), rerank=False)


def test_a_stage_that_an_earlier_version_chose_by_labels_is_still_called_so(run, tmp_path, capsys):
    copy = copied(run, tmp_path / "run")
    changes = {
        "settings.json": {"arn_losses": False, "keep_best": "labelled"},
        "choice.json": {"keep_best": "labelled", "reason": "ORACLE: chosen by labels, mAP 50.0"},
    }
    for name, values in changes.items():
        path = pathlib.Path(copy.file(name))
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
    settings = recipes.settings_of(copy)
    assert settings == recipes.settings_of(run)
    printed = capsys.readouterr().out
    assert "made with --keep_best=labelled, now python -m studies.labelled_choice" in printed
    assert "arn_losses" not in printed
    [note] = strong_evaluate.evaluate(copy, settings, rerank=False).notes
    assert note.endswith("(ORACLE: chosen by labels, mAP 50.0)")
