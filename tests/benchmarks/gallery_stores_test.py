"""What the galleries of a benchmark are filled with, and what their table says."""

import numpy as np
import pytest

from datasets.embedding_shards.read import EmbeddingShards, vectors
from serving.gallery.store import GalleryStore

gallery_stores = pytest.importorskip("benchmarks.gallery_stores")


def test_the_job_is_whole_and_queries_are_of_its_persons(tmp_path):
    queries = gallery_stores.write(str(tmp_path), 5000)
    batches = list(EmbeddingShards(tmp_path).batches(["camera", "time", "embedding"]))
    gallery = np.concatenate([vectors(batch) for batch in batches])
    times = np.concatenate([batch.column("time").to_numpy() for batch in batches])
    assert gallery.shape == (5000, 256) and queries.shape == (256, 256)
    for each in (gallery, queries):
        np.testing.assert_allclose(np.linalg.norm(each, axis=1), 1, atol=1e-6)
    # Times are spread over a day, so that an hour holds a 24th of them.
    assert np.mean((times >= 36000) & (times < 39600)) == pytest.approx(1 / 24, abs=0.01)
    # Drawn pictures of one person are nearer than 10 of others.
    assert np.median(np.sort(queries @ gallery.T)[:, -1]) > 0.4


def test_a_filter_is_searched_exactly_in_a_folder(tmp_path):
    (tmp_path / "shards").mkdir()
    queries = gallery_stores.write(str(tmp_path / "shards"), 600)
    cpu, peak = gallery_stores.fill(str(tmp_path / "gal"), str(tmp_path / "shards"))
    assert cpu > 0 and peak > 20 and gallery_stores.size(tmp_path / "gal") > 600 * 1024 / 2**20
    with GalleryStore(str(tmp_path / "gal")) as store:
        for name, selection in gallery_stores.FILTERS.items():
            recall, near, exact = gallery_stores.searched(store, queries, selection)
            assert recall > 0.9 if name == "no filter" else (recall, near) == (1, exact)
