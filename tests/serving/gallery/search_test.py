"""Exact search against worked values and an oracle; the approximate index and its bounds."""

import json

import numpy as np
import pytest

from serving.errors import GalleryError
from serving.gallery import approximate_search, graph, search
from serving.gallery.records import Binding, Picture, Selection
from serving.gallery.store import GalleryStore


def unit_vectors(count, dim, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def gallery(folder, vectors, cameras):
    pictures = [
        Picture(f"/{number:05d}.jpg", camera, b"0") for number, camera in enumerate(cameras)
    ]
    binding = Binding("00112233445566aa", "arn", 1, vectors.shape[1])
    return GalleryStore.create(str(folder), binding, pictures, vectors)


def files(hits):
    return [int(hit.picture.file[1:6]) for hit in hits]


@pytest.fixture
def worked(tmp_path):
    """Cosines with (1, 0): 0.6, 1, 0.8, -1, 0.8."""
    vectors = np.array([[0.6, 0.8], [1, 0], [0.8, 0.6], [-1, 0], [0.8, -0.6]], np.float32)
    return gallery(tmp_path / "gal", vectors, ["1", "2", "1", None, "3"])


QUERY = np.array([[1, 0]], np.float32)


def test_worked_values(worked):
    (hits,) = search.exact(worked, QUERY, 10)
    assert files(hits) == [1, 2, 4, 0, 3]  # 2 and 4 are equal: by row
    np.testing.assert_allclose([hit.score for hit in hits], [1, 0.8, 0.8, 0.6, -1], atol=1e-6)
    assert hits[0].picture.camera == "2"
    assert files(search.exact(worked, QUERY, 2)[0]) == [1, 2]


def test_worked_filters(worked):
    assert files(search.exact(worked, QUERY, 10, Selection(cameras=("1", "3")))[0]) == [2, 4, 0]
    queries = np.concatenate([QUERY, -QUERY, QUERY, QUERY])
    hits = search.exact(worked, queries, 2, other_than_cameras=["2", "1", "2", "9"])
    assert [files(each) for each in hits] == [[2, 4], [3, 4], [2, 4], [1, 2]]
    hits = search.exact(worked, queries[:2], 5, Selection(cameras=("1",)), ["1", "2"])
    assert [files(each) for each in hits] == [[], [0, 2]]


@pytest.mark.parametrize("queries", [1, 7, 40])
def test_filters_agree_with_a_sort_of_everything(tmp_path, queries):
    random = np.random.default_rng(queries)
    vectors, wanted = unit_vectors(700, 24), unit_vectors(queries, 24, seed=1)
    cameras = random.choice(["a", "b", "c", "d", None], 700).tolist()
    own = random.choice(["a", "b", "z"], queries).tolist()
    store = gallery(tmp_path / "gal", vectors, cameras)
    store.remove(Selection(patterns=("/0000?.jpg",)))
    hits = search.exact(store, wanted, 15, Selection(cameras=("a", "b", "c")), own)
    scores = wanted.astype(np.float64) @ vectors.T.astype(np.float64)
    for query in range(queries):
        passing = [
            row
            for row in np.argsort(-scores[query]).tolist()
            if cameras[row] in ("a", "b", "c") and cameras[row] != own[query] and row >= 10
        ]
        assert files(hits[query]) == passing[:15]
        found = [hit.score for hit in hits[query]]
        np.testing.assert_allclose(found, scores[query, passing[:15]], atol=1e-6)


def test_an_empty_gallery_gives_empty_lists(worked):
    worked.remove(Selection())
    assert search.exact(worked, QUERY, 3) == [[]]
    with pytest.raises(GalleryError, match="is empty; add pictures first"):
        approximate_search.search(worked, QUERY, 3, print)


@pytest.fixture
def large(tmp_path):
    """2000 pictures, in groups of near ones."""
    centres = np.repeat(unit_vectors(100, 32, seed=3), 20, axis=0)
    vectors = centres + 0.3 * unit_vectors(2000, 32, seed=4)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return gallery(tmp_path / "gal", vectors, ["1", "2"] * 1000), vectors


class Progress(list):
    """Lines of progress."""

    def __call__(self, line):
        self.append(line)

    def builds(self):
        count = sum("building" in line for line in self)
        self.clear()
        return count


def test_the_index_is_built_once_kept_and_as_good_as_it_says(large, tmp_path):
    store, vectors = large
    progress = Progress()
    hits, quality = approximate_search.search(store, vectors[:50], 10, progress)
    assert progress.builds() == 1
    again, quality_again = approximate_search.search(store, vectors[:50], 10, progress)
    assert progress.builds() == 0
    assert (again, quality_again) == (hits, quality)
    assert approximate_search.quality(store) == quality
    exact = search.exact(store, vectors[:50], 10)
    shared = [len(set(files(a)) & set(files(b))) for a, b in zip(hits, exact, strict=True)]
    assert np.mean(shared) / 10 > 0.95 and quality.recall > 0.95
    assert (quality.top, quality.queries) == (10, 256)
    for found in hits:
        scores = [hit.score for hit in found]
        assert scores == sorted(scores, reverse=True)
        assert np.isclose(scores[0], 1) and len(found) == 10


@pytest.mark.parametrize("change", ["add", "remove"])
def test_a_change_removes_the_index_and_the_next_search_builds_another(large, tmp_path, change):
    store, vectors = large
    progress = Progress()
    approximate_search.search(store, vectors[:1], 3, progress)
    folder = tmp_path / "gal"
    assert {path.name for path in folder.iterdir()} > {"approximate.faiss", "approximate.json"}
    if change == "add":
        store.add([Picture("/99999.jpg", None, b"0")], -vectors[:1])
    else:
        store.remove(Selection(files=("/00000.jpg",)))
    assert [path.name for path in folder.iterdir()] == ["gallery.sqlite"]
    assert approximate_search.quality(store) is None
    progress.clear()
    queries = np.concatenate([vectors[:1], -vectors[:1]])
    hits, _ = approximate_search.search(store, queries, 1, progress)
    assert progress.builds() == 1
    assert (99999 in files(hits[1])) == (change == "add")
    assert (0 in files(hits[0])) == (change == "add")


def test_an_index_of_another_revision_is_not_used(large, tmp_path):
    store, vectors = large
    progress = Progress()
    approximate_search.search(store, vectors[:1], 3, progress)
    saved = {p: p.read_bytes() for p in (tmp_path / "gal").glob("approximate.*")}
    store.remove(Selection(files=("/00000.jpg",)))
    for path, data in saved.items():
        path.write_bytes(data)  # as a backup restored over the folder would
    progress.clear()
    assert approximate_search.quality(store) is None
    hits, _ = approximate_search.search(store, vectors[:1], 3, progress)
    assert progress.builds() == 1 and 0 not in files(hits[0])


def spoil_index(folder):
    data = bytearray((folder / "approximate.faiss").read_bytes())
    data[-100] ^= 1  # among the embeddings: faiss itself sees nothing
    (folder / "approximate.faiss").write_bytes(data)


def truncate_index(folder):
    (folder / "approximate.faiss").write_bytes(b"IHNf")


def lose_index(folder):
    (folder / "approximate.faiss").unlink()


def spoil_note(folder):
    (folder / "approximate.json").write_text("[1")


def empty_note(folder):
    (folder / "approximate.json").write_text("{}")


@pytest.mark.parametrize("spoil", [spoil_index, truncate_index, lose_index, spoil_note, empty_note])
def test_a_damaged_index_is_built_again(large, tmp_path, spoil):
    store, vectors = large
    progress = Progress()
    hits, _ = approximate_search.search(store, vectors[:3], 5, progress)
    spoil(tmp_path / "gal")
    progress.clear()
    assert approximate_search.search(store, vectors[:3], 5, progress)[0] == hits
    assert progress.builds() == 1
    json.loads((tmp_path / "gal" / "approximate.json").read_text())


def test_an_index_built_while_a_picture_is_erased_is_not_written(large, tmp_path, monkeypatch):
    store, vectors = large
    built = graph.built

    def erase_meanwhile(rows):
        with GalleryStore(store.folder) as other:
            other.remove(Selection(files=("/00000.jpg",)))
            other.finish_erasure()
        return built(rows)

    monkeypatch.setattr(graph, "built", erase_meanwhile)
    with pytest.raises(GalleryError, match="changed while its approximate index"):
        approximate_search.search(store, vectors[:1], 3, Progress())
    assert [path.name for path in (tmp_path / "gal").iterdir()] == ["gallery.sqlite"]
    assert vectors[0].tobytes() not in (tmp_path / "gal" / "gallery.sqlite").read_bytes()


def test_an_index_that_cannot_be_kept_is_reported_before_it_is_built(large, monkeypatch):
    store, vectors = large
    monkeypatch.setattr(approximate_search.os, "access", lambda *arguments: False)
    monkeypatch.setattr(graph, "built", None)
    with pytest.raises(GalleryError, match=r"can't be kept there .no right to write.*leave"):
        approximate_search.search(store, vectors[:1], 3, Progress())


def test_an_index_that_is_not_written_whole_leaves_no_file(large, tmp_path, monkeypatch):
    store, vectors = large

    write = approximate_search.faiss.write_index

    def full(index, writer):
        write(index, writer)
        raise RuntimeError("write error in file: 28 No space left on device")

    monkeypatch.setattr(approximate_search.faiss, "write_index", full)
    with pytest.raises(GalleryError, match=r"can't be kept there .write error.*make room"):
        approximate_search.search(store, vectors[:1], 3, Progress())
    assert [path.name for path in (tmp_path / "gal").iterdir()] == ["gallery.sqlite"]


def test_too_few_found_falls_to_exact_search_and_says_so(large, monkeypatch):
    store, vectors = large
    progress = Progress()
    approximate_search.search(store, vectors[:1], 3, progress)
    walk = graph.walk

    def lose_one(*arguments):
        scores, rows = walk(*arguments)
        rows[0, -1] = -1
        return scores, rows

    monkeypatch.setattr(graph, "walk", lose_one)
    progress.clear()
    hits, _ = approximate_search.search(store, vectors[:2], 7, progress)
    assert hits == search.exact(store, vectors[:2], 7)
    assert progress == ["the approximate index found too few; searching exactly"]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_small_galleries_are_found_whole(tmp_path, count):
    vectors = unit_vectors(count, 4)
    store = gallery(tmp_path / "gal", vectors, [None] * count)
    hits, quality = approximate_search.search(store, vectors[:1], 10, Progress())
    assert sorted(files(hits[0])) == list(range(count))
    assert quality.top == count - 1 and quality.recall == 1


def test_equal_pictures_are_all_found(tmp_path):
    vectors = np.repeat(unit_vectors(2, 8), 40, axis=0)
    store = gallery(tmp_path / "gal", vectors, [None] * 80)
    hits, quality = approximate_search.search(store, vectors[:1], 40, Progress())
    assert sorted(files(hits[0])) == list(range(40))
    assert quality.recall == 1
