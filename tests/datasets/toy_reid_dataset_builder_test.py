"""Tests of datasets/toy_reid; only a few pictures are drawn."""

import collections
import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
from unittest import mock

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from datasets.toy_reid import camera, roster, toy_reid_dataset_builder
from datasets.toy_reid.network import NETWORKS

CONFIGS = tuple(NETWORKS)
SPLITS = ("train", "query", "gallery")


def ids(config: str, split: str) -> set[int]:
    return {seen.person_id for seen in roster.sightings(config, split)}


def pixels(config: str, number: int, camera_id: int, shot: int) -> np.ndarray:
    picture = Image.open(io.BytesIO(camera.take(config, number, camera_id, shot)))
    return np.asarray(picture, np.float32)


class BuilderTest(tfds.testing.DatasetBuilderTestCase):
    """The conventions of TFDS, on a few persons instead of 150."""

    DATASET_CLASS = toy_reid_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = list(CONFIGS)  # noqa: RUF012
    SPLITS = {"train": 24, "query": 4, "gallery": 16 + 4}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.EXAMPLE_DIR = folder.name  # Nothing to download: no dummy data.
        few = mock.patch.multiple(roster, TRAIN_PERSONS=3, TEST_PERSONS=2, STRANGERS=2, JUNK=2)
        few.start()
        cls.addClassCleanup(few.stop)
        super().setUpClass()


def test_counts():
    for config in CONFIGS:
        counts = [len(list(roster.sightings(config, split))) for split in SPLITS]
        assert counts == [800, 100, 460]


def test_identities_of_train_and_test_are_disjoint():
    for config in CONFIGS:
        train, query, gallery = (ids(config, split) for split in SPLITS)
        assert len(train) == roster.TRAIN_PERSONS
        assert len(query) == roster.TEST_PERSONS
        assert not train & (query | gallery)
        assert query < gallery


def test_cameras_and_file_names():
    styles = {
        "market": r"(-1|\d{4})_c[1-6]s\d_\d{6}_\d{2}\.jpg",
        "duke": r"\d{4}_c[1-8]_f\d{7}\.jpg",
    }
    for config, network in NETWORKS.items():
        rows = [seen for split in SPLITS for seen in roster.sightings(config, split)]
        assert {seen.camera for seen in rows} == set(range(1, len(network.cameras) + 1))
        assert len({seen.file_name for seen in rows}) == len(rows)
        assert len({(seen.number, seen.camera, seen.shot) for seen in rows}) == len(rows)
        for seen in rows:
            assert re.fullmatch(styles[config], seen.file_name)
            label, where = seen.file_name.split("_")[:2]
            assert (int(label), int(where[1])) == (seen.person_id, seen.camera)


def test_every_query_has_a_match_by_the_same_and_by_another_camera():
    for config in CONFIGS:
        where = collections.defaultdict(set)
        for seen in roster.sightings(config, "gallery"):
            where[seen.person_id].add(seen.camera)
        queries = [(seen.person_id, seen.camera) for seen in roster.sightings(config, "query")]
        assert len(set(queries)) == len(queries)
        for person_id, camera_id in queries:
            assert camera_id in where[person_id]
            assert where[person_id] - {camera_id}


def test_gallery_has_pictures_that_match_no_query():
    labels = collections.Counter(seen.person_id for seen in roster.sightings("market", "gallery"))
    assert labels[roster.DISTRACTOR_ID] == 40
    assert labels[roster.JUNK_ID] == 20
    crops = {seen.crop for seen in roster.sightings("market", "gallery")}
    assert crops == {"good", "bad", "empty"}
    strangers = ids("duke", "gallery") - ids("duke", "query")
    assert len(strangers) == 30
    assert min(strangers) > 0


@pytest.mark.parametrize("config", CONFIGS)
def test_pictures_are_the_same_in_another_process(config):
    shots = [(7, 1, 0, "good"), (7, 2, 1, "bad"), (160, 5, 0, "empty")]
    here = [hashlib.sha256(camera.take(config, *shot)).hexdigest() for shot in shots]
    script = (
        "import hashlib; from datasets.toy_reid import camera\n"
        f"for s in {shots}: print(hashlib.sha256(camera.take({config!r}, *s)).hexdigest())"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    there = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=env, check=False
    )
    assert there.stdout.split() == here, there.stderr
    assert len(set(here)) == len(shots)


def test_pictures_are_128_by_64():
    assert pixels("market", 3, 1, 0).shape == (128, 64, 3)


def test_persons_differ():
    for config in CONFIGS:
        persons = [camera.person(config, number) for number in range(1, 151)]
        assert len(set(persons)) == len(persons)
        # But not by colour alone: several wear the same kind of clothes.
        kinds = collections.Counter((p.top, p.bottom, p.pattern) for p in persons)
        assert max(kinds.values()) > 3


def test_networks_and_cameras_differ():
    mean = {
        config: np.stack(
            [
                np.mean([pixels(config, number, c, 0) for number in range(1, 13)], axis=(0, 1, 2))
                for c in range(1, len(network.cameras) + 1)
            ]
        )
        for config, network in NETWORKS.items()
    }
    red_over_blue = {config: (rgb[:, 0] / rgb[:, 2]).mean() for config, rgb in mean.items()}
    assert red_over_blue["market"] > 1.1 * red_over_blue["duke"]
    for rgb in mean.values():
        assert np.ptp(rgb.mean(axis=1)) > 15  # Light; of 255.
        assert np.ptp(rgb[:, 0] / rgb[:, 2]) > 0.15  # Colour cast.
