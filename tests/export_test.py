"""What is exported computes what the model does, stands complete or not at all, and is small."""

import fcntl
import hashlib
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import small_data
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from arn_tf import ARN, export, signatures, warmup
from arn_tf.errors import UserError
from arn_tf.input_pipeline import decode
from arn_tf.run_dir import RunDir

SIZE = (small_data.HEIGHT, small_data.WIDTH)
# Of several sizes: the graph resizes.
PICTURES = [
    small_data.picture(person, camera, 1, size)
    for person, (camera, size) in enumerate(
        [(1, SIZE), (2, (128, 64)), (1, (30, 90)), (2, (300, 77)), (1, SIZE)], start=1
    )
]


def tiny(seed=0):
    """A model that is built in a moment, with batch statistics that aren't those of its birth."""
    keras.utils.set_random_seed(seed)
    model = ARN(
        6, backbone="Tiny", backbone_weights="random", input_size=SIZE, embedding_dim=64,
        hidden_width=32, seed=seed,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    for network in (model.encoder_i, model.encoder_c):
        for weight in network.non_trainable_weights:
            spread = rng.uniform(0.5, 1.5, weight.shape)
            weight.assign(spread if "variance" in weight.path else 0.1 * (spread - 1))
    return model


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder, sidecar = export.export(model, tmp_path_factory.mktemp("models") / "arn", PICTURES)
    return pathlib.Path(folder), sidecar


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(str(exported[0]))


def content(folder):
    """{file: hash} of everything below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file()
    }


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
    served = signatures.ServedModel(model)
    export.save(served, str(tmp_path / "1"))
    parameters = sum(w.numpy().nbytes for w in model.encoder_i.weights + model.encoder_c.weights)
    assert export.weights_bytes(str(tmp_path / "1")) == pytest.approx(parameters, rel=0.02)
    names = [name for name, _ in tf.train.list_variables(str(tmp_path / "1/variables/variables"))]
    assert not [name for name in names if re.search("decoder|classifier|encoder_[st]", name)]


# The embedding space.


def test_every_row_and_the_sidecar_name_the_space(exported, loaded):
    folder, sidecar = exported
    found = loaded.signatures["serving_default"](image_bytes=tf.constant(PICTURES))
    assert found["embedding_space"].numpy().tolist() == [sidecar["embedding_space"].encode()] * 5
    assert json.loads((folder / export.SIDECAR).read_text()) == sidecar
    assert re.fullmatch("[0-9a-f]{16}", sidecar["embedding_space"])


def test_the_space_is_that_of_the_weights_and_the_precision(model):
    def space(model, precision="float32"):
        return signatures.ServedModel(model, precision).embedding_space

    assert space(tiny()) == space(model)
    changed = [tiny() for _ in range(3)]
    changed[0].encoder_i.weights[0].assign(changed[0].encoder_i.weights[0] * 1.0001)
    changed[1].feature_scale.assign(2.0)
    changed[2].encoder_c.normalizations[0].moving_mean.assign_add(
        tf.ones_like(changed[2].encoder_c.normalizations[0].moving_mean)
    )
    spaces = {space(each) for each in [model, *changed]} | {space(model, "bfloat16")}
    assert len(spaces) == 5
    # What doesn't touch an embedding doesn't change its space.
    trained = tiny()
    trained.decoder_c.trainable_weights[0].assign_add(
        tf.ones_like(trained.decoder_c.trainable_weights[0])
    )
    assert space(trained) == space(model)


def test_bfloat16_agrees_less_and_says_how_much(model, tmp_path):
    folder, sidecar = export.export(model, tmp_path / "arn", PICTURES, "bfloat16")
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
    assert sorted(seen) == [("images", 1), ("images", 8), ("serving_default", 1),
                            ("serving_default", 8)]  # fmt: skip


# Versions.


def test_a_new_version_leaves_the_old_one_alone(model, tmp_path):
    first, _ = export.export(model, tmp_path / "arn", PICTURES)
    before = content(first)
    second, _ = export.export(model, tmp_path / "arn", PICTURES)
    assert [pathlib.Path(path).name for path in (first, second)] == ["1", "2"]
    assert content(first) == before
    (tmp_path / "arn" / "7").mkdir()
    third, _ = export.export(model, tmp_path / "arn", PICTURES)
    assert pathlib.Path(third).name == "8"
    # Taking one away doesn't give its number to another.
    shutil.rmtree(third)
    fourth, _ = export.export(model, tmp_path / "arn", PICTURES)
    assert pathlib.Path(fourth).name == "9"


def test_what_disagrees_is_not_published(model, tmp_path, monkeypatch):
    honest = ARN.embed
    monkeypatch.setattr(ARN, "embed", lambda self, images: honest(self, images) + 2e-5)
    with pytest.raises(UserError, match=r"disagree on 5 pictures.*nothing was published"):
        export.export(model, tmp_path / "arn", PICTURES)
    assert sorted(os.listdir(tmp_path / "arn")) == [".last_version"]


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_useless_embeddings_are_not_published(tmp_path, value):
    model = tiny()
    for weight in model.encoder_c.convolutions[-1].weights:
        weight.assign(np.full(weight.shape, value))
    with pytest.raises(UserError, match="embeddings are zero or not finite"):
        export.export(model, tmp_path / "arn", PICTURES)


def test_leftovers_of_a_killed_export_go(model, tmp_path):
    (tmp_path / "arn").mkdir()
    (tmp_path / "arn" / ".partial-x").write_text("somebody's file")
    partial = tmp_path / "arn" / ".partial-1" / "variables"
    partial.mkdir(parents=True)
    (partial / "variables.data-00000-of-00001").write_bytes(b"half")
    folder, _ = export.export(model, tmp_path / "arn", PICTURES)
    assert pathlib.Path(folder).name == "1"
    assert sorted(os.listdir(tmp_path / "arn")) == [".last_version", ".partial-x", "1"]


def test_two_exports_at_once(model, tmp_path):
    (tmp_path / "arn").mkdir()
    with open(tmp_path / "arn" / ".last_version", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is exporting there"):
            export.export(model, tmp_path / "arn", PICTURES)


def test_a_folder_that_can_not_be(model, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"--export_dir=.*file"):
        export.export(model, tmp_path / "file" / "arn", PICTURES)


# The command.


def arguments(run, export_dir, **changes):
    places = small_data.inputs()
    return small_data.command("arn_tf.export", model_dir=run.path, export_dir=export_dir,
                              **places | changes)  # fmt: skip


def test_the_command(tmp_path):
    run = small_data.finished_run()
    status, out, err = small_data.finish(arguments(run, tmp_path / "arn"))
    assert status == 0, err
    sidecar = json.loads((tmp_path / "arn/1" / export.SIDECAR).read_text())
    for words in (str(tmp_path / "arn/1"), sidecar["embedding_space"], "64 numbers", "of duke"):
        assert words in out
    assert (sidecar["source"], sidecar["target"]) == ("market", "duke")
    assert sidecar["backbone"] == "Tiny" and sidecar["input_size"] == list(SIZE)
    assert sidecar["versions"] == {"tensorflow": tf.__version__, "keras": keras.__version__}


def test_the_sidecar_has_the_metrics_of_evaluate(tmp_path):
    run = RunDir(str(tmp_path))
    assert export._metrics(run) is None
    (tmp_path / "results.json").write_text('{"rows": {"ARN": {"rank-1": 0.5}}}')
    assert export._metrics(run) == {"rank-1": 0.5}
    (tmp_path / "results.json").write_text('{"rows"')
    with pytest.raises(UserError, match=r"results\.json.*run it again"):
        export._metrics(run)


def test_a_run_of_several_replicas(tmp_path):
    model_dir = tmp_path / "run"
    settings = small_data.settings(model_dir, **small_data.SHORT | {"replicas": 2})
    status, _, err = small_data.finish(small_data.command("arn_tf.train", settings))
    assert status == 0, err
    status, _, err = small_data.finish(arguments(RunDir(model_dir), tmp_path / "arn"))
    assert status == 0, err
    agreement = json.loads((tmp_path / "arn/1" / export.SIDECAR).read_text())["agreement"]
    assert agreement["max_difference"] <= 1e-5


def test_a_full_disk(tmp_path):
    """The limit on a file's size stands for it: the weights don't fit."""
    run = small_data.finished_run()
    done = subprocess.run(
        arguments(run, tmp_path / "arn"), capture_output=True, text=True, cwd=small_data.ROOT,
        env=os.environ | {"PYTHONPATH": str(small_data.ROOT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"--export_dir={tmp_path / 'arn'}: version 1 can't be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(os.listdir(tmp_path / "arn")) == [".last_version"]


@pytest.mark.parametrize(
    "flags, words",
    [
        ({"export_dir": ""}, "--export_dir: name the folder"),
        ({"model_dir": "/nowhere"}, "--model_dir=/nowhere: no settings.json there"),
        ({"precision": "int8"}, "precision"),
        ({"manual_dir": "/nowhere", "data_dir": "/proc/nowhere"}, "/proc/nowhere"),
    ],
)
def test_flags(flags, words, tmp_path):
    run = small_data.finished_run()
    status, _, err = small_data.finish(
        arguments(run, tmp_path / "arn", **{}) + [f"--{k}={v}" for k, v in flags.items()]
    )
    assert status == 2 and words in err and "Traceback" not in err


# The README.


def test_saved_model_cli_prints_what_the_readme_shows(tmp_path):
    """With the paper's sizes; the text depends on nothing else."""
    model = ARN(6, backbone="Tiny", backbone_weights="random")
    export.save(signatures.ServedModel(model), str(tmp_path / "1"))
    tool = pathlib.Path(sys.executable).with_name("saved_model_cli")
    shown = subprocess.run(
        [tool, "show", "--dir", tmp_path / "1", "--tag_set", "serve", "--signature_def",
         "serving_default"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    readme = (small_data.ROOT / "README.md").read_text()
    block = re.search(r"\$ saved_model_cli show .*?\n(.*?)```", readme, re.DOTALL)[1]
    assert block.strip() == shown.strip()


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
