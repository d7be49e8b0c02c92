"""The whole way a user goes: export, serve, embed, search; with the scores of arn_tf.evaluate."""

import pathlib
import re
import zipfile

import numpy as np
import pytest

from arn_tf import recipes
from arn_tf.paper import evaluate
from arn_tf.ranking import protocol
from serving import client
from serving.gallery import command_line
from serving.gallery.search import exact
from serving.gallery.store import GalleryStore
from tests.support import small_data, small_server

NAME = re.compile(r"(-?\d+)_c(\d)")


@pytest.fixture(scope="module")
def scores(paper_run):
    """What arn_tf.evaluate says of the run."""
    found = evaluate.evaluate(paper_run, recipes.settings_of(paper_run))
    return found[evaluate.ADAPTED].to_json()


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """The target's pictures as files."""
    folder = tmp_path_factory.mktemp("crops")
    small_data.inputs()
    layout = small_data.DUKE
    with zipfile.ZipFile(small_data.folder() / "manual" / layout.archive) as archive:
        archive.extractall(folder)
    return folder / layout.folder


@pytest.fixture(scope="module")
def address(paper_run, tmp_path_factory):
    """A server of what the export command wrote."""
    models = tmp_path_factory.mktemp("models")
    flags = {"model_dir": paper_run.path, "export_dir": models / "arn"}
    status, _, err = small_data.finish(
        small_data.command("arn_tf.export", **flags | small_data.inputs())
    )
    assert status == 0, err
    with small_server.serving(models / "arn") as server:
        yield f"localhost:{server.port}"


@pytest.fixture(scope="module")
def embeddings(address, crops):
    """{split: (embeddings, person_id, camera_id)} through the served path."""
    found = {}
    with client.EmbeddingClient(address) as asked:
        for split in ("query", "bounding_box_test"):
            files = sorted(map(str, (crops / split).glob("*.jpg")))
            found[split] = (asked.embed_files(files).vectors, *labels(files))
    return found


def labels(files):
    numbers = [NAME.match(pathlib.Path(file).name).groups() for file in files]
    return np.array(numbers, np.int64).T


def test_rank_1_and_map_are_those_of_evaluate(embeddings, scores):
    query, gallery_ = embeddings["query"], embeddings["bounding_box_test"]
    served = protocol.rank_gallery(
        query[0], gallery_[0], query[1], gallery_[1], query[2], gallery_[2]
    ).to_json()
    for metric in ("rank-1", "rank-5", "mean_ap", "mean_ap_trapezoid"):
        assert round(served[metric], 4) == round(scores[metric], 4), metric
    assert 0 < scores["mean_ap"] < 1


def test_the_gallery_finds_the_same_person_first_as_often(
    address, crops, embeddings, scores, tmp_path
):
    folder = str(tmp_path / "gallery")
    command_line.main(
        ["build", f"--server={address}", f"--gallery={folder}", str(crops / "bounding_box_test")]
    )
    vectors, persons, cameras = embeddings["query"]
    with GalleryStore(folder) as store:
        found = exact(store, vectors, top=len(embeddings["bounding_box_test"][1]))
    right = []
    for hits, person, camera in zip(found, persons, cameras, strict=True):
        people, seen_by = labels([hit.picture.file for hit in hits])
        same_scene = (people == person) & (seen_by == camera)
        right.append(people[~same_scene][0] == person)
        # The camera in the gallery is that of the name.
        assert [hit.picture.camera for hit in hits] == list(map(str, seen_by))
    assert np.mean(right) == pytest.approx(scores["rank-1"], abs=1e-4)
