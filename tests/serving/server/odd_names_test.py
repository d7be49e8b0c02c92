"""A model is served from a folder of any name."""

import os
import shutil

import pytest

from serving.errors import BadInputError
from serving.server.version_watcher import Versions
from tests.support import small_server
from tests.support.odd_names import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_versions_below_a_folder_of_any_name(tmp_path, name):
    model_dir = tmp_path / name / "arn"
    shutil.copytree(small_server.models() / "arn" / "1", model_dir / "1")
    versions = Versions(model_dir)
    assert versions.current.version == 1
    shutil.copytree(model_dir / "1", model_dir / "2")
    versions.poll()
    assert versions.current.version == 2


def test_a_server_answers_under_such_a_name(tmp_path):
    shutil.copytree(small_server.models() / "arn" / "1", tmp_path / "arn[1]" / "1")
    with small_server.serving(tmp_path / "arn[1]") as server:
        assert server.model_name == "arn[1]"


def test_a_name_that_no_request_can_have(tmp_path):
    model_dir = tmp_path / os.fsdecode(b"\xff")
    shutil.copytree(small_server.models() / "arn" / "1", model_dir / "1")
    with pytest.raises(BadInputError, match="must be UTF-8; give one with `model_name`"):
        small_server.Server(model_dir, port=0)
    with small_server.serving(model_dir, model_name="arn") as server:
        assert server.model_name == "arn"
