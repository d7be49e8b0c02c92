"""The one search for pictures."""

import os

import pytest

from datasets.files import walk
from tests.support.places import SHARED

CASE = SHARED / "cases" / "hidden_folders"


@pytest.mark.skipif(not CASE.exists(), reason="needs shared/cases")
def test_thumbnails_of_a_nas_and_checkpoints_of_a_notebook_are_passed_over():
    found = walk.pictures(str(CASE))
    assert [os.path.basename(file) for file in found.files] == [
        "0001_c1s1_000001_00.jpg",
        "0001_c2s1_000001_00.jpg",
        "0002_c1s1_000002_00.jpg",
        "0002_c2s1_000002_00.jpg",
    ]
    assert found.litter == {"@eaDir": 1, ".ipynb_checkpoints": 1}
