"""The whole way of a strong run: export, serve, embed by camera; with evaluate's row (b)."""

import pathlib
import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from arn_tf import recipes
from arn_tf.data.reid_data import ReidData
from arn_tf.ranking import protocol
from arn_tf.run.folder import RunDir
from arn_tf.strong import camera_statistics
from arn_tf.strong import evaluate as strong_evaluate
from arn_tf.strong.batches import decoded
from arn_tf.strong.embedding import embed_by_camera
from serving import client
from serving.gallery import command_line
from serving.gallery.store import GalleryStore
from tests.support import small_data, small_export, small_server, small_strong

NAME = re.compile(r"(-?\d+)_c(\d)")
SPLITS = ("query", "bounding_box_test")


@pytest.fixture(scope="module")
def run(strong_run):
    return strong_run


@pytest.fixture(scope="module")
def scores(run: RunDir) -> dict[str, Any]:
    """Returns what arn_tf.evaluate finds of the run: its last row (b)."""
    found = strong_evaluate.evaluate(run, recipes.settings_of(run), rerank=False)
    return found[strong_evaluate.ADAPTED_CAMERAS].to_json()


@pytest.fixture(scope="module")
def files(run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Returns {split: the target's pictures as files}."""
    folder, layout = tmp_path_factory.mktemp("crops"), small_data.DUKE
    with zipfile.ZipFile(f"{small_strong.inputs()['manual_dir']}/{layout.archive}") as archive:
        archive.extractall(folder)
    return {
        split: sorted(map(str, (folder / layout.folder / split).glob("*.jpg"))) for split in SPLITS
    }


@pytest.fixture(scope="module")
def models(run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Returns the folder that the export command wrote."""
    folder = tmp_path_factory.mktemp("models") / "arn"
    flags = {"model_dir": run.path, "export_dir": folder}
    status, _, err = small_data.finish(
        small_data.command("arn_tf.export", **flags | small_strong.inputs())
    )
    assert status == 0, err
    return folder


@pytest.fixture(scope="module")
def address(models: pathlib.Path) -> Iterator[str]:
    with small_server.serving(models) as server:
        yield f"localhost:{server.port}"


def labels(files: Sequence[str]) -> np.ndarray:
    """Returns persons and cameras, int64 [2, N]."""
    numbers = [NAME.match(pathlib.Path(file).name).groups() for file in files]
    return np.array(numbers, np.int64).T


def ranked(vectors: Sequence[np.ndarray], files: dict[str, list[str]]) -> dict[str, Any]:
    (query, gallery), (of_query, of_gallery) = vectors, (labels(files[split]) for split in SPLITS)
    return protocol.rank_gallery(
        query, gallery, of_query[0], of_gallery[0], of_query[1], of_gallery[1]
    ).to_json()


def test_rank_1_and_map_are_those_of_row_b(address, files, scores):
    with client.EmbeddingClient(address) as asked:
        parts = [asked.embed_files(files[s], camera_id=labels(files[s])[1]) for s in SPLITS]
        plain = [asked.embed_files(files[s]).vectors for s in SPLITS]
    assert [part.unknown_cameras for part in parts] == [[], []]
    served = ranked([part.vectors for part in parts], files)
    for metric in ("rank-1", "rank-5", "mean_ap", "mean_ap_trapezoid"):
        assert round(served[metric], 4) == round(scores[metric], 4), metric
    assert 0 < scores["mean_ap"] < 1
    # It is the cameras that make it so.
    assert round(ranked(plain, files)["mean_ap"], 4) != round(scores["mean_ap"], 4)


def test_the_gallery_stores_what_evaluate_embeds(run, address, files, tmp_path, capsys):
    folder = str(tmp_path / "gallery")
    command_line.main(
        ["build", f"--server={address}", f"--gallery={folder}", *files["bounding_box_test"]]
    )
    assert "note" not in capsys.readouterr().err
    with GalleryStore(folder) as store, store.snapshot():
        stored, vectors = store.load()
    found = {picture.file: vector for picture, vector in zip(stored, vectors, strict=True)}
    settings, model = recipes.settings_of(run), run.load_model("model.keras")
    split = ReidData("duke", settings.data_dir, settings.manual_dir).split("gallery")
    expected = embed_by_camera(model, decoded(split, settings.image_size), split.camera_id)
    # The split's pictures are the files, in another order.
    order = {data: row for row, data in enumerate(split.images)}
    for file, vector in found.items():
        row = order[pathlib.Path(file).read_bytes()]
        np.testing.assert_allclose(vector, expected[row], rtol=0, atol=1e-5)


def test_a_camera_that_joins_leaves_the_gallery_good(run, models, files, tmp_path, capsys):
    """Calibrated without it, exported; then with it, exported again: one gallery, one space."""
    whole = run.load_model("model.keras")
    folders = [tmp_path / name / "arn" for name in ("before", "after")]
    for cameras, folder in zip(([1], [1, 2]), folders, strict=True):
        model = camera_statistics.with_cameras(whole, cameras)
        small_export.export_model(model, folder, small_server.PICTURES)
    found = {}
    for folder, action, note in zip(folders, ("build", "add"), (True, False), strict=True):
        with small_server.serving(folder) as server:
            crops = [file for file in files["bounding_box_test"] if "_c2" in file]
            half = len(crops) // 2
            chosen = crops[:half] if action == "build" else crops
            command_line.main(
                [
                    action,
                    f"--server=localhost:{server.port}",
                    f"--gallery={tmp_path / 'gal'}",
                    *chosen,
                ]
            )
            output = capsys.readouterr()
            assert ("no statistics of camera 2: " in output.err) is note
            with client.EmbeddingClient(f"localhost:{server.port}") as asked:
                found[action] = asked.embed_files(crops, camera_id=[2] * len(crops))
    assert f"{len(crops) - half} pictures added, {half} were there already" in output.out
    assert found["build"].space == found["add"].space
    assert (found["build"].unknown_cameras, found["add"].unknown_cameras) == ([2], [])
    assert np.abs(found["build"].vectors - found["add"].vectors).max() > 1e-3
