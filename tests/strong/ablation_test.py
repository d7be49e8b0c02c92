"""The strong recipe's table: its runs, what is left out, and one from folders without a source."""

import dataclasses
import io
import json
import os
import pathlib
import types

import numpy as np
import pytest
from PIL import Image

from arn_tf import ablate
from arn_tf.run import seed_rows
from arn_tf.run.labelled import Labelled
from arn_tf.strong import ablation as strong_ablation
from arn_tf.strong import evaluate as strong_evaluate
from arn_tf.strong import train as strong_train
from arn_tf.strong.evaluate import ADAPTED_CAMERAS, SOURCE_ONLY_CAMERAS
from tests.support import own_pictures, small_data, small_strong
from tests.support.user_errors import refused

NAMES = "{camera}/{person_id}_{*}"
BESIDE = {"backbone": "Tiny", "backbone_weights": "random", "input_size": "32x16"}
ORACLE = "ORACLE, by labels: supervised (b) camera statistics, flip"


def searched(person, camera, shot):
    """A picture through which another of its camera shows, so that no score is perfect."""
    rng = np.random.default_rng([person, camera, shot])
    other = 101 + (person - 100 + rng.integers(3)) % 4
    own, through = (
        np.asarray(Image.open(io.BytesIO(small_data.picture(each, camera, shot))), np.float64)
        for each in (person, other)
    )
    encoded = io.BytesIO()
    Image.fromarray((0.55 * own + 0.45 * through).astype(np.uint8)).save(encoded, "JPEG")
    return encoded.getvalue()


def crops(folder, persons, shots, labelled=True, picture=small_data.picture):
    """Pictures of two named cameras, CAMERA/PERSON_PERSON_SHOT.jpg; returns the folder."""
    files = {
        f"{name}/{person if labelled else 'x'}_{person}_{shot}.jpg": picture(person, camera, shot)
        for camera, name in enumerate(("entrance", "yard"), start=1)
        for person in persons
        for shot in range(shots)
    }
    return own_pictures.write(folder, files)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("target")
    return {
        "target": crops(root / "train", range(1, 19), 6),
        "query": crops(root / "query", range(101, 105), 1, picture=searched),
        "gallery": crops(root / "gallery", range(101, 105), 2, picture=searched),
    }


def settings(folders, model_dir, **changes):
    return small_strong.settings(
        model_dir,
        source="none",
        target=folders["target"],
        names=NAMES,
        self_training_rounds=1,
        **changes,
    )


@pytest.fixture(scope="module")
def in_this_process():
    """Runs of a table in the process of the test, which knows the tiny network."""

    class Pool:
        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, function, *arguments):
            found = function(*arguments)
            return types.SimpleNamespace(result=lambda: found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablate.concurrent.futures, "ProcessPoolExecutor", Pool)
        yield


@pytest.fixture(scope="module")
def made(folders, tmp_path_factory, in_this_process):
    """A table with another network beside: settings, ablation, rows and notes."""
    own = settings(folders, tmp_path_factory.mktemp("table"))
    table = strong_ablation.ablation(own, BESIDE)
    labelled = Labelled(folders["query"], folders["gallery"], NAMES)
    return own, table, labelled, *ablate.ablate(own, table, 1, labelled)


def test_its_runs(folders):
    table = strong_ablation.ablation(settings(folders, "unused"), BESIDE)
    assert [(run.folder, run.changes) for run in table.runs] == [
        ("strong", {}),
        ("supervised", {"oracle_labels": True}),
        ("beside_Tiny", BESIDE),
    ]
    assert [run.name for run in table.runs] == ["strong", ORACLE, "beside_Tiny"]
    assert table.notes == ()
    assert (ADAPTED_CAMERAS, f"Tiny/{ADAPTED_CAMERAS}") in table.compared
    assert len(strong_ablation.ablation(settings(folders, "unused"), {}).runs) == 2


def test_rows_of_folders_without_a_source(made):
    _, _, _, rows, _ = made
    titles = strong_evaluate.WITHOUT_SOURCE
    assert {key: row.title for key, row in rows.items()} == titles | {
        "supervised": ORACLE,
        f"Tiny/{SOURCE_ONLY_CAMERAS}": "Tiny: calibrated (b) camera statistics, flip",
        f"Tiny/{ADAPTED_CAMERAS}": "Tiny: self-trained (b) camera statistics, flip",
    }
    assert list(rows)[-3:] == [
        "supervised",
        f"Tiny/{SOURCE_ONLY_CAMERAS}",
        f"Tiny/{ADAPTED_CAMERAS}",
    ]
    # Those of query and gallery: eight pictures are searched for, all of which another camera has.
    assert {(r.queries, r.valid_queries) for row in rows.values() for r in row.results} == {(8, 8)}
    # One network is scored at another size than the other.
    one, other = rows[SOURCE_ONLY_CAMERAS], rows[f"Tiny/{SOURCE_ONLY_CAMERAS}"]
    assert (one.results[0].average_precision != other.results[0].average_precision).any()


def test_each_run_has_settings_of_its_own(made):
    own, *_ = made
    folder = pathlib.Path(own.run_dir, "seed_0")
    found = {
        path.name: json.loads((path / "settings.json").read_text()) for path in folder.iterdir()
    }
    changed = {
        name: {
            key: value
            for key, value in values.items()
            if value != found["strong"][key] and key != "model_dir"
        }
        for name, values in found.items()
    }
    assert changed == {
        "strong": {},
        "supervised": {"oracle_labels": True},
        "beside_Tiny": {"input_size": "32x16"},
    }


def test_minutes_are_told_of_each_run(made):
    *_, notes = made
    told = [note for note in notes if "minutes (of CPUs): start" in note]
    assert [note.partition(": minutes")[0] for note in told] == [
        "seed 0, strong",
        f"seed 0, {ORACLE}",
        "seed 0, beside_Tiny",
    ]
    assert all("calibration" in note and "round 1" in note for note in told)


def test_the_share_of_the_bound_is_that_of_the_rows(made):
    own, table, _, rows, notes = made
    start, reached, limit = (
        rows[key].results[0].mean_ap for key in (SOURCE_ONLY_CAMERAS, ADAPTED_CAMERAS, "supervised")
    )
    found = seed_rows.shares(rows, table.bound)
    assert found.of_bound == pytest.approx(reached / limit)
    assert found.of_way is None or found.of_way == pytest.approx(
        (reached - start) / (limit - start)
    )
    text = seed_rows.markdown(own, table, 1, rows, notes, "")
    assert f"Of the mAP of {ORACLE!r}" in text


def test_the_same_table_again_trains_nothing(made, monkeypatch):
    own, table, labelled, rows, _ = made

    def refuse(*_):
        raise AssertionError("this would train")

    monkeypatch.setattr(strong_train, "train", refuse)
    again, _ = ablate.ablate(own, table, 1, labelled)
    for key, row in rows.items():
        assert again[key].results[0].mean_ap == row.results[0].mean_ap


# What is left out or refused.


def test_a_target_without_labels_has_no_bound(tmp_path, folders):
    """Its rows are scored on labelled pictures all the same."""
    target = crops(tmp_path / "unlabelled", range(1, 3), 1, labelled=False)
    own = dataclasses.replace(settings(folders, "unused"), target=target, names="{camera}/{*}")
    table = strong_ablation.ablation(own, {})
    assert [run.folder for run in table.runs] == ["strong"]
    [note] = table.notes
    assert note.startswith("there is no row of the supervised bound: the target's 4 training")
    assert "0 persons" in note


def test_without_rounds_there_is_no_bound(folders):
    own = dataclasses.replace(settings(folders, "unused"), self_training_rounds=0)
    table = strong_ablation.ablation(own, {})
    assert [run.folder for run in table.runs] == ["strong"]
    assert table.notes == (
        "there is no row of the supervised bound: no round of self-training is asked for",
    )


def test_the_table_itself_is_no_oracle(folders):
    own = dataclasses.replace(settings(folders, "unused"), oracle_labels=True)
    with refused("--oracle_labels: the table has a row of a run with them"):
        strong_ablation.ablation(own, {})


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        ({"backbone": "Nowhere"}, "--beside=Nowhere: "),
        ({"backbone": "../Tiny"}, r"--beside=\.\./Tiny: "),
        ({"backbone_weights": "gone.h5"}, "--beside_weights=gone.h5: "),
        ({"backbone_weights": "no/backbone/w.h5"}, "--beside_weights=no/backbone/w.h5: "),
        ({"input_size": "wide"}, "--beside_input_size=wide: give HEIGHTxWIDTH"),
        ({"backbone": "OSNet", "backbone_weights": "imagenet"}, "pass --beside_weights=FILE"),
    ],
)
def test_a_network_beside_that_cannot_be_is_refused_before_the_first_run(folders, beside, words):
    with refused(words):
        strong_ablation.ablation(settings(folders, "unused"), BESIDE | beside)
    assert not os.path.exists("unused")
