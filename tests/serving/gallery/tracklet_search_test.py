"""Search by tracklet: worked values, an oracle of plain loops, and what follows a change."""

import dataclasses

import numpy as np
import pytest

from datasets.own_cameras.cameras import Tracklet
from serving.errors import GalleryError
from serving.gallery import search, tracklet_search
from serving.gallery.records import Binding, Picture, Selection
from serving.gallery.store import GalleryStore


def gallery(folder, vectors, cameras, names, sources=None):
    pictures = [
        Picture(
            f"/{number:05d}.jpg",
            camera,
            b"0",
            tracklet=None if name is None else Tracklet(name, source),
        )
        for number, (camera, name, source) in enumerate(
            zip(cameras, names, sources or ["/crops"] * len(names), strict=True)
        )
    ]
    binding = Binding("00112233445566aa", "arn", 1, vectors.shape[1])
    return GalleryStore.create(str(folder), binding, pictures, vectors)


def numbers(hits):
    return [int(hit.picture.file[1:6]) for hit in hits]


def query(camera=None, tracklet=None, file="/q.jpg"):
    return file, camera, tracklet


@pytest.fixture
def worked(tmp_path):
    """Three pictures of t1, one of them also named so by another camera, and one of none."""
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8], [0.8, -0.6], [-1, 0]], np.float32)
    return gallery(tmp_path / "gal", vectors, list("11211"), ["t1", "t1", "t1", None, "t2"])


QUERY = np.array([[1, 0]], np.float32)


def test_worked_values(worked):
    """The mean of (1, 0) and (0, 1), of unit length, is at 45 degrees to the query."""
    [result] = tracklet_search.search(worked, QUERY, [query("9")], 10)
    found = [(hit.name, hit.camera, hit.count, numbers(hit.best)) for hit in result.hits]
    assert found == [
        (None, "1", 1, [3]),
        ("t1", "1", 2, [0, 1]),
        ("t1", "2", 1, [2]),
        ("t2", "1", 1, [4]),
    ]
    np.testing.assert_allclose(
        [hit.score for hit in result.hits], [0.8, np.sqrt(0.5), 0.6, -1], atol=1e-6
    )
    np.testing.assert_allclose([hit.score for hit in result.hits[1].best], [1, 0], atol=1e-6)
    assert (result.files, result.camera, result.name) == (["/q.jpg"], "9", None)


def test_a_removed_picture_leaves_the_mean_and_an_added_one_joins_it(worked):
    worked.remove(Selection(files=("/00000.jpg",)))
    [result] = tracklet_search.search(worked, QUERY, [query()], 10)
    scores = {(hit.name, hit.camera): (hit.score, hit.count) for hit in result.hits}
    assert scores["t1", "1"] == (pytest.approx(0), 1)
    new = Picture("/00009.jpg", "1", b"9", tracklet=Tracklet("t1", "/crops"))
    worked.add([new], np.array([[0.8, 0.6]], np.float32))
    [result] = tracklet_search.search(worked, QUERY, [query()], 10)
    scores = {(hit.name, hit.camera): (hit.score, hit.count) for hit in result.hits}
    # (0, 1) and (0.8, 0.6): (0.8, 1.6) of length 1.7889
    assert scores["t1", "1"] == (pytest.approx(0.8 / np.hypot(0.8, 1.6)), 2)


def test_query_pictures_of_one_tracklet_are_one_query(worked):
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    own = Tracklet("q1", "/queries")
    queries = [query("1", own, "/a"), query("2", own, "/b"), query("1", own, "/c")]
    first, second = tracklet_search.search(worked, vectors, queries, 1)
    assert (first.files, first.camera, first.name) == (["/a", "/c"], "1", "q1")
    assert (second.files, second.camera, second.name) == (["/b"], "2", "q1")
    assert (first.hits[0].name, first.hits[0].count) == ("t1", 2)
    assert first.hits[0].score == pytest.approx(1)  # both at 45 degrees
    assert numbers(second.hits[0].best) == [2]


def test_the_same_name_from_another_folder_is_another_tracklet(tmp_path):
    vectors = np.array([[1, 0], [0, 1]], np.float32)
    store = gallery(tmp_path / "gal", vectors, "11", ["t1", "t1"], ["/monday", "/tuesday"])
    [result] = tracklet_search.search(store, QUERY, [query()], 5)
    assert [(hit.name, hit.count) for hit in result.hits] == [("t1", 1), ("t1", 1)]
    assert store.tracklets() == (2, 2)


def test_embeddings_that_cancel_out_are_like_nothing(tmp_path):
    vectors = np.array([[1, 0], [-1, 0]], np.float32)
    store = gallery(tmp_path / "gal", vectors, "11", ["t1", "t1"])
    [result] = tracklet_search.search(store, QUERY, [query()], 5)
    assert [hit.score for hit in result.hits] == [0]


def unit_vectors(count, dim, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def oracle(vectors, keys, passes, query):
    """[(score, rows)] by loops, in float64."""
    groups = {}
    for row, key in enumerate(keys):
        if passes[row]:
            groups.setdefault(key if key[0] else row, []).append(row)
    found = []
    for rows in groups.values():
        mean = np.mean([vectors[row].astype(np.float64) for row in rows], axis=0)
        score = mean @ query / np.linalg.norm(mean)
        best = sorted(rows, key=lambda row: -(vectors[row].astype(np.float64) @ query))
        found.append((score, len(rows), best[:4]))
    return sorted(found, key=lambda each: -each[0])


@pytest.mark.parametrize("rows", [3, 64, 4096])
def test_agrees_with_loops(tmp_path, monkeypatch, rows):
    """Also where the rows of a tracklet are copied in several parts."""
    monkeypatch.setattr(tracklet_search, "_ROWS", rows)
    random = np.random.default_rng(5)
    vectors, wanted = unit_vectors(600, 24), unit_vectors(6, 24, seed=1)
    cameras = random.choice(["a", "b", "c", "d", None], 600).tolist()
    names = random.choice([*(f"t{n}" for n in range(20)), None], 600).tolist()
    store = gallery(tmp_path / "gal", vectors, cameras, names)
    store.remove(Selection(patterns=("/0000?.jpg",)))
    own = ["a", "b", "z", "a", None, "c"]
    queries = [query(camera, file=f"/{row}") for row, camera in enumerate(own)]
    results = tracklet_search.search(
        store, wanted, queries, 15, Selection(cameras=("a", "b", "c")), True
    )
    for row, result in enumerate(results):
        passes = [
            number >= 10 and camera in ("a", "b", "c") and camera != own[row]
            for number, camera in enumerate(cameras)
        ]
        expected = oracle(vectors, list(zip(names, cameras, strict=True)), passes, wanted[row])
        expected = expected[:15]
        assert [(hit.count, numbers(hit.best)) for hit in result.hits] == [
            each[1:] for each in expected
        ]
        np.testing.assert_allclose(
            [hit.score for hit in result.hits], [each[0] for each in expected], atol=1e-6
        )


def test_tracklets_of_one_picture_rank_as_pictures_do(tmp_path):
    vectors, wanted = unit_vectors(200, 16), unit_vectors(4, 16, seed=1)
    names = [f"t{row}" if row % 2 else None for row in range(200)]
    store = gallery(tmp_path / "gal", vectors, ["1"] * 200, names)
    pictures = search.exact(store, wanted, 20)
    results = tracklet_search.search(store, wanted, [query(file=f"/{n}") for n in range(4)], 20)
    for hits, result in zip(pictures, results, strict=True):
        assert numbers(hits) == [numbers(hit.best)[0] for hit in result.hits]
        np.testing.assert_allclose(
            [hit.score for hit in hits], [hit.score for hit in result.hits], atol=1e-6
        )


def test_no_filter_passes_and_no_tracklets(tmp_path, worked):
    [result] = tracklet_search.search(
        worked, QUERY, [query("1")], 3, Selection(cameras=("1",)), True
    )
    assert result.hits == []
    store = gallery(tmp_path / "other", QUERY, "1", [None])
    with pytest.raises(GalleryError, match=r"holds no tracklets\. Give add .*Or leave `by` out"):
        tracklet_search.check(store)
    tracklet_search.check(worked)


def test_the_store_keeps_a_tracklet_that_is_not_told_again(worked):
    [old] = worked.pictures(Selection(files=("/00000.jpg",)))
    assert old.tracklet == Tracklet("t1", "/crops")
    untold = dataclasses.replace(old, tracklet=None)
    worked.add([untold], QUERY)  # the same content, embedded anew
    [again] = worked.pictures(Selection(files=("/00000.jpg",)))
    assert again.tracklet == old.tracklet
    worked.move([(again, dataclasses.replace(untold, file="/moved.jpg"))])
    [moved] = worked.pictures(Selection(files=("/moved.jpg",)))
    assert moved.tracklet == old.tracklet
    # Another picture under the name has a tracklet of its own, or none.
    worked.add([dataclasses.replace(untold, file="/moved.jpg", content_hash=b"1")], QUERY)
    [other] = worked.pictures(Selection(files=("/moved.jpg",)))
    assert other.tracklet is None
