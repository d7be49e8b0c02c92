"""Runs of the strong recipe on tiny data: their stages, kill -9, what they refuse."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from arn_tf import recipes
from arn_tf.data.sampling import Sampler
from arn_tf.paper import train as paper_train
from arn_tf.run.folder import RunDir
from arn_tf.strong import train as strong_train
from arn_tf.strong.model import StrongModel
from arn_tf.strong.settings import StrongSettings
from tests.support import small_data
from tests.support.small_data import assert_equal
from tests.support.small_strong import settings, trained, weights
from tests.support.user_errors import refused

STAGES = ["adapted", "initial", "model", "round_1", "round_2", "source"]


@pytest.fixture(scope="module")
def finished(strong_training):
    return strong_training


@pytest.fixture(scope="module")
def run(finished: tuple[RunDir, str]) -> RunDir:
    return finished[0]


@pytest.fixture(scope="module")
def stages(run: RunDir) -> dict[str, dict[str, np.ndarray]]:
    return {name: weights(run, name) for name in STAGES}


def changed(stages: dict[str, dict[str, np.ndarray]], left: str, right: str) -> set[str]:
    """Returns the paths of the weights that differ between two stages."""
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
    assert isinstance(recipes.settings_of(run), StrongSettings)
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
        choice = json.load(file)
    kept = choice["stage"]
    assert list(choice["scores"]) == ["adapted.keras", "round_1.keras", "round_2.keras"]
    assert run.digest("model.keras") == run.digest(kept)
    assert_equal(stages[kept.removesuffix(".keras")], stages["model"])
    model = run.load_model("model.keras")
    assert model.cameras == [1, 2]
    assert all(np.isfinite(value).all() for value in stages["model"].values())


def test_what_is_printed_and_logged(run, finished):
    _, printed = finished
    assert "source: epochs 1 to 3" in printed
    assert re.search(r"loss: [\d.]+ - class: [\d.]+ - triplet: [\d.]+ - cameras: ", printed)
    for stage in ("adapted", "round_1", "round_2"):
        assert f"{stage}.keras, without labels: other_camera_share " in printed
    assert os.listdir(os.path.join(run.logs, "rounds"))
    for number in (1, 2):
        assert os.listdir(os.path.join(run.logs, f"round_{number}"))
        with open(run.file(f"round_{number}.json")) as file:
            record = json.load(file)
        assert 0 < record["diagnosis_by_labels"]["purity"] <= 1
        assert record["stopped"] is None
        assert record["images"] == 144
        assert (record["joined"], record["cameras_compared"]) == (False, 1)
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
    def files() -> dict[pathlib.Path, int]:
        paths = pathlib.Path(run.path).rglob("*")
        return {p: p.stat().st_mtime_ns for p in paths if p.is_file() and p.name != ".lock"}

    before = files()
    again, printed = trained(recipes.settings_of(run))
    assert again.path == run.path
    assert files() == before
    assert "epoch" not in printed
    assert "round" not in printed


def test_a_source_stage_of_ones_own(run, tmp_path, stages):
    """It is called once, with the pictures of both domains, and the other stages follow it."""
    calls = []

    def stage(
        settings: StrongSettings,
        folder: RunDir,
        strategy: tf.distribute.Strategy,
        sampler: Sampler,
        source: np.ndarray,
        target: np.ndarray,
    ) -> StrongModel:
        calls.append((folder.path, sampler.batch_size, source.shape, target.shape))
        assert os.path.exists(folder.file(strong_train.INITIAL))
        with strategy.scope():
            return run.load_model(strong_train.SOURCE)

    other = settings(tmp_path / "run", self_training_rounds=0)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for _ in range(2):
            found = strong_train.train(other, source_stage=stage)
    pictures = (144, *other.image_size, 3)
    assert calls == [(found.path, 16, pictures, pictures)]
    assert "epoch" not in printed.getvalue()
    for name in ("initial", "source", "adapted"):
        assert_equal(stages[name], weights(found, name))


# kill -9.


def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path, stages):
    run = RunDir(str(tmp_path / "run"))
    line = small_data.command("arn_tf.train", settings(run.path))

    small_data.killed_at(line, "after", run.file(run.checkpoint("source", 1)))
    assert run.newest_checkpoint("source")[0] == 1
    assert not os.path.exists(run.file("source.keras"))

    # Its clusters are written before its training begins.
    text = small_data.killed_at(line, "after", run.file("round_2.json"))
    assert "source: epochs 1 " not in text
    assert os.path.exists(run.file("round_1.keras"))
    assert not os.path.exists(run.file("round_2.keras"))

    text = small_data.killed_at(line, "before", run.file("round_2.keras"))
    assert "round 1:" not in text and "round 2:" in text
    assert not os.path.exists(run.file("round_2.keras"))

    # The choice comes next.
    text = small_data.killed_at(line, "after", run.file("round_2.keras"))
    assert "source: epochs" not in text
    assert "round 1:" not in text
    assert "round 2:" in text
    assert not os.path.exists(run.file("model.keras"))

    _, text = trained(settings(run.path))
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
    shorter = dataclasses.replace(
        recipes.settings_of(run), model_dir=str(folder), self_training_rounds=0
    )
    shorter.save(folder / "settings.json")
    again, printed = trained(shorter)
    assert "epoch" not in printed
    assert os.listdir(folder / "checkpoints") == []
    for name in ("source", "adapted"):
        assert_equal(stages[name], weights(again, name))


# What settings become.


def test_a_model_is_made_as_the_settings_say(tmp_path):
    given = {
        "label_smoothing": 0.2,
        "weight_decay": 1e-3,
        "precision": "bfloat16",
        "last_stride": 2,
        "seed": 5,
    }
    own = settings(tmp_path, triplet_margin=0.4, **given)
    model = strong_train._initial_model(own, 7, np.zeros((1, *own.image_size, 3), np.uint8))
    expected = given | {"margin": 0.4, "num_identities": 7, "input_size": [*own.image_size]}
    config = model.get_config()
    assert {key: config[key] for key in expected} == expected


def test_the_rate_of_the_source_stage_warms_up_and_falls_along_a_cosine(tmp_path):
    """200 steps, of which a tenth warm up."""
    model = StrongModel(3, "Tiny", "random", (64, 32))
    own = settings(tmp_path, epochs=10, adam_learning_rate=4e-3)
    strong_train.compile_for_source(model, own, steps_per_epoch=20)
    found = {}
    for step in (0, 10, 20, 110, 155, 200):
        model.optimizer.iterations.assign(step)
        found[step] = float(model.optimizer.learning_rate)
    fall = 2e-3 * (1 + np.cos(np.pi * 0.75))
    expected = {0: 0, 10: 2e-3, 20: 4e-3, 110: 2e-3, 155: fall, 200: 0}
    assert found == pytest.approx(expected, abs=1e-8)


# What is refused.


def test_the_folder_of_the_other_preset(run):
    with refused("--preset: strong there, paper here"):
        paper_train.train(small_data.settings(run.path))


def test_other_settings_in_a_used_folder_are_named(run):
    other = dataclasses.replace(recipes.settings_of(run), label_smoothing=0.2)
    with refused(r"--label_smoothing: 0\.1 there, 0\.2 here"):
        strong_train.train(other)


def test_a_batch_that_has_no_halves(tmp_path):
    odd = settings(tmp_path, batch_size=5, images_per_identity=5)
    with refused("--batch_size=5: half a target batch is of one camera: give an even number"):
        strong_train.train(odd)
    assert os.listdir(tmp_path) == []
    with refused("--seed=4294967296: must be less than 4294967296"):
        strong_train.train(settings(tmp_path, seed=2**32))


def test_a_target_smaller_than_a_batch(tmp_path):
    large = settings(tmp_path, batch_size=32, images_per_identity=8, **small_data.inputs())
    with refused("batch_size=32 is more than the 24 pictures of"):
        strong_train.train(large)


def test_a_loss_that_is_not_finite(tmp_path):
    wild = settings(tmp_path, adam_learning_rate=1e30, epochs=2)
    with refused(r"is not finite at step \d+.*initial\.keras"):
        trained(wild)
    assert os.listdir(tmp_path / "checkpoints") == []
    assert not os.path.exists(tmp_path / "source.keras")
