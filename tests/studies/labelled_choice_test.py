"""The stage that labels would choose: against a direct computation, and what is printed."""

import json
import pathlib
import sys

import pytest

from arn_tf import recipes
from arn_tf.data.reid_data import ReidData
from arn_tf.ranking import protocol
from arn_tf.run.folder import RunDir
from arn_tf.strong import evaluate as strong_evaluate
from arn_tf.strong import stage_choice, stages
from arn_tf.strong.batches import decoded
from studies import labelled_choice

STAGES = ["adapted.keras", "round_1.keras", "round_2.keras"]


@pytest.fixture(scope="module")
def run(strong_run: RunDir) -> RunDir:
    return strong_run


@pytest.fixture(scope="module")
def found(run: RunDir) -> dict[str, float]:
    return labelled_choice.scores_by_labels(run, recipes.settings_of(run))


def everything_in(run: RunDir) -> dict[pathlib.Path, tuple[int, bytes]]:
    """Returns {file: (time of its last change, content)}."""
    paths = [path for path in pathlib.Path(run.path).rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def test_stages_are_those_that_are_there(run, stopped_training):
    assert labelled_choice.stages_of(run) == STAGES
    assert labelled_choice.stages_of(stopped_training[0]) == STAGES[:1]


def test_of_many_rounds_those_that_the_run_compares(tmp_path):
    run = RunDir(str(tmp_path))
    for number in range(1, 13):
        (tmp_path / f"round_{number}.keras").touch()
    choice = stage_choice.Choice(3, "because", (0.5,) * 4)
    stage_choice.record(run, [*stages.compared(12)[:-1], stages.AVERAGE], choice)
    expected = ["adapted", "round_4", "round_8", "average"]
    assert labelled_choice.stages_of(run) == [f"{e}.keras" for e in expected]


def test_scores_are_those_of_the_models_on_the_pictures(run, found):
    settings = recipes.settings_of(run)
    data = ReidData("duke", settings.data_dir, settings.manual_dir)
    splits = query, gallery = [data.split(name) for name in ("query", "gallery")]
    pictures = [decoded(split, settings.image_size) for split in splits]
    assert list(found) == STAGES
    for stage, value in found.items():
        model = run.load_model(stage)
        embeddings = [
            model(each, model.table.rows_of(split.camera_id)).numpy()
            for each, split in zip(pictures, splits, strict=True)
        ]
        expected = protocol.rank_gallery(
            *embeddings, query.person_id, gallery.person_id, query.camera_id, gallery.camera_id
        )
        assert value == pytest.approx(expected.mean_ap, abs=1e-3), stage
    # Stages that can be told apart.
    assert len(set(found.values())) == 3
    assert all(0 < value < 1 for value in found.values())


def test_they_are_what_the_evaluation_gives_for_row_b(run, found):
    evaluation = strong_evaluate.evaluate(run, recipes.settings_of(run), rerank=False)
    with open(run.file("choice.json")) as file:
        kept = json.load(file)["stage"]
    assert found["adapted.keras"] == evaluation[strong_evaluate.SOURCE_ONLY_CAMERAS].mean_ap
    assert found[kept] == evaluation[strong_evaluate.ADAPTED_CAMERAS].mean_ap
    assert max(found.values()) >= found[kept]


def test_what_is_printed_and_that_the_run_stays_as_it_is(
    run, found, stopped_training, capsys, monkeypatch
):
    before = everything_in(run)
    stopped = stopped_training[0]
    monkeypatch.setattr(sys, "argv", ["labelled_choice", run.path, stopped.path])
    labelled_choice.main()
    best = max(found.values())
    [winner] = [stage for stage, value in found.items() if value == best]
    with open(run.file("choice.json")) as file:
        kept = json.load(file)["stage"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        f"{run.path}, ORACLE, by the target's labels: {winner}, mAP {100 * best:.1f}",
        *(f"  {stage} {100 * found[stage]:.1f}" for stage in STAGES),
        f"  kept without labels: {kept}, {100 * (best - found[kept]):.2f} points less",
    ]
    # Of one stage there is nothing to choose.
    assert lines[5].startswith(f"{stopped.path}, ORACLE, by the target's labels: adapted.keras, ")
    assert lines[7:] == ["  kept without labels: adapted.keras, 0.00 points less"]
    assert everything_in(run) == before
