"""A strong export holds what its model computes for each camera, once, with a true sidecar."""

import json
import os
import pathlib
import re
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from arn_tf.data.images import decode
from arn_tf.errors import UserError
from arn_tf.served import publish, warmup
from arn_tf.served.graph import ServedModel
from arn_tf.strong.model import StrongModel
from arn_tf.strong.served_model import served_model
from tests.support import small_data, small_export, small_strong, small_tables
from tests.support.small_export import PICTURES, SIZE

ONE_ROW = np.zeros((5, 12), np.float32)
ONE_ROW[3] = 0.1
SIGNATURES = ["by_camera", "images", "images_by_camera", "serving_default"]


@pytest.fixture(scope="module")
def model() -> StrongModel:
    return small_strong.model()


@pytest.fixture(scope="module")
def exported(
    model: StrongModel, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pathlib.Path, dict[str, Any]]:
    folder, sidecar = small_export.export_model(
        model, tmp_path_factory.mktemp("models") / "arn", PICTURES
    )
    return pathlib.Path(folder), sidecar


def test_a_model_loaded_from_it_gives_row_b(model, exported):
    images = np.stack([decode(picture, SIZE).numpy() for picture in PICTURES])
    loaded = tf.saved_model.load(str(exported[0])).signatures
    assert sorted(loaded) == SIGNATURES
    cameras = [2**40, 4, 7, 1, -1]
    camera_id = tf.constant(cameras, tf.int64)
    found = [
        loaded["by_camera"](image_bytes=tf.constant(PICTURES), camera_id=camera_id),
        loaded["images_by_camera"](images=tf.constant(images), camera_id=camera_id),
    ]
    for each in found:
        np.testing.assert_allclose(
            each["embedding"], model(images, model.table.rows_of(cameras)), rtol=0, atol=1e-5
        )
        assert each["camera_known"].numpy().tolist() == [True, True, False, True, False]
        assert each["embedding_space"].numpy().tolist() == (
            [exported[1]["embedding_space"].encode()] * 5
        )


def test_the_sidecar(exported):
    folder, sidecar = exported
    assert json.loads((folder / publish.SIDECAR).read_text()) == sidecar
    assert sidecar["cameras"] == small_strong.CAMERAS
    assert (sidecar["precision"], sidecar["embedding_dim"]) == ("float32", 24)
    assert sidecar["agreement"]["max_difference"] <= 1e-5


def test_each_weight_is_stored_once_and_none_of_training(tmp_path):
    model = StrongModel(150, "MobileNetV2", "random", SIZE, cameras=range(6))
    publish.save(served_model(model), str(tmp_path / "1"))
    stored = [*model.encoder_i.weights, *model.table.weights]
    parameters = sum(weight.numpy().nbytes for weight in stored)
    assert publish.weights_bytes(str(tmp_path / "1")) == pytest.approx(parameters, rel=0.03)
    names = [name for name, _ in tf.train.list_variables(str(tmp_path / "1/variables/variables"))]
    assert not [name for name in names if re.search("classifier|neck", name)]
    # One network for four signatures: a quarter of what four would take.
    assert (tmp_path / "1" / "saved_model.pb").stat().st_size < 2e6


def test_warm_up_requests_are_small_and_replay(exported):
    path = exported[0] / warmup.FILE
    assert path.stat().st_size < 8192
    loaded, seen = tf.saved_model.load(str(exported[0])).signatures, []
    for record in tf.data.TFRecordDataset(str(path)):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {
            name: tf.io.parse_tensor(tensor.SerializeToString(), tf.as_dtype(tensor.dtype))
            for name, tensor in request.inputs.items()
        }
        found = loaded[request.model_spec.signature_name](**inputs)["embedding"]
        seen.append((request.model_spec.signature_name, found.shape[0]))
    assert sorted(seen) == [(name, size) for name in SIGNATURES for size in (1, 8)]


@pytest.mark.parametrize(("own", "asked"), [("float32", "bfloat16"), ("bfloat16", None)])
def test_bfloat16(tmp_path, own, asked):
    model = small_strong.model(precision=own)
    folder, sidecar = small_export.export_model(model, tmp_path / "arn", PICTURES, asked)
    assert sidecar["precision"] == "bfloat16"
    assert sidecar["agreement"]["mean_cosine"] > 0.95
    assert (sidecar["agreement"]["max_difference"] > 1e-5) == (asked is not None)
    images = np.stack([decode(picture, SIZE).numpy() for picture in PICTURES])
    served = tf.saved_model.load(folder).signatures["images"](images=tf.constant(images))
    found = (served["embedding"] * model(images, model.table.rows_of([-1] * 5))).numpy().sum(axis=1)
    assert found.min() > 0.9


@pytest.mark.parametrize(
    ("change", "text"),
    [
        # Only pictures of one camera differ, then only which one it is.
        (lambda served: served.table.weights[0].assign_add(ONE_ROW), "disagree on 5 pictures"),
        (lambda served: served.table.cameras.__setitem__(2, 8), "takes cameras for others"),
    ],
)
def test_what_disagrees_on_a_camera_is_not_published(tmp_path, monkeypatch, change, text):
    honest = publish.save

    def save(served: ServedModel, folder: str) -> None:
        other = served_model(small_strong.model())
        change(other)
        honest(other, folder)

    monkeypatch.setattr(publish, "save", save)
    with pytest.raises(UserError, match=f"{text}.*nothing was published"):
        small_export.export_model(small_strong.model(), tmp_path / "arn", PICTURES)
    assert os.listdir(tmp_path / "arn") == [".last_version"]


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_useless_embeddings_are_not_published(tmp_path, value):
    model = small_strong.model()
    deviation = small_tables.columns(model)["embedding_deviation"]
    deviation.assign(np.full(deviation.shape, np.inf if value == 0 else np.nan))
    with pytest.raises(UserError, match="embeddings are zero or not finite"):
        small_export.export_model(model, tmp_path / "arn", PICTURES)


def test_the_space_is_not_that_of_the_papers_recipe(exported, tmp_path):
    _, sidecar = small_export.export_model(small_export.model(), tmp_path / "arn", PICTURES)
    assert "cameras" not in sidecar
    assert sidecar["embedding_space"] != exported[1]["embedding_space"]


def test_the_command(strong_run, tmp_path):
    line = small_data.command(
        "arn_tf.export",
        model_dir=strong_run.path,
        export_dir=tmp_path / "arn",
        **small_strong.inputs(),
    )
    status, out, err = small_data.finish(line)
    assert status == 0, err
    assert "cameras with statistics of their own: 1, 2; others take the whole target's" in out
    assert "no metrics in its sidecar" in out
    sidecar = json.loads((tmp_path / "arn/1" / publish.SIDECAR).read_text())
    assert sidecar["cameras"] == [1, 2] and sidecar["metrics"] is None
    assert sidecar["agreement"]["pictures"] == 32


def test_a_model_without_a_source_is_exported_like_others(tmp_path):
    """It has no classifier, which no export takes along anyway."""
    alone = small_strong.model(num_identities=0)
    folder, _ = small_export.export_model(alone, tmp_path / "arn", PICTURES)
    images = np.stack([decode(picture, SIZE).numpy() for picture in PICTURES])
    cameras = [4, 4, 7, 1, -1]
    found = tf.saved_model.load(str(folder)).signatures["images_by_camera"](
        images=tf.constant(images), camera_id=tf.constant(cameras, tf.int64)
    )
    np.testing.assert_allclose(
        found["embedding"], alone(images, alone.table.rows_of(cameras)), rtol=0, atol=1e-5
    )
