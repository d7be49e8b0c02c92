"""A run of several sources: folders whose persons have the same names, and a data set."""

import json
import os
import pathlib

import numpy as np
import pytest

from arn_tf.run.folder import RunDir
from arn_tf.strong import train as strong_train
from tests.support import own_pictures, small_data
from tests.support.small_data import assert_equal
from tests.support.small_strong import settings, trained, weights
from tests.support.user_errors import refused


def write(folder: pathlib.Path, first: int) -> str:
    """Writes two pictures of each of four persons, named alike in every such folder."""
    return own_pictures.write(
        folder,
        {
            f"{person}/{shot}.png": small_data.picture(first + person, 1, shot)
            for person in range(4)
            for shot in range(2)
        },
    )


@pytest.fixture(scope="module")
def sources() -> str:
    """Returns the name of a data set of six persons, and two folders of four."""
    root = small_data.folder() / "several_sources"
    return ",".join(["market", write(root / "one", 200), write(root / "two", 300)])


@pytest.fixture(scope="module")
def finished(sources: str) -> tuple[RunDir, str]:
    return trained(of(sources, small_data.folder() / "several_sources" / "run"))


def of(source, model_dir, **changes):
    """Settings of a run whose only target stage is the calibration."""
    return settings(
        model_dir,
        **{
            "source": source,
            "source_names": "{person_id}/{*}",
            "batch_size": 12,
            "images_per_identity": 2,
            "epochs": 2,
            "self_training_rounds": 1,
            **small_data.inputs(),
            **changes,
        },
    )


def test_persons_of_one_name_are_of_their_source(finished):
    run, printed = finished
    assert run.load_model("model.keras").num_identities == 6 + 4 + 4
    assert "source one: 8 pictures" in printed
    assert "source two: 8 pictures" in printed
    assert "WARNING: the sources market, one, two have 14 persons" in printed


def test_each_source_has_a_record_and_a_fingerprint(finished):
    run, _ = finished
    with open(run.file("data.json")) as file:
        found = json.load(file)
    assert list(found) == ["source 1 train", "source 2 train", "source 3 train", "target train"]
    assert len(set(found.values())) == 4
    assert sorted(os.listdir(run.file("pictures"))) == ["source_2", "source_3"]
    for number in (2, 3):
        names = os.listdir(run.file(f"pictures/source_{number}"))
        assert {"source.json", "source_train_64x32.uint8"} <= set(names)


def test_a_run_goes_on_without_the_folders(finished, sources, tmp_path):
    """Each source by what the run has decoded of it; else in the same weights."""
    root = small_data.folder() / "several_sources"
    run, _ = finished
    expected = weights(run, "source")
    os.remove(run.file("source.keras"))
    for name in ("adapted", "model"):
        os.remove(run.file(f"{name}.keras"))
    for name in ("one", "two"):
        os.rename(root / name, root / f"moved_{name}")
    try:
        again, printed = trained(of(sources, run.path))
    finally:
        for name in ("one", "two"):
            os.rename(root / f"moved_{name}", root / name)
    assert printed.count("The run goes on with the pictures that it began with") == 2
    assert_equal(expected, weights(again, "source"))


def test_other_pictures_of_one_source_are_another_run(finished, sources):
    run, _ = finished
    path = run.file("data.json")
    with open(path) as file:
        before = file.read()
    with open(path, "w") as file:
        json.dump(json.loads(before) | {"source 3 train": "0"}, file)
    try:
        with refused("the pictures of source 3 train are not those that the run began with"):
            trained(of(sources, run.path))
    finally:
        with open(path, "w") as file:
            file.write(before)


def test_every_batch_has_persons_of_every_source(sources, tmp_path):
    samplers = []

    def stage(settings, run, strategy, sampler, source, target):
        samplers.append((sampler, source))
        with strategy.scope():
            return run.load_model(strong_train.INITIAL)

    strong_train.train(of(sources, tmp_path / "run", self_training_rounds=0), source_stage=stage)
    [(sampler, pictures)] = samplers
    assert sampler.identities == (6, 4, 4)
    assert pictures.shape == (24 + 8 + 8, 64, 32, 3)
    for rows in sampler.epoch(0).source_rows:
        of_source = np.searchsorted([24, 32], rows, side="right")
        np.testing.assert_array_equal(np.bincount(of_source), [4, 4, 4])


def test_a_source_of_too_few_persons(sources, tmp_path):
    with refused("needs 6 identities of each source, source 2 has 4: make"):
        trained(of(sources, tmp_path / "run", batch_size=18, images_per_identity=1))
