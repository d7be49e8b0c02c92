"""Whole runs on tiny data: what they learn, what they keep, what stops them."""

import errno
import fcntl
import os
import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from arn_tf import recipes
from arn_tf.data.reid_data import ReidData
from arn_tf.errors import UserError
from arn_tf.layers import replicas
from arn_tf.paper import train
from arn_tf.paper.settings import Settings
from tests.support import small_data
from tests.support.small_data import SHORT, settings, short_run, weights
from tests.support.small_tolerance import assert_moved_alike


def curve(run, branch, tag):
    """[(step, value)] of a scalar, the last value of each step."""
    reader = EventAccumulator(os.path.join(run.logs, branch), size_guidance={"tensors": 0})
    reader.Reload()
    return sorted(
        {e.step: float(tf.make_ndarray(e.tensor_proto)) for e in reader.Tensors(tag)}.items()
    )


def changed(a, b, prefix):
    """Whether variables of one sub-network differ between two results of `weights`."""
    names = [name for name in a if name.startswith(prefix)]
    assert names
    return any(not np.array_equal(a[name], b[name]) for name in names)


def branch_names(**changes):
    return [
        (b.name, b.start, b.first_epoch, b.last_epoch, b.joint, b.result)
        for b in train.branches(Settings(**changes))
    ]


def test_branches():
    assert branch_names() == [
        ("pretrain", "initial.keras", 0, 40, False, "pretrained.keras"),
        ("source_only", "pretrained.keras", 40, 50, False, "source_only.keras"),
        ("arn", "pretrained.keras", 40, 50, True, "model.keras"),
    ]
    assert branch_names(source_only_epochs=0, epochs=3, source_only_baseline=False) == [
        ("arn", "initial.keras", 0, 3, True, "model.keras")
    ]


@pytest.fixture(scope="module")
def run(paper_run):
    return paper_run


@pytest.fixture(scope="module")
def stages(run):
    return {
        name: weights(run.file(f"{name}.keras"))
        for name in ("initial", "pretrained", "source_only", "model")
    }


def test_a_finished_run_keeps_its_models_and_no_checkpoint(run):
    assert sorted(name for name in os.listdir(run.path) if name.endswith(".keras")) == [
        "initial.keras",
        "model.keras",
        "pretrained.keras",
        "source_only.keras",
    ]
    assert os.listdir(run.file("checkpoints")) == []
    assert recipes.settings_of(run) == settings(run.path)


def test_e_i_is_tuned_in_the_first_epochs_alone(stages):
    for name in ("encoder_i_1/kernel", "encoder_i_2/gamma", "encoder_i_4/bias"):
        assert changed(stages["initial"], stages["pretrained"], name)
        assert not changed(stages["pretrained"], stages["model"], name)
        assert not changed(stages["pretrained"], stages["source_only"], name)
    # Its batch statistics are those of its weights file, always.
    assert not changed(stages["initial"], stages["model"], "encoder_i_2/moving")


def test_each_branch_trains_its_own_part(stages):
    for part in ("encoder_c/", "classifier_s/"):
        assert changed(stages["initial"], stages["pretrained"], part)
        assert changed(stages["pretrained"], stages["source_only"], part)
        assert changed(stages["source_only"], stages["model"], part)
    for part in ("encoder_s/", "encoder_t/", "decoder_c/"):
        assert not changed(stages["initial"], stages["pretrained"], part)
        assert not changed(stages["initial"], stages["source_only"], part)
        assert changed(stages["initial"], stages["model"], part)


def test_every_result_has_statistics_of_the_target(stages):
    for name in ("pretrained", "source_only", "model"):
        for key, value in stages[name].items():
            if re.fullmatch(r"encoder_c/.*/moving_\w+", key):
                assert not np.allclose(value[0], value[1], rtol=1e-3)


def test_l_class_falls(tmp_path):
    run = train.train(settings(tmp_path, **SHORT | {"epochs": 6, "dropout": 0.0}))
    found = [value for step, value in curve(run, "arn", "loss_raw/class") if step % 3 == 0]
    assert len(found) == 6
    assert found[-1] < 0.75 * found[0], found
    difference = [value for _, value in curve(run, "arn", "loss_weighted/difference")]
    rebuilt = [value for _, value in curve(run, "arn", "loss_raw/reconstruction")]
    assert min(difference) > 0
    assert rebuilt[-1] < rebuilt[0]


def test_equal_seeds_give_equal_runs_wherever_the_data_comes_from(tmp_path):
    for name in small_data.LAYOUTS:
        ReidData(name, **small_data.inputs())
    first = short_run(tmp_path / "first")
    # Preparing the data, and looking at the target meanwhile, must change nothing.
    again = short_run(tmp_path / "again", data_dir=str(tmp_path / "data"), monitor_every=1)
    small_data.assert_equal(first, again)
    other = short_run(tmp_path / "other", seed=1)
    for part in (
        "encoder_i_1/",
        "encoder_c/",
        "encoder_s/",
        "decoder_c/",
        "classifier_s/dense/kernel",
    ):
        assert changed(first, other, part)


def test_replicas_change_nothing(tmp_path):
    """Two in a process of their own: the CPU must be split before TensorFlow uses it."""
    changes = SHORT | {"encoder_i_epochs": 1}
    one = short_run(tmp_path / "1", **changes)
    initial = weights(tmp_path / "1" / "initial.keras")
    line = small_data.command("arn_tf.train", settings(tmp_path / "2", **changes | {"replicas": 2}))
    status, _, err = small_data.finish(line)
    assert status == 0, err
    two = weights(tmp_path / "2" / "model.keras")
    for name in one:
        assert_moved_alike(two[name], one[name], initial[name], name)
    assert small_data.distance(initial, one) > 0.05
    assert changed(initial, one, "encoder_i_1/kernel")


def test_the_same_command_again_changes_nothing(run, capsys):
    def files():
        paths = pathlib.Path(run.path).rglob("*")
        return {p: p.stat().st_mtime_ns for p in paths if p.is_file() and p.name != ".lock"}

    before = files()
    assert train.train(recipes.settings_of(run)).path == run.path
    assert files() == before
    assert "epoch" not in capsys.readouterr().out


def test_other_settings_in_a_used_folder_are_named(run):
    with pytest.raises(UserError, match=r"margin: 1.0 there, 0.5 here"):
        train.train(settings(run.path, margin=0.5))


def test_a_folder_that_another_process_trains_in(run):
    with open(run.file(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is training there"):
            train.train(recipes.settings_of(run))


def test_printed_sums_with_the_papers_weights_diverge_and_stop(tmp_path):
    with pytest.raises(
        UserError, match=r"(L_\w+|gradient_\w+).* is not finite at step \d+"
    ) as caught:
        train.train(
            settings(
                tmp_path,
                **SHORT
                | {"epochs": 40, "loss_normalization": "literal", "learning_rate_scale": 100.0},
            )
        )
    text = str(caught.value)
    assert "loss_normalization=literal diverges" in text
    [last_good] = re.findall(r"last good state is (\S+\.keras)\.", text)
    for name, value in weights(last_good).items():
        assert np.isfinite(value).all(), name
    assert not os.path.exists(tmp_path / "model.keras")


def test_steps_that_spoil_the_weights_at_the_end_of_an_epoch_are_not_saved(tmp_path):
    """One step an epoch: its loss is that of good weights, what it leaves is not."""
    changes = {
        "batch_size": 24,
        "images_per_identity": 4,
        "learning_rate_scale": 1e38,
        "encoder_learning_rate": 1.0,
    }
    with pytest.raises(UserError, match=r"is not finite at step 1\. .*initial.keras"):
        train.train(settings(tmp_path, **SHORT | {"epochs": 2} | changes))
    assert os.listdir(tmp_path / "checkpoints") == []


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    save = keras.Model.save

    def full(model, path):
        save(model, path)
        if model.optimizer.iterations >= 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    changes = SHORT | {"epochs": 3}
    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save", full)
        with pytest.raises(UserError, match=r"can't write .*arn-0002.*No space left.*same command"):
            train.train(settings(tmp_path / "full", **changes))
    assert os.listdir(tmp_path / "full" / "checkpoints") == ["arn-0001.keras"]
    resumed = train.train(settings(tmp_path / "full", **changes))
    whole = train.train(settings(tmp_path / "whole", **changes))
    small_data.assert_equal(*(weights(run.file("model.keras")) for run in (resumed, whole)))


def test_replicas_that_are_not_there():
    with pytest.raises(UserError, match="replicas=2: call split_cpu"):
        replicas.make_strategy(2, batch_size=8)


def test_a_batch_that_the_devices_cannot_share(monkeypatch):
    devices = [tf.config.LogicalDevice(f"CPU:{i}", "CPU") for i in range(3)]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: devices)
    with pytest.raises(UserError, match="batch_size=8 can't be divided by the 3 replicas"):
        replicas.make_strategy(3, batch_size=8)


def test_more_gpus_than_there_are(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: ["GPU:0"])
    with pytest.raises(UserError, match="replicas=4: this machine has 1 GPUs"):
        replicas.make_strategy(4, batch_size=8)
