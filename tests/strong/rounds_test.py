"""Where self-training stops, or doesn't begin: what is printed, and what is kept."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from arn_tf.layers.normalization import TARGET
from arn_tf.run.folder import RunDir
from arn_tf.strong import rounds, stages
from arn_tf.strong import train as strong_train
from arn_tf.strong.settings import StrongSettings
from arn_tf.strong.stages import compared, round_file
from tests.support import small_tables
from tests.support.small_data import assert_equal
from tests.support.small_strong import settings, trained, weights


@pytest.fixture(scope="module")
def run(strong_run):
    return strong_run


@pytest.fixture(scope="module")
def stopped(stopped_training):
    return stopped_training


def before_rounds(run: RunDir, folder: pathlib.Path, **changes: object) -> StrongSettings:
    """Copies a run as it was before its rounds, with other settings; returns those."""
    shutil.copytree(run.path, folder)
    for name in ("model", "round_1", "round_2"):
        os.remove(folder / f"{name}.keras")
    changed = settings(folder, **changes)
    changed.save(folder / "settings.json")
    return changed


def test_a_guard_stops_self_training_and_keeps_what_there_was(stopped):
    run, printed = stopped
    assert "self-training stops before round 1: " in printed
    assert "usable clusters of 24 images, below the least of 8" in printed
    assert "is kept" in printed
    assert not os.path.exists(run.file("round_1.keras"))
    assert_equal(weights(run, "model"), weights(run, "adapted"))
    with open(run.file("round_1.json")) as file:
        assert "below the least of 8" in json.load(file)["stopped"]


def test_cameras_with_few_pictures_are_named(stopped):
    run, printed = stopped
    assert "cameras with fewer than 64 pictures" in printed
    assert "1 (12), 2 (12)" in printed
    model = run.load_model("model.keras")
    assert model.cameras == [1, 2]
    target, *cameras = small_tables.rows(model, TARGET, 2, 3)["mean"]
    assert np.any(target != 0)
    assert all(np.any(camera != target) for camera in cameras)


def test_a_round_whose_loss_is_not_finite_is_no_round(run, tmp_path):
    folder = tmp_path / "run"
    again, printed = trained(before_rounds(run, folder, self_training_learning_rate=1e30))
    assert "self-training stops before round 1: " in printed
    assert "is not finite at step" in printed
    assert "a lower self_training_learning_rate may help" in printed
    assert_equal(weights(again, "model"), weights(run, "adapted"))
    with open(folder / "round_1.json") as file:
        assert "is not finite" in json.load(file)["stopped"]


def test_no_batch_is_drawn_twice(run, tmp_path, monkeypatch):
    """Rounds draw on where the source stage stopped, and each where the one before did."""
    drawn, batches = [], rounds.target_batches.batches

    def watched(sampler, source, pairs, pictures, steps, first, seed):
        drawn.append((first, steps))
        return batches(sampler, source, pairs, pictures, steps, first, seed)

    monkeypatch.setattr(rounds.target_batches, "batches", watched)
    trained(before_rounds(run, tmp_path / "run"))
    # 144 pictures of 12 identities in batches of 16, three times; then four steps a round.
    assert drawn == [(27, 4), (31, 4)]


def test_embeddings_that_nobody_compares_are_let_go(run, tmp_path, monkeypatch):
    """Of many rounds they would fill the memory."""
    made, target_rounds = [], strong_train.TargetRounds

    def watched(*arguments):
        made.append(target_rounds(*arguments))
        return made[-1]

    monkeypatch.setattr(strong_train, "TargetRounds", watched)
    monkeypatch.setattr(rounds, "compared", lambda last: [stages.ADAPTED, round_file(last)])
    trained(before_rounds(run, tmp_path / "run"))
    assert sorted(made[0].stages._assessed) == [stages.ADAPTED, "round_2.keras"]


def test_no_rounds_at_all(run, tmp_path):
    """From the folder of a run that has been through its stages but for the rounds."""
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    for name in ("settings.json", "model.keras", "round_1.keras", "round_2.keras"):
        os.remove(folder / name)
    none = settings(folder, self_training_rounds=0)
    none.save(folder / "settings.json")
    other, printed = trained(none)
    assert "round" not in printed
    assert_equal(weights(other, "model"), weights(run, "adapted"))


def test_a_third_round_and_the_mean_of_the_last_two(run, tmp_path, monkeypatch):
    """The source's head is the last round's; the choice looks at the mean in its place."""
    # A new seed would make TensorFlow forget what it has traced.
    monkeypatch.setattr(tf.random, "set_seed", lambda _: pytest.fail("a new seed"))
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    os.remove(folder / "model.keras")
    more = settings(folder, self_training_rounds=3)
    more.save(folder / "settings.json")
    again, printed = trained(more)
    assert "round 3: " in printed and "round 2: " not in printed
    assert "average.keras, without labels: other_camera_share " in printed
    rounds = [weights(again, f"round_{number}") for number in (2, 3)]
    for name, value in weights(again, "average").items():
        if name.startswith("encoder_i"):
            mean = (rounds[0][name].astype(np.float64) + rounds[1][name]) / 2
            np.testing.assert_allclose(value, mean, rtol=1e-6, atol=1e-9, err_msg=name)
        elif name.startswith("source"):
            np.testing.assert_array_equal(value, rounds[1][name], err_msg=name)
    with open(folder / "choice.json") as file:
        stages = ["adapted", "round_1", "round_2", "average"]
        assert list(json.load(file)["scores"]) == [f"{stage}.keras" for stage in stages]


@pytest.mark.parametrize(
    "last, numbers",
    [(0, []), (1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (5, [2, 3, 5]), (12, [4, 8, 12])],
)
def test_of_many_rounds_three_are_compared(last, numbers):
    assert compared(last) == ["adapted.keras", *(f"round_{number}.keras" for number in numbers)]
