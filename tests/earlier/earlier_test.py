"""Runs, Keras files, exports and galleries of an earlier version still load, go on and agree."""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf import ARN, StrongModel, recipes
from arn_tf.paper import train as paper_train
from arn_tf.run.folder import RunDir
from arn_tf.strong import train as strong_train
from serving import client
from serving.gallery import command_line, search
from serving.gallery.store import GalleryStore
from tests.support import small_data, small_strong
from tests.support.fake_embedder import FakeClient, by_content, unit
from tests.support.places import ROOT
from tests.support.small_export import PICTURES, served
from tests.support.small_tolerance import assert_moved_alike, rounding

RECIPES = ("paper", "strong")
# Two convolutions of up to 5 x 5 x 12 products, and an encoder of three; unit vectors.
CLOSE = rounding(5, 300)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier")
    with zipfile.ZipFile(pathlib.Path(__file__).with_name("f124c71.zip")) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize("recipe", RECIPES)
def test_models_embed_as_they_did(earlier, recipe):
    model = keras.models.load_model(earlier / recipe / "model.keras")
    expected = np.load(earlier / f"{recipe}_embeddings.npz")
    found = served(model).examples(PICTURES)
    assert set(found) == set(expected)
    for signature, (_, outputs) in found.items():
        np.testing.assert_allclose(outputs["embedding"], expected[signature], atol=CLOSE)


@pytest.mark.parametrize("recipe", RECIPES)
def test_exports_embed_as_they_did(earlier, recipe):
    folder = earlier / "exports" / recipe / "1"
    loaded = tf.saved_model.load(str(folder)).signatures
    model = keras.models.load_model(earlier / recipe / "model.keras")
    expected = np.load(earlier / f"{recipe}_embeddings.npz")
    sidecar = json.loads((folder / "assets.extra" / "arn.json").read_text())
    for signature, (inputs, _) in served(model).examples(PICTURES).items():
        found = loaded[signature](**{name: tf.constant(each) for name, each in inputs.items()})
        np.testing.assert_allclose(found["embedding"], expected[signature], atol=CLOSE)
    # A gallery that was filled by the earlier export takes queries from one of today.
    assert served(model).embedding_space == sidecar["embedding_space"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_finished_runs_are_scored(earlier, recipe):
    run = RunDir(str(earlier / recipe))
    settings = recipes.settings_of(run)
    data = small_data.inputs() if recipe == "paper" else small_strong.inputs()
    evaluation = recipes.recipe_of(settings).evaluate(
        run, type(settings)(**vars(settings) | data | {"model_dir": run.path})
    )
    with open(run.file("results.json")) as file:
        rows = json.load(file)["rows"]
    assert [row.title for row in evaluation.rows] == list(rows)
    for row in evaluation.rows:
        # Equal ranks on one machine; rounding may exchange two of 14 pictures on another.
        assert row.result.mean_ap == pytest.approx(rows[row.title]["mean_ap"], abs=0.05)


def test_a_stopped_run_of_the_paper_goes_on(earlier, tmp_path):
    shutil.copytree(earlier / "paper_stopped", tmp_path / "run")
    settings = small_data.settings(tmp_path / "run", embedding_dim=16, hidden_width=8)
    run = paper_train.train(settings)
    _assert_alike(run, RunDir(str(earlier / "paper")), "model.keras", "initial.keras")


def test_a_stopped_run_of_the_strong_recipe_goes_on(earlier, tmp_path, capsys):
    shutil.copytree(earlier / "strong_stopped", tmp_path / "run")
    run = strong_train.train(small_strong.settings(tmp_path / "run"))
    assert "source: epochs 2 to 3" in capsys.readouterr().out
    _assert_alike(run, RunDir(str(earlier / "strong")), "adapted.keras", "initial.keras")


def _assert_alike(found, expected, name, start):
    """Every weight was trained from the same start to the same place."""
    models = [
        keras.models.load_model(run.file(each))
        for run, each in ((found, name), (expected, name), (expected, start))
    ]
    for one, other, before in zip(*(model.trainable_variables for model in models), strict=True):
        assert_moved_alike(one.numpy(), other.numpy(), before.numpy(), one.path)


def test_a_gallery_is_searched(earlier):
    with GalleryStore(str(earlier / "gallery")) as store:
        pictures = store.pictures()
        assert [picture.file for picture in pictures] == [
            f"/crops/{person:04d}_c{camera}s1.jpg" for person in (1, 2, 3) for camera in (1, 2)
        ]
        for file in sorted((earlier / "crops").iterdir()):
            query = unit(by_content(file, 16))
            (hits,) = search.exact(store, query[None], 2)
            assert hits[0].picture.file == f"/crops/{file.name}"
            assert hits[0].score == pytest.approx(1, abs=1e-6)


def test_pictures_of_a_gallery_that_moved_since_keep_their_rows(earlier, tmp_path, monkeypatch):
    shutil.copytree(earlier / "gallery", tmp_path / "gal")
    with GalleryStore(str(tmp_path / "gal")) as store:
        before = {pathlib.Path(each.file).name: each for each in store.pictures()}
    monkeypatch.setattr(client, "from_arguments", lambda _: FakeClient())
    command_line.main(["add", "--server=none", f"--gallery={tmp_path}/gal", f"{earlier}/crops"])
    with GalleryStore(str(tmp_path / "gal")) as store:
        for each in store.pictures():
            old = before.pop(pathlib.Path(each.file).name)
            expected = str(earlier / "crops" / pathlib.Path(old.file).name)
            assert each == dataclasses.replace(old, file=expected)
    assert not before


LOADED = """
import sys
import arn_tf, keras
assert keras.saving.get_registered_object("arn_tf>ConstantThenCosine")
for path in sys.argv[1:]:
    model = keras.models.load_model(path)
    print(type(model).__name__, sum(weights.sum() for weights in model.get_weights()))
"""


def test_importing_arn_tf_is_enough(tmp_path):
    """In a process that imports nothing else of ours."""
    small = {"backbone": "MobileNetV2", "backbone_weights": "random", "input_size": (64, 32)}
    models = [ARN(3, embedding_dim=8, hidden_width=4, **small), StrongModel(3, **small)]
    paths = [str(tmp_path / f"{type(model).__name__}.keras") for model in models]
    for model, path in zip(models, paths, strict=True):
        model.save(path)
    line = [sys.executable, "-c", LOADED, *paths]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for model, printed in zip(models, done.stdout.splitlines(), strict=True):
        name, total = printed.split()
        assert name == type(model).__name__
        expected = sum(weights.sum() for weights in model.get_weights())
        assert float(total) == pytest.approx(float(expected), rel=1e-6)
