"""Whole runs of the strong recipe on tiny data: its stages, kill -9, its scores, its refusals."""

import contextlib
import dataclasses
import glob
import io
import json
import os
import pathlib
import shutil
import subprocess
import time

import keras
import numpy as np
import pytest
import small_data

from arn_tf import evaluate, ranking, strong_evaluate, strong_train, train
from arn_tf.errors import UserError
from arn_tf.input_pipeline import ReidData
from arn_tf.run_dir import RunDir
from arn_tf.strong_config import StrongSettings
from arn_tf.strong_data import decoded

# Three epochs of nine steps, two rounds of four. 72 pictures of each camera: enough for a row.
TINY = {
    "source": "market",
    "target": "duke",
    "backbone": "Tiny",
    "backbone_weights": "random",
    "input_size": f"{small_data.HEIGHT}x{small_data.WIDTH}",
    "batch_size": 16,
    "epochs": 3,
    "adam_learning_rate": 3e-3,
    "self_training_rounds": 2,
    "self_training_steps": 4,
    "replicas": 1,
}
STAGES = ["adapted", "initial", "model", "round_1", "round_2", "source"]
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
def inputs():
    folder = small_data.folder() / "strong"
    for data_set in small_data.LAYOUTS:
        small_data.write_archive(folder / "manual", data_set, identities=12, shots=6)
    return {"manual_dir": str(folder / "manual"), "data_dir": str(folder / "prepared")}


def settings(inputs, model_dir, **changes):
    return StrongSettings(**TINY | inputs | {"model_dir": str(model_dir)} | changes)


def trained(settings):
    """The `RunDir` of a run, and what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        run = strong_train.train(settings)
    return run, printed.getvalue()


@pytest.fixture(scope="module")
def finished(inputs):
    return trained(settings(inputs, small_data.folder() / "strong" / "run"))


@pytest.fixture(scope="module")
def run(finished):
    return finished[0]


def weights(run, name):
    """{path: value} of every variable of a saved model."""
    model = keras.models.load_model(run.file(f"{name}.keras"))
    return {variable.path: variable.numpy() for variable in model.weights}


def assert_equal(left, right):
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


@pytest.fixture(scope="module")
def stages(run):
    return {name: weights(run, name) for name in STAGES}


def changed(stages, left, right):
    left, right = stages[left], stages[right]
    return {name for name in left if np.any(left[name] != right[name])}


# The stages.


def test_a_finished_run_keeps_its_stages(run):
    assert sorted(name for name in os.listdir(run.path) if name.endswith(".keras")) == [
        f"{name}.keras" for name in STAGES
    ]
    assert os.listdir(run.file("checkpoints")) == []
    with open(run.file("settings.json")) as file:
        assert json.load(file)["preset"] == "strong"
    assert isinstance(run.settings(), StrongSettings)
    with open(run.file("data.json")) as file:
        assert set(json.load(file)) >= {"source train", "target train"}


def test_what_each_stage_changes(run, stages):
    encoder = {name for name in stages["initial"] if name.startswith("encoder_i")}
    head = {name for name in stages["initial"] if name.startswith("source_")}
    table = {name for name in stages["initial"] if name.startswith("strong/")}
    assert set(stages["initial"]) == encoder | head | table
    assert changed(stages, "initial", "source") == encoder | head
    # Statistics of the cameras, and the same weights.
    shapes = {
        name: stages["adapted"][name].shape[0] - stages["source"][name].shape[0] for name in table
    }
    assert set(shapes.values()) == {2}
    for name in encoder | head:
        np.testing.assert_array_equal(stages["source"][name], stages["adapted"][name])
    assert changed(stages, "adapted", "round_1") == encoder | head | table
    assert changed(stages, "round_1", "round_2") == encoder | head | table
    with open(run.file("choice.json")) as file:
        kept = json.load(file)["stage"]
    assert_equal(stages[kept.removesuffix(".keras")], stages["model"])
    model = run.load_model("model.keras")
    assert model.cameras == [1, 2]
    assert all(np.isfinite(value).all() for value in stages["model"].values())


def test_what_is_printed_and_logged(run, finished):
    _, printed = finished
    assert "source: epochs 1 to 3" in printed
    for number, stage in enumerate(("adapted", "round_1", "round_2")):
        assert f"{stage}.keras, without labels: classifier_entropy " in printed
        assert glob.glob(os.path.join(run.logs, "rounds", "*")), number
    for number in (1, 2):
        assert os.listdir(os.path.join(run.logs, f"round_{number}"))
        with open(run.file(f"round_{number}.json")) as file:
            record = json.load(file)
        assert 0 < record["diagnosis_by_labels"]["purity"] <= 1
        assert record["stopped"] is None
        assert record["images"] == 144
        assert record["clusters"] >= 8
        assert (
            f"round {number}: {record['clusters']} clusters of {record['used']} of 144" in printed
        )


def test_the_source_loss_falls(run, finished):
    found = []
    for part in finished[1].split("round 1")[0].split("epoch ")[1:]:
        found.append(float(part.rsplit(" class: ", 1)[1].split()[0]))
    assert len(found) == 3
    assert found[0] > found[1] > found[2]


def test_the_same_command_again_changes_nothing(run):
    def files():
        paths = pathlib.Path(run.path).rglob("*")
        return {p: p.stat().st_mtime_ns for p in paths if p.is_file() and p.name != ".lock"}

    before = files()
    again, printed = trained(run.settings())
    assert again.path == run.path
    assert files() == before
    assert "epoch" not in printed
    assert "round" not in printed


# kill -9.


def killed(line, moment, log):
    """Runs a command line and kills it as soon as there is a file."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            line, cwd=small_data.ROOT, stdout=output, stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": str(small_data.ROOT)},
        )  # fmt: skip
        deadline = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < deadline and not os.path.exists(moment):
            time.sleep(0.002)
        alive = process.poll() is None
        process.kill()
        process.wait()
    assert alive, f"it ended before the moment came: {log.read_text()[-2000:]}"


def test_a_killed_run_goes_on_as_if_nothing_had_happened(inputs, tmp_path, stages):
    run = RunDir(str(tmp_path / "run"))
    told = settings(inputs, run.path)
    line = small_data.command("arn_tf.train", told)

    killed(line, run.file(run.checkpoint("source", 1)), tmp_path / "1.txt")
    assert run.newest_checkpoint("source")[0] in (1, 2)
    assert not os.path.exists(run.file("source.keras"))

    # Its clusters are written before its training begins.
    killed(line, run.file("round_2.json"), tmp_path / "2.txt")
    text = (tmp_path / "2.txt").read_text()
    assert "source: epochs 1 " not in text
    assert os.path.exists(run.file("round_1.keras"))
    assert not os.path.exists(run.file("round_2.keras"))

    killed(line, run.file("choice.json"), tmp_path / "3.txt")
    text = (tmp_path / "3.txt").read_text()
    assert "source: epochs" not in text
    assert "round 1:" not in text
    assert "round 2:" in text
    assert not os.path.exists(run.file("model.keras"))

    _, text = trained(told)
    assert "round 2:" not in text
    assert "kept: " in text
    for name in STAGES:
        assert_equal(stages[name], weights(run, name))


def test_a_run_killed_between_its_last_epoch_and_its_next_stage(run, tmp_path, stages):
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    for name in set(STAGES) - {"initial"}:
        os.rename(folder / f"{name}.keras", tmp_path / f"{name}.keras")
    shutil.copy(tmp_path / "source.keras", folder / "checkpoints" / "source-0003.keras")
    told = dataclasses.replace(run.settings(), model_dir=str(folder), self_training_rounds=0)
    told.save(folder / "settings.json")
    again, printed = trained(told)
    assert "epoch" not in printed
    assert os.listdir(folder / "checkpoints") == []
    for name in ("source", "adapted"):
        assert_equal(stages[name], weights(again, name))


# Where self-training stops.


@pytest.fixture(scope="module")
def stopped():
    """Six people can't be eight clusters; and 12 pictures of a camera are too few."""
    changes = {"epochs": 1, "batch_size": 8, "images_per_identity": 2}
    model_dir = small_data.folder() / "stopped"
    return trained(settings(small_data.inputs(), model_dir, **changes))


def test_a_guard_stops_self_training_and_keeps_what_there_was(stopped):
    run, printed = stopped
    assert "self-training stops before round 1: " in printed
    assert "usable clusters of 24 images, below the least of 8" in printed
    assert "is kept" in printed
    assert not os.path.exists(run.file("round_1.keras"))
    assert_equal(weights(run, "model"), weights(run, "adapted"))
    with open(run.file("round_1.json")) as file:
        assert "below the least of 8" in json.load(file)["stopped"]


def test_cameras_with_too_few_pictures_are_named(stopped):
    run, printed = stopped
    assert "cameras with fewer than 64 pictures" in printed
    assert "{1: 12, 2: 12}" in printed
    model = run.load_model("model.keras")
    assert model.cameras == []
    assert np.any(model.table["mean"].numpy()[1] != 0)


def test_scores_without_self_training_have_no_row_for_it(stopped):
    results, _, notes = strong_evaluate.evaluate(stopped[0], stopped[0].settings())
    assert list(results) == ROWS[:5]
    (note,) = notes
    assert note.startswith("query or gallery pictures of these cameras use the statistics of the")
    assert note.endswith(": 1, 2")


def test_without_a_round_the_result_is_scored_as_it_was_calibrated(stopped, tmp_path):
    shutil.copytree(stopped[0].path, tmp_path / "run")
    run = RunDir(str(tmp_path / "run"))
    settings = run.settings()
    before = strong_evaluate.evaluate(run, settings)[0]
    model = run.load_model("model.keras")
    mean = model.table["mean"]
    mean.assign(mean + 0.5)
    run.save_model(model, "model.keras")
    after = strong_evaluate.evaluate(run, settings)[0]
    assert after[ROWS[2]].to_json() == before[ROWS[2]].to_json()
    assert after[ROWS[3]].to_json() != before[ROWS[3]].to_json()


def test_a_round_whose_loss_is_not_finite_is_no_round(inputs, run, tmp_path, stages):
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    for name in ("model", "round_1", "round_2"):
        os.remove(folder / f"{name}.keras")
    wild = settings(inputs, folder, self_training_learning_rate=1e30)
    wild.save(folder / "settings.json")
    again, printed = trained(wild)
    assert "self-training stops before round 1: " in printed
    assert "is not finite at step" in printed
    assert "--self_training_learning_rate" in printed
    assert_equal(weights(again, "model"), stages["adapted"])
    with open(folder / "round_1.json") as file:
        assert "is not finite" in json.load(file)["stopped"]


def test_no_rounds_at_all(inputs, run, tmp_path):
    """From the folder of a run that has been through its stages but for the rounds."""
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    for name in ("settings.json", "model.keras", "round_1.keras", "round_2.keras"):
        os.remove(folder / name)
    none = settings(inputs, folder, self_training_rounds=0)
    none.save(folder / "settings.json")
    other, printed = trained(none)
    assert "round" not in printed
    assert_equal(weights(other, "model"), weights(run, "adapted"))


# Scores.


@pytest.fixture(scope="module")
def found(run):
    return strong_evaluate.evaluate(run, run.settings())


def test_the_table_has_every_row(run, found, capsys, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    copy = RunDir(str(tmp_path / "run"))
    evaluate.report(copy, copy.settings(), found[0])
    shown = capsys.readouterr().out
    lines = [line.split("|")[1].strip() for line in shown.splitlines() if line.startswith("| ")]
    assert lines[2:] == ROWS == list(found[0])
    with open(copy.file("results.json")) as file:
        saved = json.load(file)
    assert (saved["source"], saved["target"]) == ("market", "duke")
    assert list(saved["rows"]) == ROWS
    assert found[1].height > 8 * 128


def test_scores_are_those_of_the_models_on_the_pictures(run, found):
    query, gallery = (ReidData("duke", **{
        name: getattr(run.settings(), name) for name in ("data_dir", "manual_dir")
    }).split(name) for name in ("query", "gallery"))  # fmt: skip
    pictures = [decoded(split, run.settings().image_size) for split in (query, gallery)]

    def by_camera(model):
        return [
            model(each, model.rows_of(split.camera_id)).numpy()
            for each, split in zip(pictures, (query, gallery), strict=True)
        ]

    initial, adapted, model = (
        run.load_model(f"{n}.keras") for n in ("initial", "adapted", "model")
    )
    for row, embeddings in (
        (0, [initial(each).numpy() for each in pictures]),
        (2, [adapted(each).numpy() for each in pictures]),
        (3, by_camera(adapted)),
        (5, [model(each).numpy() for each in pictures]),
        (6, by_camera(model)),
    ):
        expected = ranking.rank_gallery(
            *embeddings, query.person_id, gallery.person_id, query.camera_id, gallery.camera_id
        )
        assert found[0][ROWS[row]].mean_ap == pytest.approx(expected.mean_ap, abs=1e-3), row
    # Camera statistics are worth something even here.
    assert found[0][ROWS[1]].mean_ap > found[0][ROWS[0]].mean_ap


def test_an_unfinished_run(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    os.remove(tmp_path / "run" / "model.keras")
    with pytest.raises(UserError, match=r"model.keras is not there; finish the run"):
        strong_evaluate.evaluate(RunDir(str(tmp_path / "run")), run.settings())


def test_the_oracle_is_marked_in_every_output(inputs, run, found, tmp_path):
    """From the folder of a finished run, whose stages it chooses among."""
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    for name in ("settings.json", "model.keras", "choice.json"):
        os.remove(folder / name)
    told = settings(inputs, folder, keep_best="labelled")
    told.save(folder / "settings.json")
    oracle, printed = trained(told)
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


# What is refused.


def test_the_folder_of_the_other_preset(run):
    with pytest.raises(UserError, match="--preset: strong there, paper here"):
        train.train(small_data.settings(run.path))


def test_other_settings_in_a_used_folder_are_named(run):
    other = dataclasses.replace(run.settings(), label_smoothing=0.2)
    with pytest.raises(UserError, match=r"--label_smoothing: 0\.1 there, 0\.2 here"):
        strong_train.train(other)


def test_a_batch_that_has_no_halves(inputs, tmp_path):
    odd = settings(inputs, tmp_path, batch_size=5, images_per_identity=5)
    with pytest.raises(UserError, match="--batch_size=5: half a target batch"):
        strong_train.train(odd)


def test_a_target_smaller_than_a_batch(inputs, tmp_path):
    large = settings(small_data.inputs(), tmp_path, batch_size=32, images_per_identity=8)
    with pytest.raises(UserError, match="--batch_size=32 is more than the 24 pictures of"):
        strong_train.train(large)


def test_a_loss_that_is_not_finite(inputs, tmp_path):
    wild = settings(inputs, tmp_path, adam_learning_rate=1e30, epochs=2)
    with pytest.raises(UserError, match=r"is not finite at step \d+.*initial\.keras"):
        trained(wild)
    assert os.listdir(tmp_path / "checkpoints") == []
    assert not os.path.exists(tmp_path / "source.keras")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
