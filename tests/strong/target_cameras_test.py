"""A strong run on targets whose cameras are unknown, one, or seen too rarely."""

import dataclasses
import pathlib
import shutil
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from arn_tf import recipes
from arn_tf.data.reid_data import ReidData
from arn_tf.data.sampling import Sampler
from arn_tf.run.folder import RunDir
from arn_tf.strong import batches, target_notes
from arn_tf.strong import train as strong_train
from arn_tf.strong.rounds import TargetRounds
from arn_tf.strong.settings import StrongSettings
from arn_tf.strong.stages import ADAPTED
from tests.support import small_data, small_strong, small_tables

UNKNOWN = -1


@pytest.fixture(scope="module")
def run() -> RunDir:
    """Returns a run without rounds, 12 persons in each domain."""
    folder = small_data.folder() / "rounds"
    for data_set in small_data.LAYOUTS:
        small_data.write_archive(folder / "manual", data_set, identities=12, shots=6)
    return strong_train.train(
        StrongSettings(
            **{
                "source": "market",
                "target": "duke",
                "backbone": "Tiny",
                "backbone_weights": "random",
                "input_size": f"{small_data.HEIGHT}x{small_data.WIDTH}",
                "batch_size": 16,
                "epochs": 3,
                "adam_learning_rate": 3e-3,
                "self_training_rounds": 0,
                "replicas": 1,
                "model_dir": str(folder / "run"),
                "manual_dir": str(folder / "manual"),
                "data_dir": str(folder / "prepared"),
            }
        )
    )


def rounds_on(
    run: RunDir,
    folder: pathlib.Path,
    camera_id: Callable[[np.ndarray], np.ndarray],
    alone: bool = False,
    by_labels: bool = False,
) -> tuple[TargetRounds, RunDir]:
    """Returns the stages of the same run on a target with other cameras, and their folder.

    Args:
        run: trained until its first stage.
        folder: for a copy of it.
        camera_id: function of the target's true ones.
        alone: whether there is no source; by labels, too.
        by_labels: whether persons are known: clusters of random weights may be of no use.
    """
    shutil.copytree(run.path, folder)
    copy = RunDir(str(folder))
    settings = dataclasses.replace(
        recipes.settings_of(run),
        model_dir=str(folder),
        self_training_rounds=1,
        self_training_steps=2,
    )
    source, target = (
        ReidData(name, settings.data_dir, settings.manual_dir).split("train")
        for name in (settings.source, settings.target)
    )
    split = dataclasses.replace(target, camera_id=camera_id(target.camera_id))
    sampler = Sampler(source.labels()[0], len(target), 16, 4, 0)
    pictures = [batches.decoded(each, settings.image_size) for each in (source, target)]
    settings = dataclasses.replace(settings, oracle_labels=alone or by_labels)
    if alone:
        settings = dataclasses.replace(settings, source="none")
        sampler = None
        pictures[0] = None
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    return TargetRounds(settings, copy, strategy, sampler, *pictures, split), copy


@pytest.mark.parametrize("by_labels", [False, True], ids=["clusters", "persons"])
@pytest.mark.parametrize(
    "camera_id, cameras, printed_first",
    [
        (lambda known: np.full_like(known, UNKNOWN), [], "no picture of the target has a camera"),
        (np.ones_like, [1], "the target has one camera, 1: clusters can't be held to two"),
        (
            lambda known: np.where(np.arange(len(known)) < 3, 9, known),
            [1, 2, 9],
            "cameras with fewer than 64 pictures, whose statistics are shrunk toward those of the "
            "whole target: 9 (3)",
        ),
    ],
    ids=["none", "one", "three pictures of a camera"],
)
def test_a_round_with_such_cameras(
    run, tmp_path, capsys, camera_id, cameras, printed_first, by_labels
):
    rounds, copy = rounds_on(run, tmp_path / "run", camera_id, by_labels=by_labels)
    rounds.adapt(run.load_model(strong_train.SOURCE))
    assert printed_first in capsys.readouterr().out
    assert copy.load_model(ADAPTED).cameras == cameras
    last = rounds.train()[-1]
    printed = capsys.readouterr().out
    # A guard may stop it, in words, where there are clusters; nothing else may.
    stops = "self-training stops before round 1: " in printed
    assert last == "round_1.keras" or (stops and not by_labels)
    if last == "round_1.keras":
        assert copy.load_model(last).cameras == cameras
        assert (" - cameras: " in printed) == (len(cameras) > 1)


@pytest.mark.parametrize(
    "camera_id, between",
    [
        (lambda known: np.full_like(known, UNKNOWN), False),
        (np.ones_like, False),
        (lambda known: np.where(np.arange(len(known)) < 3, UNKNOWN, known), True),
    ],
    ids=["none", "one", "three pictures of none"],
)
def test_a_round_on_the_target_alone_with_such_cameras(run, tmp_path, capsys, camera_id, between):
    """Where there are no two cameras there is no loss between them."""
    rounds, copy = rounds_on(run, tmp_path / "run", camera_id, alone=True)
    rounds.adapt(small_strong.model(num_identities=0, cameras=[]))
    assert rounds.train() == ["adapted.keras", "round_1.keras"]
    assert ("cameras: " in capsys.readouterr().out) == between
    for value in copy.load_model("round_1.keras").get_weights():
        assert np.isfinite(value).all()


def test_nothing_to_say_of_ordinary_cameras():
    assert target_notes.notes(np.repeat([1, 2], 64)) == []


def test_some_cameras_unknown():
    (note,) = target_notes.notes(np.repeat([1, 2, UNKNOWN], [64, 64, 5]))
    assert note.startswith("5 pictures of the target have no camera")


def test_a_stage_is_embedded_and_logged_once(run, tmp_path, capsys):
    rounds, _ = rounds_on(run, tmp_path / "run", lambda known: known)
    first = rounds.stages.embeddings(ADAPTED)
    assert "adapted.keras, without labels: other_camera_share" in capsys.readouterr().out
    assert rounds.stages.embeddings(ADAPTED) is first
    assert capsys.readouterr().out == ""
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, rtol=1e-5)


def test_a_collapsed_stage_raises_an_alarm(run, tmp_path, capsys):
    rounds, copy = rounds_on(run, tmp_path / "run", lambda known: known)
    model = copy.load_model(ADAPTED)
    columns = small_tables.columns(model)
    deviation = columns["embedding_deviation"]
    deviation.assign(tf.zeros_like(deviation) + 1e-3)
    columns["embedding_mean"].assign(tf.ones_like(deviation))
    copy.save_model(model, ADAPTED)
    rounds.stages.embeddings(ADAPTED)
    assert "WARNING: adapted.keras: the embeddings are nearly the same" in capsys.readouterr().out
    assert rounds.stages.alarm(ADAPTED).startswith("the embeddings are nearly the same")
    # Nothing can be clustered by it.
    assert rounds.train() == ["adapted.keras"]
    assert "self-training stops before round 1: the embeddings are" in capsys.readouterr().out
