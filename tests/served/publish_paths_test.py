"""An export is written into a folder of any name."""

import json
import os

import pytest

from arn_tf.served import publish
from tests.support import small_export
from tests.support.odd_names import NAMES
from tests.support.small_export import PICTURES
from tests.support.user_errors import refused


@pytest.fixture(scope="module")
def model():
    return small_export.model()


@pytest.mark.parametrize("name", NAMES)
def test_an_export_below_a_folder_of_any_name(model, tmp_path, name):
    folder, sidecar = small_export.export_model(model, tmp_path / name / "arn", PICTURES)
    assert folder == str(tmp_path / name / "arn" / "1")
    assert sidecar["weights_bytes"] > 0
    with open(os.path.join(folder, publish.SIDECAR)) as file:
        assert json.load(file) == sidecar
    assert sorted(os.listdir(tmp_path / name / "arn")) == [".last_version", "1"]


@pytest.mark.parametrize("name", ["arn[1]", "a\\rn"])
def test_a_model_of_such_a_name(model, tmp_path, name):
    assert small_export.export_model(model, tmp_path / name, PICTURES)[0].endswith("1")


def test_other_folders_that_a_name_would_match_are_left_alone(model, tmp_path):
    """Under arn* TensorFlow would read the weights of arn1 too."""
    small_export.export_model(small_export.model(seed=1), tmp_path / "arn1", PICTURES)
    small_export.export_model(model, tmp_path / "arn*", PICTURES)


def test_a_name_that_no_request_can_have(model, tmp_path):
    with refused(r"^--export_dir=.*served under, and must be UTF-8"):
        small_export.export_model(model, tmp_path / os.fsdecode(b"\xff"), PICTURES)
    assert os.listdir(tmp_path) == []


def test_an_address_is_no_folder_of_this_machine(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with refused(r"^--export_dir=gs://bucket/arn: name a folder of this machine"):
        small_export.export_model(model, "gs://bucket/arn", PICTURES)
    assert os.listdir(tmp_path) == []
