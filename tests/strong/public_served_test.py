"""A public OSNet without training: exported, served and asked by the names of cameras.

The digits are those of arn_tf.evaluate.
"""

import pathlib

import numpy as np
import pytest

from arn_tf import export, recipes
from arn_tf.ranking import protocol, results
from arn_tf.run.labelled import Labelled
from arn_tf.served import publish
from arn_tf.strong import evaluate as strong_evaluate
from arn_tf.strong.evaluate import SOURCE_ONLY, SOURCE_ONLY_CAMERAS
from datasets import camera_names
from serving.client import command_line
from tests.support import own_pictures, small_data, small_osnets, small_server, small_strong

NETWORK = "OSNetAIN_x0_25"
NAMES = "{camera}/{person_id}_{*}"
CAMERAS = ("entrance", "car park")
SPLITS = ("query", "gallery")


def crops(folder: pathlib.Path, persons: range, shots: int) -> str:
    """Writes pictures as CAMERA/PERSON_SHOT.jpg; returns the folder."""
    files = {
        f"{name}/{person}_{shot}.jpg": small_data.picture(person, camera, shot, (64, 32))
        for camera, name in enumerate(CAMERAS, start=1)
        for person in persons
        for shot in range(shots)
    }
    return own_pictures.write(folder, files)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Labelled:
    root = tmp_path_factory.mktemp("labelled")
    query, gallery = (
        crops(root / split, range(101, 113), shots)
        for split, shots in zip(SPLITS, (1, 3), strict=True)
    )
    return Labelled(query, gallery, NAMES)


@pytest.fixture(scope="module")
def evaluated(labelled, tmp_path_factory):
    """What arn_tf.evaluate finds, and the folder of the export; the network is traced once each.

    Enough pictures of each camera for statistics of their own.
    """
    root = tmp_path_factory.mktemp("public")
    settings = small_strong.settings(
        root / "run",
        source="none",
        target=crops(root / "target", range(1, 17), 4),
        names=NAMES,
        backbone="OSNetAIN",
        backbone_weights=small_osnets.saved(root / "ain.pth", NETWORK),
        input_size="64x32",
        self_training_rounds=0,
    )
    run, _ = small_strong.trained(settings)
    found = strong_evaluate.evaluate(run, settings, rerank=False, labelled=labelled)
    model = recipes.recipe_of(settings).served_model(run.load_model("model.keras"), None)
    folder = root / "models" / "arn"
    publish.export(model, folder, export._pictures(run, settings, 2)[0], {})
    return found, folder


@pytest.fixture(scope="module")
def files_of_client(evaluated, labelled, tmp_path_factory):
    """{split: what the client's command wrote}, told the cameras by --names."""
    _, folder = evaluated
    root, found = tmp_path_factory.mktemp("vectors"), {}
    with small_server.serving(folder) as server:
        for split in SPLITS:
            output = root / f"{split}.npz"
            command_line.main(
                [
                    "embed",
                    f"--server=localhost:{server.port}",
                    f"--names={NAMES}",
                    f"--output={output}",
                    getattr(labelled, split),
                ]
            )
            with np.load(output) as file:
                found[split] = dict(file)
    return found


def test_the_names_of_cameras_have_statistics_of_their_own(evaluated):
    found, _ = evaluated
    assert not [note for note in found.notes if "statistics of the whole target" in note]
    assert len(found.kept.query) == 24 and len(found.kept.gallery) == 72
    known = {camera_names.number_of(name) for name in CAMERAS}
    assert {*found.kept.gallery.camera_id.tolist()} == known


def test_each_picture_has_the_embedding_that_was_scored(evaluated, files_of_client):
    kept = evaluated[0].kept
    for split, pictures, expected in (
        ("query", kept.query, kept.query_embeddings),
        ("gallery", kept.gallery, kept.gallery_embeddings),
    ):
        served = files_of_client[split]
        rows = {name: row for row, name in enumerate(pictures.file_name)}
        order = [rows["/".join(pathlib.Path(file).parts[-2:])] for file in served["files"]]
        assert sorted(order) == list(range(len(pictures)))
        np.testing.assert_allclose(served["embeddings"], expected[order], rtol=0, atol=1e-5)


def ranked(files_of_client) -> results.RankingResult:
    """Scores what the client wrote by the names of files alone."""
    vectors, persons, cameras = [], [], []
    for split in SPLITS:
        served = files_of_client[split]
        paths = [pathlib.Path(file) for file in served["files"]]
        vectors.append(served["embeddings"])
        persons.append(np.array([int(path.name.partition("_")[0]) for path in paths]))
        cameras.append(np.array([CAMERAS.index(path.parent.name) for path in paths]))
    return protocol.rank_gallery(*vectors, *persons, *cameras)


def test_map_and_ranks_are_those_of_evaluate(evaluated, files_of_client):
    found = evaluated[0]
    served, expected = (
        each.to_json() for each in (ranked(files_of_client), found[SOURCE_ONLY_CAMERAS])
    )
    for metric in ("rank-1", "rank-5", "mean_ap", "mean_ap_trapezoid"):
        assert round(served[metric], 4) == round(expected[metric], 4), metric
    assert 0 < expected["mean_ap"] < 1
    # It is the cameras that make it so.
    assert round(found[SOURCE_ONLY].mean_ap, 4) != round(expected["mean_ap"], 4)
