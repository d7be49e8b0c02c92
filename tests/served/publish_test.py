"""What is exported computes what the model does, says which embedding space it is, and is small."""

import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from arn_tf import ARN
from arn_tf.data.images import decode
from arn_tf.paper.served_model import served_model
from arn_tf.served import publish, warmup
from tests.support import small_data, small_export
from tests.support.small_export import PICTURES, SIZE


@pytest.fixture(scope="module")
def model():
    return small_export.model()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder, sidecar = small_export.export_model(
        model, tmp_path_factory.mktemp("models") / "arn", PICTURES
    )
    return pathlib.Path(folder), sidecar


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(str(exported[0]))


# What it computes.


def test_encoded_pictures_give_the_embeddings_of_the_model(model, loaded):
    images = np.stack([decode(picture, SIZE).numpy() for picture in PICTURES])
    found = loaded.signatures["serving_default"](image_bytes=tf.constant(PICTURES))["embedding"]
    np.testing.assert_allclose(found, model.embed(images), rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert found.dtype == tf.float32 and np.std(found) > 0


def test_both_signatures_agree_at_any_batch_size(model, loaded):
    images = np.stack([decode(picture, SIZE).numpy() for picture in PICTURES])
    expected = model.embed(images)
    for count in (1, 2, 5):
        parts = [
            loaded.signatures["images"](images=tf.constant(images[i : i + count]))["embedding"]
            for i in range(0, len(images), count)
        ]
        np.testing.assert_allclose(np.concatenate(parts), expected, rtol=0, atol=1e-5)


def test_statistics_are_those_of_the_target(loaded, model):
    images = tf.constant(decode(PICTURES[0], SIZE).numpy()[None])
    found = loaded.signatures["images"](images=images)["embedding"]
    assert np.abs(found - model(images, domain=0)).max() > 1e-3


def test_only_the_embedding_path_is_stored_and_once(tmp_path):
    model = ARN(150, backbone="MobileNetV2", backbone_weights="random", input_size=SIZE)
    served = served_model(model)
    publish.save(served, str(tmp_path / "1"))
    parameters = sum(w.numpy().nbytes for w in model.encoder_i.weights + model.encoder_c.weights)
    assert publish.weights_bytes(str(tmp_path / "1")) == pytest.approx(parameters, rel=0.02)
    names = [name for name, _ in tf.train.list_variables(str(tmp_path / "1/variables/variables"))]
    assert not [name for name in names if re.search("decoder|classifier|encoder_[st]", name)]


# The embedding space.


def test_every_row_and_the_sidecar_name_the_space(exported, loaded):
    folder, sidecar = exported
    found = loaded.signatures["serving_default"](image_bytes=tf.constant(PICTURES))
    assert found["embedding_space"].numpy().tolist() == [sidecar["embedding_space"].encode()] * 5
    assert json.loads((folder / publish.SIDECAR).read_text()) == sidecar
    assert re.fullmatch("[0-9a-f]{16}", sidecar["embedding_space"])


def test_the_space_is_that_of_the_weights_and_the_precision(model):
    def space(model, precision="float32"):
        return served_model(model, precision).embedding_space

    assert space(small_export.model()) == space(model)
    changed = [small_export.model() for _ in range(3)]
    changed[0].encoder_i.weights[0].assign(changed[0].encoder_i.weights[0] * 1.0001)
    changed[1].feature_scale.assign(2.0)
    changed[2].encoder_c.normalizations[0].moving_mean.assign_add(
        tf.ones_like(changed[2].encoder_c.normalizations[0].moving_mean)
    )
    spaces = {space(each) for each in [model, *changed]} | {space(model, "bfloat16")}
    assert len(spaces) == 5
    # What doesn't touch an embedding doesn't change its space.
    trained = small_export.model()
    trained.decoder_c.trainable_weights[0].assign_add(
        tf.ones_like(trained.decoder_c.trainable_weights[0])
    )
    assert space(trained) == space(model)


def test_bfloat16_agrees_less_and_says_how_much(model, tmp_path):
    folder, sidecar = small_export.export_model(model, tmp_path / "arn", PICTURES, "bfloat16")
    agreement = sidecar["agreement"]
    assert sidecar["precision"] == "bfloat16" and agreement["pictures"] == 5
    assert 1e-5 < agreement["max_difference"] < 0.05
    assert 0.99 < agreement["mean_cosine"] < 1
    images = np.stack([decode(picture, SIZE).numpy() for picture in PICTURES])
    served = tf.saved_model.load(folder).signatures["images"](images=tf.constant(images))
    found = np.abs(served["embedding"] - model.embed(images)).max()
    assert found == pytest.approx(agreement["max_difference"], rel=0.5)


# Warm-up.


def test_warm_up_requests_are_small_and_replay(exported, loaded):
    path = exported[0] / warmup.FILE
    assert path.stat().st_size < 4096
    seen = []
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert request.model_spec.name == "arn"
        inputs = {
            name: tf.io.parse_tensor(tensor.SerializeToString(), tf.as_dtype(tensor.dtype))
            for name, tensor in request.inputs.items()
        }
        found = loaded.signatures[request.model_spec.signature_name](**inputs)["embedding"]
        seen.append((request.model_spec.signature_name, found.shape[0]))
    assert sorted(seen) == [
        ("images", 1),
        ("images", 8),
        ("serving_default", 1),
        ("serving_default", 8),
    ]


# The documentation.


def test_saved_model_cli_prints_what_the_documentation_shows(tmp_path):
    """With the paper's sizes; the text depends on nothing else."""
    model = ARN(6, backbone="Tiny", backbone_weights="random")
    publish.save(served_model(model), str(tmp_path / "1"))
    tool = pathlib.Path(sys.executable).with_name("saved_model_cli")
    shown = subprocess.run(
        [
            tool,
            "show",
            "--dir",
            tmp_path / "1",
            "--tag_set",
            "serve",
            "--signature_def",
            "serving_default",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    page = (small_data.ROOT / "docs" / "serving.md").read_text()
    block = re.search(r"\$ saved_model_cli show .*?\n(.*?)```", page, re.DOTALL)[1]
    assert block.strip() == shown.strip()
