"""What a run leaves for TensorBoard, read back with TensorBoard's own reader."""

import io
import os
import re
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins import projector

from arn_tf.data.reid_data import ReidData
from arn_tf.errors import UserError
from arn_tf.paper import callbacks as paper_callbacks
from arn_tf.paper.callbacks import CollapseWarning, ScalarLog, TargetMonitor
from arn_tf.paper.model import PAPER_WEIGHTS, TERMS
from arn_tf.run import tensorboard
from arn_tf.run.callbacks import ProgressBar
from arn_tf.run.folder import RunDir
from tests.support import small_data

GROUPS = ["encoder_i", "encoder_c", "encoder_s", "encoder_t", "decoder_c", "classifier_s"]


def events(folder):
    """{tag: [(step, tensor)]} of everything written to a folder."""
    reader = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    reader.Reload()
    return {
        tag: [(event.step, tf.make_ndarray(event.tensor_proto)) for event in reader.Tensors(tag)]
        for tag in reader.Tags()["tensors"]
    }


@pytest.fixture(scope="module")
def run(paper_run):
    return paper_run


@pytest.fixture(scope="module")
def logs(run):
    return {name: events(os.path.join(run.logs, name)) for name in os.listdir(run.logs)}


def values(logs, branch, tag):
    return [float(value) for _, value in logs[branch][tag]]


def test_every_branch_has_a_curve_of_its_own(logs):
    assert set(logs) == {"pretrain", "source_only", "arn"}
    steps = {name: [step for step, _ in found["loss/total"]] for name, found in logs.items()}
    assert sorted(set(steps["pretrain"])) == [1, 2, 3, 4, 5, 6]
    assert sorted(set(steps["arn"])) == sorted(set(steps["source_only"])) == [7, 8, 9]


@pytest.mark.parametrize("term", TERMS)
def test_losses_are_there_raw_and_weighted(logs, term):
    raw, weighted = (values(logs, "arn", f"loss_{kind}/{term}") for kind in ("raw", "weighted"))
    np.testing.assert_allclose(weighted, np.multiply(PAPER_WEIGHTS[term], raw), rtol=1e-5)
    assert min(raw) > 0


def test_the_total_is_the_weighted_sum(logs):
    parts = [values(logs, "arn", f"loss_weighted/{term}") for term in TERMS]
    np.testing.assert_allclose(np.sum(parts, axis=0), values(logs, "arn", "loss/total"), rtol=1e-4)


def test_source_only_curves_have_no_other_terms(logs):
    for branch in ("pretrain", "source_only"):
        raw = {tag for tag in logs[branch] if tag.startswith("loss_raw/")}
        assert raw == {"loss_raw/class", "loss_raw/contrastive"}


def test_learning_rates_and_gradient_norms_of_every_group(logs):
    rate = {}
    for group in ("encoder_i", "encoder_c", "classifier_s"):
        rates = values(logs, "pretrain", f"learning_rate/{group}")
        assert set(rates) == {rates[0]} and rates[0] > 0
        rate[group] = rates[0]
    for group in GROUPS:
        # Those that stand still have no rate.
        for branch in logs:
            moves = f"gradient_norm/{group}" in logs[branch]
            assert (f"learning_rate/{group}" in logs[branch]) == moves
    assert values(logs, "arn", "learning_rate/decoder_c")[-1] == pytest.approx(0.0, abs=1e-9)
    assert rate["encoder_i"] == pytest.approx(3e-4)
    assert rate["encoder_c"] == pytest.approx(3e-3)
    assert rate["classifier_s"] == pytest.approx(6e-3)
    norms = {
        branch: {t for t in found if t.startswith("gradient_norm/")}
        for branch, found in logs.items()
    }
    assert norms["arn"] == {f"gradient_norm/{group}" for group in GROUPS if group != "encoder_i"}
    # E_I is tuned in the first epoch alone.
    assert {step for step, _ in logs["pretrain"]["gradient_norm/encoder_i"]} == {1, 2, 3}


def test_the_target_is_scored_after_every_epoch(logs):
    for branch, steps in (("pretrain", [3, 6]), ("arn", [9])):
        for name in ("rank-1", "rank-5", "rank-10", "rank-20", "mean_ap"):
            found = logs[branch][f"monitoring_target/{name}"]
            assert [step for step, _ in found] == steps
            assert all(0 <= value <= 1 for _, value in found)


def test_ranked_lists_are_a_picture(logs):
    [(step, summary)] = logs["arn"]["monitoring_target/ranked_lists"]
    width, height, encoded = int(summary[0]), int(summary[1]), summary[2]
    picture = Image.open(io.BytesIO(encoded))
    assert step == 9
    assert picture.size == (width, height)
    assert height > 8 * 128  # a line of thumbnails for each query
    assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 100


def test_the_settings_are_there_as_text(logs):
    [(_, text)] = logs["arn"]["settings"]
    assert "backbone: Tiny" in text.item().decode()


def test_warnings_are_there_as_text(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    callback = CollapseWarning(100, writer)
    callback.set_model(
        types.SimpleNamespace(
            optimizer=types.SimpleNamespace(iterations=keras.Variable(7, dtype="int64")),
            initial_code_norm=keras.Variable(2.0),
        )
    )
    callback.on_epoch_end(4, {"code_norm": 0.0})
    writer.close()
    [(step, text)] = events(tmp_path)["warnings"]
    assert step == 4 and text.item().startswith(b"epoch 5: the codes' norm is 0 times")


@pytest.mark.parametrize("branch", ["source_only", "arn"])
def test_the_projector_finds_its_files(run, branch):
    folder = os.path.join(run.logs, branch)
    with open(os.path.join(folder, "projector_config.pbtxt")) as file:
        config = text_format.Parse(file.read(), projector.ProjectorConfig())
    [entry] = config.embeddings
    query = ReidData("duke", **small_data.inputs()).split("query")
    with open(os.path.join(folder, entry.metadata_path)) as file:
        header, *rows = [line.rstrip("\n").split("\t") for line in file]
    assert header == ["person_id", "camera_id", "file_name"]
    assert [row[2] for row in rows] == query.file_name
    assert [int(row[0]) for row in rows] == query.person_id.tolist()
    assert [int(row[1]) for row in rows] == query.camera_id.tolist()
    vectors = np.loadtxt(os.path.join(folder, entry.tensor_path), delimiter="\t")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), np.ones(len(query)), rtol=1e-4)
    sprite = np.asarray(Image.open(os.path.join(folder, entry.sprite.image_path)))
    width, height = entry.sprite.single_image_dim
    assert sprite.shape == (3 * height, 3 * width, 3)  # 8 pictures on a square of 3 x 3
    # The fifth stands in the middle, 64 x 32 pixels on white.
    fifth = sprite[height : 2 * height, width : 2 * width]
    picture = np.asarray(Image.open(io.BytesIO(query.images[4])))
    np.testing.assert_array_equal(fifth[:, 16:48], picture)
    assert (fifth[:, :16] == 255).all() and (fifth[:, 48:] == 255).all()


def test_the_projector_takes_a_part_of_a_large_split(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard, "_PROJECTOR_POINTS", 3)
    query = ReidData("duke", **small_data.inputs()).split("query")
    tensorboard.write_projector(str(tmp_path), query, np.arange(16.0).reshape(8, 2))
    assert np.loadtxt(tmp_path / "embeddings.tsv").tolist() == [[0, 1], [6, 7], [14, 15]]
    names = [line.split("\t")[2] for line in (tmp_path / "metadata.tsv").read_text().splitlines()]
    assert names[1:] == [query.file_name[row] for row in (0, 3, 7)]


@pytest.mark.parametrize("every, scored", [(1, [0, 1, 2, 3, 4]), (2, [1, 3, 4]), (9, [4])])
def test_the_target_is_scored_every_few_epochs_and_at_the_end(monkeypatch, every, scored):
    class Scored(Exception):
        pass

    def fail(*_):
        raise Scored

    monkeypatch.setattr(paper_callbacks.embedding, "estimate_target_statistics", fail)
    data = {"train": (None, None), "query": (None, None), "gallery": (None, None)}
    callback = TargetMonitor(None, data, every, last_epoch=5)
    callback.set_model(types.SimpleNamespace(encoder_c=keras.layers.BatchNormalization()))
    found = []
    for epoch in range(5):
        try:
            callback.on_epoch_end(epoch)
        except Scored:
            found.append(epoch)
    assert found == scored


def test_scoring_leaves_no_trace_and_stops_nothing(monkeypatch):
    layer = keras.layers.BatchNormalization()
    layer.build((None, 3))
    before = [variable.numpy() for variable in layer.non_trainable_variables]

    def fail(*_):
        layer.moving_mean.assign([1.0, 2.0, 3.0])
        raise UserError("every query was seen by one camera")

    monkeypatch.setattr(paper_callbacks.embedding, "estimate_target_statistics", fail)
    data = {"train": (None, None), "query": (None, None), "gallery": (None, None)}
    callback = TargetMonitor(None, data, 1, last_epoch=5)
    callback.set_model(types.SimpleNamespace(encoder_c=layer))
    callback.on_epoch_end(0)
    for variable, value in zip(layer.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_the_progress_bar_shows_the_losses_alone(capsys):
    bar = ProgressBar(2, 5, ("loss", "class", "triplet"))
    bar.set_model(types.SimpleNamespace())
    bar.on_epoch_begin(3)
    logs = {"loss": 4.0, "class": 1.5, "code_norm": 7.0, "gradient_norm_encoder_c": 8.0}
    for batch in range(2):
        bar.on_train_batch_end(batch, logs)
    shown = capsys.readouterr().out
    assert "epoch 4/5" in shown
    assert "loss: 4.0" in shown and "class: 1.5" in shown
    # By name: a number may also stand in the time of a step.
    assert "norm" not in shown and set(re.findall(r"(\w+): \d", shown)) == {"loss", "class"}


def test_curves_of_long_epochs_have_ten_points(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    callback = ScalarLog(writer, steps_per_epoch=400)
    step = keras.Variable(0, dtype="int64")
    optimizer = types.SimpleNamespace(iterations=step, optimizers=[])
    callback.set_model(types.SimpleNamespace(optimizer=optimizer, loss_weights=PAPER_WEIGHTS))
    logs = {"loss": 1.0, "code_norm": 1.0}
    for _ in range(400):
        step.assign(step + 1)
        callback.on_train_batch_end(0, logs)
    writer.close()
    assert [at for at, _ in events(tmp_path)["loss/total"]] == list(range(40, 401, 40))


@pytest.mark.parametrize("name", ["run[1]", "x*", "a\\b", "ü #1", os.fsdecode(b"caf\xe9")])
def test_a_run_in_a_folder_of_any_name(tmp_path, name):
    run = RunDir(str(tmp_path / name))
    tensorboard.write_stage(run, "stage", 3, {"value": 0.5}, "text")
    query = ReidData("market", **small_data.inputs()).split("query")
    folder = os.path.join(run.logs, "stage")
    tensorboard.write_projector(folder, query, np.eye(len(query), 4))
    assert {"projector_config.pbtxt", "sprite.png"} < set(os.listdir(folder))
    # TensorBoard itself reads no folder that isn't UTF-8.
    os.rename(tmp_path / name, tmp_path / "plain")
    ((step, value),) = events(tmp_path / "plain" / "logs" / "stage")["value"]
    assert (step, value) == (3, 0.5)
