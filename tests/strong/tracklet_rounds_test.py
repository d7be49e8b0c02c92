"""Rounds of self-training on a target with tracklets: what is logged, and going on."""

import dataclasses
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from arn_tf import recipes
from arn_tf.data.reid_data import ReidData
from arn_tf.data.sampling import Sampler
from arn_tf.run.folder import RunDir
from arn_tf.strong import batches, target_batches
from arn_tf.strong.rounds import TargetRounds
from tests.support.small_data import assert_equal
from tests.support.small_strong import weights


def rounds_of(run: RunDir, folder: pathlib.Path, known: bool) -> TargetRounds:
    """Returns the rounds of a copy of a run that has its source stage alone.

    Args:
        run: a finished one, of twelve persons with six pictures in each of two cameras.
        folder: of the copy; made unless it is there.
        known: whether tracklets of three pictures are known, and the times of some.
    """
    if not folder.exists():
        shutil.copytree(run.path, folder)
        for number in (1, 2):
            os.remove(folder / f"round_{number}.keras")
            os.remove(folder / f"round_{number}.json")
    settings = dataclasses.replace(recipes.settings_of(run), model_dir=str(folder))
    source, target = (
        ReidData(name, settings.data_dir, settings.manual_dir).split("train")
        for name in (settings.source, settings.target)
    )
    if known:
        key = [target.person_id, target.camera_id]
        group = np.unique(key, axis=1, return_inverse=True)[1].ravel()
        tracklet = np.empty(len(target), np.int64)
        for each in range(group.max() + 1):
            tracklet[group == each] = 2 * each + np.arange(6) // 3
        # The first three tracklets of camera 1 overlap.
        time = np.where(tracklet < 12, np.arange(len(target)) % 3, np.nan)
        time[target.camera_id != 1] = np.nan
        target = dataclasses.replace(target, tracklet=tracklet, time=time)
    sampler = Sampler(
        source.labels()[0], len(target), settings.batch_size, settings.images_per_identity, 0
    )
    pictures = [batches.decoded(each, settings.image_size) for each in (source, target)]
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    return TargetRounds(settings, RunDir(str(folder)), strategy, sampler, *pictures, target)


def test_a_run_goes_on_as_if_nothing_had_happened(strong_run, tmp_path, capsys, monkeypatch):
    given = []
    made = target_batches.PairSampler.__init__
    monkeypatch.setattr(
        target_batches.PairSampler,
        "__init__",
        lambda self, *arguments: given.append(arguments[4]) or made(self, *arguments),
    )
    whole = rounds_of(strong_run, tmp_path / "whole", known=True)
    assert whole.train() == ["adapted.keras", "round_1.keras", "round_2.keras"]
    printed = capsys.readouterr().out
    with open(tmp_path / "whole" / "round_1.json") as file:
        record = json.load(file)
    assert 8 < record["tracklets"] <= 48
    assert record["forbidden_pairs"] > 0
    assert (
        f"  {record['tracklets']} tracklets used; {record['divided']} clusters divided, of "
        f"{record['forbidden_pairs']} pairs in one camera at the same time\n"
    ) in printed
    assert len(given) == 2 and all(np.max(each) == 47 for each in given)

    rounds_of(strong_run, tmp_path / "parts", known=True).train()
    os.remove(tmp_path / "parts" / "round_2.keras")
    rounds_of(strong_run, tmp_path / "parts", known=True).train()
    folders = [RunDir(str(tmp_path / name)) for name in ("whole", "parts")]
    for stage in ("round_1", "round_2"):
        assert_equal(*(weights(folder, stage) for folder in folders))
    with pytest.raises(AssertionError):
        assert_equal(weights(folders[0], "round_1"), weights(strong_run, "round_1"))


def test_without_tracklets_a_run_is_what_it_was(strong_run, tmp_path, capsys):
    assert rounds_of(strong_run, tmp_path / "run", known=False).train()[-1] == "round_2.keras"
    assert "tracklets" not in capsys.readouterr().out
    for stage in ("round_1", "round_2"):
        assert_equal(weights(strong_run, stage), weights(RunDir(str(tmp_path / "run")), stage))
