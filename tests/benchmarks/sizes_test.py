"""The benchmarks of ranking at size: their flags, and one whole run on a small gallery."""

import argparse
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import dense_reranking, gallery_size, plain_ranking, report, sharded_gallery
from tests.support.places import ROOT


@pytest.mark.parametrize("text", ["", "0", "-5", "1e5", "10,", "10;20", "99999999999"])
def test_sizes_that_are_none(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"is no whole number from 1|is more than"):
        gallery_size._counts(text)


def test_shards_hold_what_was_written(tmp_path):
    sharded_gallery.write(str(tmp_path), 7, 5000)
    shards = sharded_gallery.Shards(str(tmp_path))
    embeddings, person, camera = shards.gallery()
    assert embeddings.shape == (5000, 256) and len(shards.query()[0]) == 7
    parts = list(shards)
    assert [len(part[0]) for part in parts] == [4096, 904]
    for number, whole in enumerate((embeddings, person, camera)):
        np.testing.assert_array_equal(whole, np.concatenate([part[number] for part in parts]))


def test_a_run_is_kept_as_a_report(tmp_path):
    path = tmp_path / "sizes.json"
    line = [sys.executable, "-m", "benchmarks.gallery_size", "--method=ranking"]
    line += ["--pictures=300,5000", "--queries=20", f"--json={path}"]
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True)
    found, _, _ = report.read(path)
    assert found.columns == [
        "gallery pictures",
        "product, CPU s",
        "ranking, CPU s",
        "ratio",
        "peak MiB",
        "above imports MiB",
    ]
    assert [row[0] for row in found.rows] == [300, 5000]
    assert [target.wanted for target in found.targets] == [5722, 1.5]


def test_plain_implementations_by_hand():
    angle = np.arange(4) / 10
    gallery = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    scores = plain_ranking.rank(
        query_embeddings=np.array([[1.0, 0.0]]),
        gallery_embeddings=gallery,
        query_person_id=np.array([1]),
        gallery_person_id=np.array([2, 1, 2, 1]),
        query_camera_id=np.array([1]),
        gallery_camera_id=np.array([2, 2, 2, 2]),
    )
    assert scores["mean_ap"] == pytest.approx(0.5) and scores["first_match_rank"] == [2]
    embeddings = np.concatenate([gallery, gallery[::-1] * 5]).astype(np.float32)
    assert dense_reranking.rerank(embeddings, 2, 3, 2, 0.3).shape == (2, 6)
