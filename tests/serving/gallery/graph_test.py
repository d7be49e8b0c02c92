"""The graph: its rows, and a reach that is as far as it takes to find enough of new pictures."""

import numpy as np
import pytest

from serving.gallery import graph, inner_products


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Of 2000 pictures, in groups of near ones."""
    random = np.random.default_rng(3)
    found = np.repeat(random.normal(size=(100, 32)), 20, axis=0)
    found += 0.3 * random.normal(size=found.shape)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def test_rows_are_those_that_were_given(vectors):
    index, quality, reach = graph.built(vectors)
    asked = vectors[::7]
    scores, rows = graph.walk(index, asked, 10, reach)
    _, expected = inner_products.nearest(asked, vectors, 10)
    # Each picture finds itself, held out before or not.
    np.testing.assert_array_equal(rows[:, 0], np.arange(len(vectors))[::7])
    np.testing.assert_allclose(scores, (asked[:, None] * vectors[rows]).sum(axis=2), atol=1e-6)
    assert np.mean(rows == expected) > 0.95 and quality.recall > 0.95
    assert (quality.top, quality.queries) == (10, 256)


def test_recall_counts_what_a_bad_walk_misses(vectors, monkeypatch):
    asked = []

    def blind(index, queries, top, reach, order):
        """Finds every other of the true list, and then what is worst."""
        scores, rows = inner_products.nearest(queries, vectors[order[: index.ntotal]], top)
        scores[:, 1::2] = -1
        asked.append((reach, index.ntotal, len(queries)))
        return inner_products.ordered(scores, order[rows])

    monkeypatch.setattr(graph, "_walk", blind)
    _, quality, reach = graph.built(vectors)
    assert quality.recall == 0.5 and reach == 1024
    # No reach was enough; those who were asked for weren't in it.
    assert asked == [(reach, 1744, 256) for reach in (128, 256, 512, 1024)]


def test_the_reach_is_the_least_that_finds_enough(vectors, monkeypatch):
    walk = graph._walk

    def short_sighted(index, queries, top, reach, order):
        scores, rows = walk(index, queries, top, reach, order)
        if reach < 512:
            scores[:, 5:], rows[:, 5:] = -1, -1
        return scores, rows

    monkeypatch.setattr(graph, "_walk", short_sighted)
    _, quality, reach = graph.built(vectors)
    assert reach == 512 and quality.recall > 0.95


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_few_pictures(count, vectors):
    index, quality, reach = graph.built(vectors[:count])
    scores, rows = graph.walk(index, vectors[:1], count, reach)
    assert sorted(rows[0].tolist()) == list(range(count))
    assert quality.recall == 1 and quality.queries == (count + 2) // 4
    assert np.all(np.diff(scores[0]) <= 0)
